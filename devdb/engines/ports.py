"""Whether the ports of an instance are free, and the error when one is not."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

from devdb.errors import PortInUse, UsageError
from devdb.listeners import accepts, owner
from devdb.model import HOST, Spec


def require_free(
    spec: Spec, *ports: int, holder: Callable[[int], str | None] = lambda _port: None
) -> None:
    """Raise PortInUse, naming the owner where the system tells, unless all `ports` are free.

    `holder` knows better than the system who has a port, or does not know. Raises UsageError for
    a port that this user may not listen on.
    """
    for port in ports:
        if is_taken(port):
            raise in_use(spec, port, holder(port))


def is_taken(port: int) -> bool:
    """Whether somebody listens there. Raises UsageError where this user may not listen."""
    with socket.socket() as probe:
        # As the servers bind: connections of an earlier run that linger do not matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
            if error.errno == errno.EACCES:
                raise UsageError(
                    f"Port {port} is one that only root may listen on.",
                    "Ask for one from 1024 upward.",
                ) from error
            raise
    # With SO_REUSEADDR some systems let one address be bound beside a wildcard listener.
    return accepts(port)


def answers(spec: Spec) -> bool:
    """Whether the direct port answers: cheap, and enough for a warning beside a URL."""
    if spec.engine == "fake":
        from devdb.engines.fake import FakeEngine

        server = FakeEngine().find(spec.name)
        return server is not None and server.running
    return accepts(spec.port)


def in_use(spec: Spec, port: int, holder: str | None = None) -> PortInUse:
    """The error for a port that somebody else has: `holder`, where that is known already."""
    who = holder or owner(port, besides=spec.name)
    option = {spec.port: "--port", spec.pool_port: "--pool-port"}.get(port, "--http-port")
    return PortInUse(
        f"Port {port} of instance '{spec.name}' is in use by {who}.",
        f"Stop that, or move the instance: devdb up -n {spec.name} {option} PORT",
    )
