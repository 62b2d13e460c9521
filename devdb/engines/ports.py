"""Whether a port of 127.0.0.1 is free, and who holds one that is not."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator
from typing import Any

from devdb import marker
from devdb.errors import DevdbError, PortInUse, UsageError
from devdb.model import HOST, Spec


def require_free(spec: Spec, *ports: int) -> None:
    """Raise PortInUse, naming the owner where the system tells, unless all `ports` are free.

    Raises UsageError for a port that this user may not listen on.
    """
    for port in ports:
        if is_taken(port):
            raise in_use(spec, port)


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
                    "Ask for one from 1024 upward with --port/--pool-port.",
                ) from error
            raise
    # With SO_REUSEADDR some systems let one address be bound beside a wildcard listener.
    return accepts(port)


def accepts(port: int) -> bool:
    """Whether a connection to that port is accepted."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def in_use(spec: Spec, port: int, holder: str | None = None) -> PortInUse:
    """The error for a port that somebody else holds: `holder`, where that is known already."""
    who = holder or owner(port, besides=spec.name)
    option = "--port" if port == spec.port else "--pool-port"
    return PortInUse(
        f"Port {port} of instance '{spec.name}' is in use by {who}.",
        f"Stop that, or move the instance: devdb up -n {spec.name} {option} PORT",
    )


def owner(port: int, *, besides: str = "") -> str:
    """Who listens on that port: an instance other than `besides`, else a process, in words."""
    process = _process(port)
    for spec in _instances():
        is_its = port in (spec.port, spec.pool_port) and spec.name != besides
        if is_its and process and _is_server(process):
            return f"instance '{spec.name}' ({process})"
    return process or "somebody else"


def _instances() -> list[Spec]:
    with contextlib.suppress(DevdbError):
        return marker.every()
    return []


def _is_server(process: str) -> bool:
    return process.startswith(("postgres ", "pgbouncer ", "docker-proxy "))


def _process(port: int) -> str | None:
    import psutil

    for pid, connection in _connections():
        address = connection.laddr
        if connection.status == psutil.CONN_LISTEN and address and address.port == port:
            if pid is None:
                return "another user's process"
            with contextlib.suppress(psutil.Error):
                return f"{psutil.Process(pid).name()} (pid {pid})"
    return None


def _connections() -> Iterator[tuple[int | None, Any]]:
    import psutil

    try:
        for connection in psutil.net_connections("tcp"):
            yield connection.pid, connection
    except psutil.AccessDenied:  # macOS shows a user what his own processes have, one by one
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                for owned in process.net_connections("tcp"):
                    yield process.pid, owned
