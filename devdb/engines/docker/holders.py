"""Who holds a port: another container, or a process of this machine."""

from __future__ import annotations

import errno
import socket
import sys
from typing import TYPE_CHECKING

from devdb.engines.docker import labels
from devdb.errors import PortInUse
from devdb.model import HOST

if TYPE_CHECKING:
    from docker import APIClient


def is_taken(port: int) -> bool:
    """Whether somebody listens where the engine would have to.

    A port that may not be tried (below 1024) is left to the engine to refuse.
    """
    with socket.socket() as probe:
        if sys.platform != "win32":  # there it would mean sharing the port with its holder
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def in_use(client: APIClient, port: int, part: str) -> PortInUse:
    """The error for a taken port, naming its holder where the system tells."""
    option = "--port" if part == labels.POSTGRES else "--pool-port"
    holder = _container(client, port) or _process(port) or "somebody else"
    return PortInUse(
        f"Port {port} (for {part}) is in use by {holder}.",
        f"Stop that, or choose another one with `devdb up {option} N`.",
    )


def _container(client: APIClient, port: int) -> str | None:
    for container in client.containers():
        for mapping in container.get("Ports") or ():
            if mapping.get("PublicPort") == port and mapping.get("Type") == "tcp":
                name = container["Names"][0].lstrip("/")
                owned = container["Labels"].get(labels.INSTANCE)
                return f"container {name}" + (f", instance '{owned}'" if owned else "")
    return None


def _process(port: int) -> str | None:
    import psutil

    try:
        connections = psutil.net_connections("tcp")
    except psutil.Error:
        return None  # macOS tells only root
    for connection in connections:
        if connection.status != psutil.CONN_LISTEN or connection.laddr[1:] != (port,):
            continue
        if connection.pid is None:
            return "a process of another user"
        try:
            return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
        except psutil.Error:
            return f"pid {connection.pid}"
    return None
