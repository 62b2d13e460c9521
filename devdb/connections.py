"""Whose the connections of an instance are, when none is left for anybody else."""

from __future__ import annotations

from contextlib import suppress

from devdb import listeners, pgbouncer, postgres, wire
from devdb.model import Spec

_NAMED = 3
"""So many holders are said by name."""

WAY_OUT = "End some, give the app the pooled URL, or raise max_connections in devdb.toml."


def taken(spec: Spec) -> str:
    """How many there are and who has them, e.g. `all 100 connections are taken: 95 by node (pid
    4711), 5 by PgBouncer`; asks no Postgres, which may have no room for the question.

    Only the processes of this machine are seen, another user's without a name.
    """
    holders = [(count, f"by {who}") for who, count in listeners.clients(spec.port).most_common()]
    with suppress(*wire.FAILURES), pgbouncer.console(spec) as session:
        holders.append((pgbouncer.ask(session).servers, "by PgBouncer"))
    holders = sorted((each for each in holders if each[0]), reverse=True)
    words = [f"{count} {who}" for count, who in holders[:_NAMED]]
    if rest := sum(count for count, _ in holders[_NAMED:]):
        words.append(f"{rest} by others")
    number = postgres.settings(spec)["max_connections"]
    return f"all {number} connections are taken: {', '.join(words) or 'nobody here sees by whom'}"
