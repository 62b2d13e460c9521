"""What is done to a session of Postgres that somebody looks at: its query ends, or all of it."""

from __future__ import annotations

from collections.abc import Callable

from devdb import sessions, wire
from devdb.errors import DevdbError, EngineUnavailable
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
        with sessions.direct(spec.direct, patience=5) as session:
            return order(session, backend)
    except wire.Refused as refused:
        raise DevdbError(
            f"Postgres of '{spec.name}' said: {refused.message}.", f"devdb logs -n {spec.name}"
        ) from None
    except OSError as error:
        raise EngineUnavailable(
            f"'{spec.name}' does not answer on port {spec.port}: {error}",
            f"Start it: devdb up -d -n {spec.name}; or see why: devdb logs -n {spec.name}",
        ) from None
