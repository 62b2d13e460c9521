"""The gateway's process: found by asking the world, started so that it outlives devdb, ended."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum, auto
from pathlib import Path

from devdb import __version__, listeners, processes
from devdb.errors import DevdbError, PortInUse, StartFailed
from devdb.gateway.target import Target
from devdb.masking import masked
from devdb.model import HOST, PoolMode

LOG = "gateway.log"
"""In the instance's directory: what the last detached one wrote, which is mostly nothing."""

_ANSWER = 1.0
"""Seconds that a gateway has for saying how it is."""
_PATIENCE = 20.0
"""Seconds until one that was started has to answer; a machine that swaps takes long."""
_LONGEST = 1 << 16
_END = tuple(
    (getattr(signal, name), seconds)
    for name, seconds in (("SIGTERM", 2.0), ("SIGKILL", 5.0))
    if hasattr(signal, name)
)


class Kind(Enum):
    """Who is at the port of an instance's gateway."""

    NOBODY = auto()
    DETACHED = auto()
    """Its own, started by devdb."""
    FOREGROUND = auto()
    """Its own, started by a person or a Procfile: `devdb http`."""
    SOMEBODY = auto()
    """None of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What was found at the port just now."""

    kind: Kind
    pid: int | None = None
    """Of one of its own."""
    version: str | None = None
    """Of the devdb that it belongs to; None where it does not answer."""
    is_current: bool = False
    """Whether it is of this devdb, and leads to where the instance is now."""

    @property
    def answers(self) -> bool:
        """Whether it says how it is; one that was stopped (SIGSTOP) does not."""
        return self.version is not None


@dataclass(frozen=True, slots=True)
class _Health:
    """What a gateway says of itself."""

    devdb: str
    instance: str
    pid: int
    ports: tuple[int, int, int]
    """Its own, the direct and the pooled one."""


def find(target: Target) -> Sighting:
    """Who is at the target's port, by what answers there and by what process that is."""
    try:
        said = _ask(target.port)
    except ConnectionRefusedError:
        return Sighting(kind=Kind.NOBODY)
    if said is None:
        own = _detached(target.name, target.directory)
        return Sighting(kind=Kind.DETACHED, pid=own[0]) if own else Sighting(kind=Kind.SOMEBODY)
    kind = _kind(said, target)
    if kind is Kind.SOMEBODY:
        return Sighting(kind=kind)
    is_current = said.devdb == __version__ and said.ports == _ports(target)
    if kind is Kind.DETACHED:
        is_current = is_current and _is_told(said.pid, target)
    return Sighting(kind=kind, pid=said.pid, version=said.devdb, is_current=is_current)


def start(target: Target, user: tuple[int, int] | None) -> int:
    """Start the detached one, as that uid and gid where they are given; its pid, once it answers.

    For the holder of the instance's lock, after `end`. Raises PortInUse, StartFailed, OSError.
    """
    if listeners.accepts(target.port):
        raise taken(target)
    log = target.directory / LOG
    log.unlink(missing_ok=True)
    pid = processes.spawn(
        # -P: not whatever lies in a directory under the name of a module.
        [sys.executable, "-P", "-m", listeners.GATEWAY, *arguments(target, user)],
        cwd=Path("/"),
        log=log,
        env=processes.python_environment(),
    )
    try:
        _wait_for(target, pid)
    except BaseException:
        processes.end([pid], _END, is_there=processes.is_running)
        raise
    return pid


