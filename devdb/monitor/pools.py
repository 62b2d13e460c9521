"""The pools of PgBouncer: who waits for a connection, and how many there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devdb.model import DATABASE, POOLER_ROLE
from devdb.pgbouncer import ADMIN_DATABASE, Limits, open_servers

Records = Sequence[Mapping[str, Any]]
"""What a SHOW of the admin console answers, each row by the names of its columns."""

IMPATIENT = 1.0
"""Seconds after which it is worth a word that somebody waits: a pool at work always has some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The connections that the clients of one database share; those of all its users together."""

    database: str
    users: tuple[str, ...]
    """Each of them has a pool of its own."""
    mode: str
    """The pool mode: `transaction` or `session`."""
    active: int
    """Clients that have a server connection, or want none at this moment."""
    waiting: int
    """Clients that want one and have none."""
    oldest_wait: float
    """Seconds that the first of those has waited; 0 where nobody waits."""
    used: int
    """Server connections at work for a client."""
    open: int
    """Server connections there are, idle ones too."""
    size: int
    """How many there can be, for all the users together."""
    per_second: float | None
    """Queries a second since the look before; None: there was none."""


def pools(shown: Records, limits: Limits, rates: Mapping[str, float]) -> tuple[Pool, ...]:
    """What SHOW POOLS answered, by database; those where clients have waited long come first.

    devdb's own are not among them, nor those that nobody is in: PgBouncer keeps an empty one for
    an hour after its database was dropped. That of the instance's own database stays.

    `rates` are queries a second. Sizes are from `limits`: devdb writes no database of its own into
    PgBouncer's ini, so that the defaults hold for each.
    """
    by_database: dict[str, list[Mapping[str, Any]]] = {}
    for record in shown:
        if record["database"] != ADMIN_DATABASE and record["user"] != POOLER_ROLE:
            by_database.setdefault(record["database"], []).append(record)
    found = []
    for database, records in by_database.items():
        in_use = [record for record in records if _clients(record) or open_servers(record)]
        if in_use or database == DATABASE:
            found.append(_pool(database, in_use or records[:1], limits, rates.get(database)))
    return tuple(sorted(found, key=_place))


def _place(pool: Pool) -> tuple[bool, bool, str]:
    return pool.oldest_wait < IMPATIENT, pool.database != DATABASE, pool.database


def _pool(database: str, records: Records, limits: Limits, rate: float | None) -> Pool:
    size = len(records) * (limits.pool + limits.reserve)
    return Pool(
        database=database,
        users=tuple(sorted(record["user"] for record in records)),
        mode=records[0]["pool_mode"],
        active=_sum(records, "cl_active"),
        waiting=_sum(records, "cl_waiting"),
        oldest_wait=max(_oldest_wait(record) for record in records),
        used=_sum(records, *_AT_WORK),
        open=sum(map(open_servers, records)),
        size=min(size, limits.per_database) if limits.per_database else size,
        per_second=rate,
    )


def _clients(record: Mapping[str, Any]) -> int:
    return _sum((record,), "cl_active", "cl_waiting")


def _oldest_wait(record: Mapping[str, Any]) -> float:
    return float(record["maxwait"] + record.get("maxwait_us", 0) / 1_000_000)


# The last two came with 1.18.
_AT_WORK = ("sv_active", "sv_active_cancel", "sv_being_canceled")


def _sum(records: Iterable[Mapping[str, Any]], *columns: str) -> int:
    return sum(record.get(column, 0) for record in records for column in columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many queries PgBouncer had passed on at one moment, by database."""

    at: float
    """By a clock that only goes forward, in seconds."""
    queries: Mapping[str, int]

    def since(self, before: Counts | None, *, own: int = 0) -> dict[str, float]:
        """Queries a second since then, by database; without those of which nobody can tell.

        A counter that fell belongs to a PgBouncer that was started anew. `own`: how many of those
        in the instance's own database were devdb's.
        """
        if before is None or self.at <= before.at:
            return {}
        ours = {DATABASE: own}
        return {
            database: max(0, count - before.queries[database] - ours.get(database, 0))
            / (self.at - before.at)
            for database, count in self.queries.items()
            if count >= before.queries.get(database, count + 1)
        }


def counts(shown: Records, at: float) -> Counts:
    """What SHOW STATS answered at that moment."""
    # They are `numeric` to the console, which nothing here reads as a number.
    queries = {record["database"]: int(record["total_query_count"]) for record in shown}
    return Counts(at=at, queries=queries)


def backend_pids(shown: Records) -> frozenset[int]:
    """The pids, as Postgres tells them, of the sessions in SHOW SERVERS."""
    return frozenset(record["remote_pid"] for record in shown)
