"""PgBouncer's admin console: getting its clients off a database, and letting them on again.

A database that goes away under PgBouncer leaves it with clients of the old one, and with failed
logins that it remembers for a second. Not KILL: while somebody is logging in to the database it
crashes PgBouncer (1.24 at least).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

from devdb import pgbouncer, postgres, wire
from devdb.model import Endpoint, Spec
from devdb.wire import Identifier, Session

_LOGIN_SECONDS = 1.0
_RETRY_SECONDS = 1.0
"""The server_login_retry of the ini: for so long it does not try again."""


def pause(spec: Spec, names: Sequence[str]) -> None:
    """Make clients of these databases wait, those too who come while they are paused.

    Does not wait for transactions to end: ending their sessions is the caller's next step.
    A PgBouncer that does not answer lets nobody in either: no error.
    """
    left = list(names)
    with contextlib.suppress(*wire.FAILURES):
        while left:
            with pgbouncer.console(spec) as session:
                while left and _pause(session, left.pop()):
                    pass


def resume(spec: Spec, names: Sequence[str], *, gone: bool = False) -> bool:
    """Let pooled clients of these names in again; False: PgBouncer did not take the order.

    With `gone` those who are there are disconnected before: theirs was another database.
    """
    if not names:
        return True
    try:
        with pgbouncer.console(spec) as session:
            if gone:
                _disconnect(session, names)
            for name in names:
                _tell(session, "RESUME {}", Identifier(name))
    except wire.FAILURES:
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


def _pause(session: Session, name: str) -> bool:
    """Whether the order was answered: that happens when the last transaction is over.

    It is obeyed as soon as it is read, but nothing else can be ordered until then.
    """
    session.send("PAUSE {}", Identifier(name))
    if not session.answers_within(0.02):
        return False
    with contextlib.suppress(wire.Refused):  # it is paused already, or nothing is there to pause
        session.receive()
    return True


def _disconnect(session: Session, names: Sequence[str]) -> None:
    clients = [row for row in session.records("SHOW CLIENTS") if row["database"] in names]
    for client in clients:
        if "id" in client:
            _tell(session, f"KILL_CLIENT {int(client['id'])}")
    if any("id" not in client for client in clients):
        _kill(session, names)


def _kill(session: Session, names: Sequence[str]) -> None:
    """KILL, as below 1.24 there is nothing finer; not while it would hit somebody logging in."""
    deadline = time.monotonic() + _LOGIN_SECONDS
    while any(
        row["state"] == "cl_login" and row["database"] in names
        for row in session.records("SHOW SOCKETS")
    ):
        if time.monotonic() > deadline:
            return
        time.sleep(0.005)
    for name in names:
        _tell(session, "KILL {}", Identifier(name))


def _tell(session: Session, order: str, *values: object) -> None:
    # All it answers so is that there is nothing to do: not paused, not known, not there.
    with contextlib.suppress(wire.Refused):
        session.query(order, *values)
