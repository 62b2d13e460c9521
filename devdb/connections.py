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
    with suppress(*wire.FAILURES), pgbouncer.console(spec) as session:
        return _words(spec, pgbouncer.ask(session).servers)
    return _words(spec, 0)


def _words(spec: Spec, pooled: int) -> str:
    named = ", ".join(holders(spec, pooled)) or "nobody here sees by whom"
    return f"all {most(spec)} connections are taken: {named}"


def most(spec: Spec) -> int:
    """How many Postgres takes; 0 where what it was told is no plain number."""
    number = postgres.settings(spec)["max_connections"]
    return int(number) if number.isdecimal() else 0


def holders(spec: Spec, pooled: int) -> tuple[str, ...]:
    """Who has them, e.g. `95 by node (pid 4711)`, most first; `pooled` of them PgBouncer has.

    As `taken`, but it asks no server at all.
    """
    found = [(count, f"by {who}") for who, count in listeners.clients(spec.port).most_common()]
    found = sorted((each for each in (*found, (pooled, "by PgBouncer")) if each[0]), reverse=True)
    words = [f"{count} {who}" for count, who in found[:_NAMED]]
    if rest := sum(count for count, _ in found[_NAMED:]):
        words.append(f"{rest} by others")
    return tuple(words)
