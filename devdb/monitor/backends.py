"""The sessions of Postgres: what each does, what it waits for, and behind whom."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from devdb.model import POOLER_ROLE, USER
from devdb.sessions import APPLICATION
from devdb.wire import Row, Session

OWN_APPLICATIONS = (APPLICATION, f"{APPLICATION}-reaper")
"""As devdb's own sessions call themselves; an app may call itself anything else."""

PREPARED = 0
"""In place of a pid: who holds the lock is a prepared transaction, which has no session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A client's session in Postgres, devdb's own not among them."""

    pid: int
    started: datetime
    """With the pid it names the session for ever; a pid alone is given out again."""
    database: str
    role: str
    application: str
    """As the client calls itself; empty where it does not."""
    client: str
    """Where it comes from, e.g. `127.0.0.1:50312`; empty for a local socket."""
    is_pooled: bool
    """Whether PgBouncer opened it; else the client came by the direct URL."""
    state: str
    """As pg_stat_activity has it: `active`, `idle`, `idle in transaction`, ..."""
    age: float
    """Seconds in that state; of an active one: of its query."""
    waits_for: str
    """E.g. `Lock: transactionid`; empty where it waits for nobody but its client."""
    blocked_by: tuple[int, ...]
    """The pids that hold what it waits for, or `PREPARED`; empty where it waits for no lock."""
    query: str
    """What it runs, or ran last."""

    @property
    def is_in_transaction(self) -> bool:
        """Whether it holds what it locked, and does nothing."""
        return self.state.startswith("idle in transaction")


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What Postgres answered to one statement."""

    version: str
    started: datetime
    """When Postgres was."""
    max_connections: int
    is_beside: bool
    """Whether who asked is in a slot of the walsenders', and takes none from the clients."""
    rows: tuple[Row, ...]
    """Of all clients but the one who asked."""

    @property
    def pids(self) -> frozenset[int]:
        """Those of all of them."""
        return frozenset(row[0] for row in self.rows)

    def backends(self, pooled: Collection[int]) -> tuple[Backend, ...]:
        """Those that are in, without devdb's own; `pooled`: the pids of PgBouncer's."""
        shown = (row for row in self.rows if row[_STATE] != _NOT_IN and not _is_own(row, pooled))
        found = [_backend(row, row[0] in pooled) for row in shown]
        holding = {pid for backend in found for pid in backend.blocked_by}

        def place(backend: Backend) -> tuple[int, float, int]:
            if backend.blocked_by:
                rank = 1
            elif backend.pid in holding:
                rank = 0
            elif backend.state == "idle":
                rank = 4
            else:
                rank = 3 if backend.is_in_transaction else 2
            # Those that have just begun would change places with each look.
            return rank, -backend.age if backend.age >= _SETTLED else 0.0, backend.pid

        return tuple(sorted(found, key=place))


def ask(session: Session) -> Activity:
    """What the clients of Postgres do; raises wire.Refused, OSError."""
    mine: list[Any] = []
    others: list[Row] = []
    for row in session.query(_ACTIVITY):
        if row[-1] is None:
            others.append(row)
        else:
            mine = list(row[-3:])
    started, is_beside, max_connections = mine
    return Activity(
        version=session.version,
        started=started,
        max_connections=max_connections,
        is_beside=is_beside,
        rows=tuple(others),
    )


# One of a role that may not see the others has NULL in place of most. pg_blocking_pids() stops
# those who take or release locks while it looks, so it is asked for those alone that wait for one.
# No function is applied to the text of a query: it is in the encoding of its own database.
_ACTIVITY = """
SELECT pid, backend_start, datname, usename, application_name, client_addr, client_port, state,
       greatest(0, extract(epoch FROM clock_timestamp()
           - CASE WHEN state = 'active' THEN query_start ELSE state_change END))::float8,
       wait_event_type, wait_event,
       CASE WHEN wait_event_type = 'Lock' THEN pg_blocking_pids(pid) END,
       CASE WHEN pid <> pg_backend_pid() THEN query END,
       CASE WHEN pid = pg_backend_pid() THEN pg_postmaster_start_time() END,
       CASE WHEN pid = pg_backend_pid() THEN backend_type = 'walsender' END,
       CASE WHEN pid = pg_backend_pid() THEN current_setting('max_connections')::int END
FROM pg_stat_activity
WHERE backend_type = 'client backend' OR pid = pg_backend_pid()
"""
_SETTLED = 1.0
"""Seconds in its state, after which a session has its place by its age."""
_ROLE, _APPLICATION, _STATE = 3, 4, 7
_NOT_IN = "starting"
"""The state, from 18 on, of one that has not said yet who it is."""
_NOTHING_OF_OTHERS = (None, "Client", "Activity")
"""The types of what a session waits for that keep nobody from working."""


def _is_own(row: Row, pooled: Collection[int]) -> bool:
    """Whether it is devdb's own.

    One that an app has by PgBouncer bears the name of whoever used it last: it may be devdb's.
    """
    is_named = row[_ROLE] == USER and row[_APPLICATION] in OWN_APPLICATIONS
    return row[_ROLE] == POOLER_ROLE or (is_named and row[0] not in pooled)


def _backend(row: Row, is_pooled: bool) -> Backend:
    pid, started, database, role, application, address, port, state, age = row[:9]
    kind, event, blockers, query = row[9:13]
    return Backend(
        pid=pid,
        started=started,
        database=database or "",
        role=role or "",
        application="" if is_pooled and application == APPLICATION else application or "",
        client=_address(address, port),
        is_pooled=is_pooled,
        state=state or "",
        age=age or 0.0,
        waits_for="" if kind in _NOTHING_OF_OTHERS else f"{kind}: {event}",
        blocked_by=_pids(blockers),
        query=query or "",
    )


def _address(address: str | None, port: int | None) -> str:
    if not address:
        return ""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _pids(array: str | None) -> tuple[int, ...]:
    """Those in the text of an array, each once: parallel workers count as who leads them."""
    return (
        tuple(dict.fromkeys(map(int, array[1:-1].split(",")))) if array and len(array) > 2 else ()
    )


def cancel(session: Session, backend: Backend) -> bool:
    """Cancel what it runs; False when that session is not there any more.

    Raises wire.Refused, OSError.
    """
    return _signal(session, "pg_cancel_backend", backend)


def end(session: Session, backend: Backend) -> bool:
    """End the session; False when it is not there any more. Raises wire.Refused, OSError."""
    return _signal(session, "pg_terminate_backend", backend)


def _signal(session: Session, function: str, backend: Backend) -> bool:
    # The pid alone may be another's by now.
    rows = session.query(
        f"SELECT {function}(pid) FROM pg_stat_activity "
        "WHERE pid = {} AND backend_start = {}::timestamptz",
        backend.pid,
        backend.started.isoformat(),
    )
    return rows == [(True,)]
