"""Who is at a port of this machine, in words: who listens there, and who is connected to it."""

from __future__ import annotations

import contextlib
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from devdb import marker, processes
from devdb.errors import DevdbError
from devdb.model import HOST, Spec

GATEWAY = "devdb.gateway"
"""The module that a detached gateway runs: it is in its command line."""
_SERVERS = ("postgres ", "pgbouncer ", "docker-proxy ")
_SOMEBODY = "another user's process"


def accepts(port: int) -> bool:
    """Whether a connection to that port is accepted."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def owner(port: int, *, besides: str = "") -> str:
    """Who listens on that port: an instance other than `besides`, else a process, in words."""
    pid, process = _process(port)
    for spec in _instances():
        is_its = port in spec.ports and spec.name != besides
        argv = processes.words(pid) if is_its and pid is not None else []
        is_gateway = GATEWAY in argv or serves_http(argv)
        if is_its and (process.startswith(_SERVERS) or is_gateway):
            return f"instance '{spec.name}' ({process})"
    return process or "somebody else"


def serves_http(argv: Sequence[str]) -> bool:
    """Whether those are the words of a `devdb http`."""
    return "http" in argv and any(Path(word).name == "devdb" for word in argv)


def clients(port: int) -> Counter[str]:
    """The processes of this machine that are connected to that port, each with how often."""
    import psutil

    found: Counter[str] = Counter()
    names: dict[int, str] = {}
    for pid, connection in _connections():
        address = connection.raddr
        if connection.status != psutil.CONN_ESTABLISHED or not address or address.port != port:
            continue
        if pid not in names and pid is not None:
            with contextlib.suppress(psutil.Error):
                names[pid] = f"{psutil.Process(pid).name()} (pid {pid})"
        found[names.get(pid or 0, _SOMEBODY)] += 1
    return found


def _instances() -> list[Spec]:
    with contextlib.suppress(DevdbError):
        return marker.every()
    return []


def _process(port: int) -> tuple[int | None, str]:
    """Who listens there, and in words; nobody and nothing where none is seen."""
    import psutil

    for pid, connection in _connections():
        address = connection.laddr
        if connection.status == psutil.CONN_LISTEN and address and address.port == port:
            if pid is None:
                return None, _SOMEBODY
            with contextlib.suppress(psutil.Error):
                return pid, f"{psutil.Process(pid).name()} (pid {pid})"
    return None, ""


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