def _wait_for(target: Target, pid: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        is_running = processes.is_running(pid)  # before it is asked, or its last words are missed
        with suppress(ConnectionRefusedError):  # not yet
            said = _ask(target.port)
            if said is not None and said.pid == pid:
                return
        if not is_running:
            raise taken(target) if listeners.accepts(target.port) else _failed(target, "it ended")
        if time.monotonic() > deadline:
            raise _failed(target, f"no answer within {_PATIENCE:g} s")
        time.sleep(0.01)


def end(name: str, directory: Path) -> bool:
    """End every detached one of the instance in that directory; whether there was any.

    Looked for among all processes: one that hangs, or has another port than the instance has now,
    says nothing. Raises DevdbError when one would not end.
    """
    pids = _detached(name, directory)
    left = processes.end(pids, _END, is_there=lambda pid: _is_detached(pid, name, directory))
    if left:
        raise DevdbError(
            f"The gateway of '{name}' (pid {left[0]}) does not end, not even when it is killed.",
            "Something is wrong with the machine: look at `dmesg`.",
        )
    return bool(pids)


def taken(target: Target) -> PortInUse:
    """The error for a port that is not the gateway's to have."""
    who = listeners.owner(target.port, besides=target.name)
    return PortInUse(
        f"Port {target.port}, the HTTP port of '{target.name}', is in use by {who}.",
        f"End that, or move the gateway: devdb up -n {target.name} --http-port PORT",
    )


def _failed(target: Target, what: str) -> StartFailed:
    lines: list[str] = []
    log = target.directory / LOG
    with suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    words = [" ".join(masked(line).split()) for line in lines if line.strip()]
    said = f": {words[-1]}" if words else ""
    return StartFailed(
        f"The gateway of '{target.name}' did not start, {what}{said}", f"All it said is in {log}"
    )


def _ports(target: Target) -> tuple[int, int, int]:
    return target.port, target.direct, target.pooled


def arguments(target: Target, user: tuple[int, int] | None) -> list[str]:
    """Those of `python -m devdb.gateway`, which goes on as that uid and gid; see there.

    Whoever starts one has asked for the pool mode.
    """
    assert target.pool_mode is not None
    who = user if user is not None else "--"
    numbers = map(str, (*_ports(target), target.max_connections))
    return [target.name, *numbers, str(target.directory), target.pool_mode.value, *map(str, who)]


def _is_told(pid: int, target: Target) -> bool:
    """Whether the detached one was told what would be told to one now; whom it runs as apart."""
    told = processes.words(pid)[-9:-2]
    wanted = arguments(replace(target, pool_mode=target.pool_mode or PoolMode.TRANSACTION), None)
    return told[:-1] == wanted[:6] and (target.pool_mode is None or told[-1] == wanted[6])


def _detached(name: str, directory: Path) -> list[int]:
    """The pids of all that there are; some milliseconds."""
    import psutil

    return [pid for pid in psutil.pids() if _is_detached(pid, name, directory)]


def _is_detached(pid: int, name: str, directory: Path) -> bool:
    """Whether it is the instance's, and runs as who we are or as whom it says that it drops to."""
    argv = processes.words(pid)
    if argv[-10:-8] != [listeners.GATEWAY, name] or argv[-4] != str(directory):
        return False
    ours = {str(os.geteuid()), *(argv[-2:-1] if os.geteuid() == 0 else ())}
    return str(_uid(pid)) in ours


def _is_foreground(pid: int) -> bool:
    return listeners.serves_http(processes.words(pid)) and os.geteuid() in (0, _uid(pid))


def _uid(pid: int) -> int | None:
    import psutil

    with suppress(psutil.Error):
        return int(psutil.Process(pid).uids().real)
    return None


def _kind(said: _Health, target: Target) -> Kind:
    """What it says anybody can say: it is what the process is that decides."""
    if said.instance != target.name:
        return Kind.SOMEBODY
    if _is_detached(said.pid, target.name, target.directory):
        return Kind.DETACHED
    return Kind.FOREGROUND if _is_foreground(said.pid) else Kind.SOMEBODY


def _ask(port: int) -> _Health | None:
    """What the gateway at that port says of itself; None where it is none, or says nothing.

    Raises ConnectionRefusedError where nobody listens.
    """
    request = f"GET /health HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n"
    deadline = time.monotonic() + _ANSWER
    answer = b""
    try:
        with socket.create_connection((HOST, port), timeout=_ANSWER) as asking:
            asking.sendall(request.encode())
            while len(answer) < _LONGEST and (left := deadline - time.monotonic()) > 0:
                asking.settimeout(left)
                if not (chunk := asking.recv(4096)):
                    break
                answer += chunk
        head, _, body = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            return None
        values = json.loads(body)
        numbers = [values[key] for key in ("pid", "port", "direct", "pooled")]
        pid, own, direct, pooled = map(int, numbers)
        return _Health(str(values["devdb"]), str(values["instance"]), pid, (own, direct, pooled))
    except ConnectionRefusedError:
        raise
    except (OSError, ValueError, LookupError, TypeError, ArithmeticError, RecursionError):
        return None
