"""PgBouncer's admin console: getting its clients off a database, and letting them on again.

A database that goes away under PgBouncer leaves it with clients of the old one, and with failed
logins that it remembers for a second. Not KILL: while somebody is logging in to the database it
crashes PgBouncer (1.24 at least).
"""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, LiteralString

from devdb import pgbouncer, postgres
from devdb.model import Endpoint, Spec

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

_LOGIN_SECONDS = 1.0
_RETRY_SECONDS = 1.0
"""The server_login_retry of the ini: for so long it does not try again."""


def pause(spec: Spec, names: Sequence[str]) -> None:
    """Make clients of these databases wait, those too who come while they are paused.

    Does not wait for transactions to end: ending their sessions is the caller's next step.
    A PgBouncer that does not answer lets nobody in either: no error.
    """
    import psycopg

    left = list(names)
    with contextlib.suppress(psycopg.OperationalError):
        while left:
            with contextlib.closing(pgbouncer.console(spec)) as connection:
                while left and _pause(connection, left.pop()):
                    pass


def resume(spec: Spec, names: Sequence[str], *, gone: bool = False) -> bool:
    """Let pooled clients of these names in again; False: PgBouncer did not take the order.

    With `gone` those who are there are disconnected before: theirs was another database.
    """
    import psycopg

    if not names:
        return True
    try:
        with contextlib.closing(pgbouncer.console(spec)) as connection:
            if gone:
                _disconnect(connection, names)
            for name in names:
                _tell(connection, _order("RESUME {}", name, connection))
    except psycopg.OperationalError:
        return False
    return True


def settle(endpoint: Endpoint) -> None:
    """Log in through the pooler, again and again for two seconds, until it lets one in.

    It tells the next client of a role and a database that their last login to the server failed,
    however long ago that was and whichever database then bore the name.
    """
    deadline = time.monotonic() + _LOGIN_SECONDS + _RETRY_SECONDS
    while postgres.probe(endpoint) is None and time.monotonic() < deadline:
        time.sleep(0.05)


def _pause(connection: Connection, name: str) -> bool:
    """Whether the order was answered: that happens when the last transaction is over.

    It is obeyed as soon as it is read, but nothing else can be ordered until then.
    """
    connection.pgconn.send_query(_order("PAUSE {}", name, connection))
    connection.pgconn.flush()
    if not select.select([connection.fileno()], [], [], 0.02)[0]:
        return False
    while connection.pgconn.get_result() is not None:
        pass
    return True


def _disconnect(connection: Connection, names: Sequence[str]) -> None:
    clients = [row for row in _show(connection, "CLIENTS") if row["database"] in names]
    for client in clients:
        if "id" in client:
            _tell(connection, f"KILL_CLIENT {int(client['id'])}".encode())
    if any("id" not in client for client in clients):
        _kill(connection, names)


def _kill(connection: Connection, names: Sequence[str]) -> None:
    """KILL, as below 1.24 there is nothing finer; not while it would hit somebody logging in."""
    deadline = time.monotonic() + _LOGIN_SECONDS
    while any(
        row["state"] == "cl_login" and row["database"] in names
        for row in _show(connection, "SOCKETS")
    ):
        if time.monotonic() > deadline:
            return
        time.sleep(0.005)
    for name in names:
        _tell(connection, _order("KILL {}", name, connection))


def _show(connection: Connection, what: LiteralString) -> list[dict[str, Any]]:
    from psycopg.rows import dict_row

    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(f"SHOW {what}").fetchall()


def _tell(connection: Connection, order: bytes) -> None:
    from psycopg import errors

    # All it answers so is that there is nothing to do: not paused, not known, not there.
    with contextlib.suppress(errors.ProtocolViolation):
        connection.execute(order)


def _order(order: LiteralString, name: str, connection: Connection) -> bytes:
    from psycopg import sql

    return sql.SQL(order).format(sql.Identifier(name)).as_bytes(connection)
