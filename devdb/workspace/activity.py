"""What is done to a session of Postgres that somebody looks at: its query ends, or all of it."""

from __future__ import annotations

from collections.abc import Callable

from devdb import sessions, wire
from devdb.databases import registry
from devdb.model import Spec
from devdb.monitor import backends
from devdb.monitor.backends import Backend
from devdb.wire import Session


def cancel(spec: Spec, backend: Backend) -> bool:
    """Cancel what it runs at this moment; False: the session is gone. Raises DevdbError."""
    return _tell(spec, backend, backends.cancel)


def end(spec: Spec, backend: Backend) -> bool:
    """End the session, which rolls its transaction back; False: it is gone. Raises DevdbError."""
    return _tell(spec, backend, backends.end)


def _tell(spec: Spec, backend: Backend, order: Callable[[Session, Backend], bool]) -> bool:
    try:
        session = sessions.direct(spec.direct, patience=5)
    except wire.FAILURES as error:
        raise registry.unreachable(spec, error) from None
    try:
        with session:
            return order(session, backend)
    except wire.FAILURES as error:
        raise registry.failure(spec, error) from None
