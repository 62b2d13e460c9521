"""devdb's end of an instance's supervisor: started beside a start, told what to run, ended."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from devdb import processes
from devdb.engines.native import config as configuration
from devdb.engines.native import find, limits, logs, stop
from devdb.engines.native.config import Config
from devdb.engines.native.layout import Layout
from devdb.engines.native.owner import Owner
from devdb.engines.waiting import HEARTBEAT, Beats, finished
from devdb.errors import StartFailed

SCRIPT = Path(__file__).with_name("supervisor.py")
DELAYS = (0.1, 0.5, 2.0, 5.0, 10.0)
"""Seconds from a server's death to its next start; one that then dies once more is given up."""
_PATIENCE = 20.0
"""Seconds for an answer; a machine that swaps takes long to start a Python."""
_KEPT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""What of the user's environment a Python may need to run at all."""


class Line:
    """The line to a supervisor that was started here. `hang_up` when all is said."""

    def __init__(self, layout: Layout) -> None:
        """Begin to start it: the first thing it is told waits for it. Raises OSError."""
        self._layout = layout
        self._socket, end = socket.socketpair()
        with end:
            self._pid = processes.spawn(
                [sys.executable, "-I", "-S", SCRIPT, layout.supervisor_conf],
                cwd=Path("/"),
                log=Path(os.devnull),
                env={name: os.environ[name] for name in _KEPT if name in os.environ},
                stdin=end.fileno(),
            )
        self._answers = b""
        self._is_in_charge = False

    def take(self, text: str) -> Beats[None]:
        """Have it watch over the instance by this configuration (see `told`).

        Raises StartFailed when another one does, or when it does not run.
        """
        configuration.write({self._layout.supervisor_conf: text}, None)
        self._socket.sendall(b"take\n")
        answer = yield from self._next_answer()
        if answer != "ok":
            raise _failed(answer)
        self._is_in_charge = True

    def start(self, part: str) -> int:
        """Start that server; its pid. Raises StartFailed."""
        answer = self._answer_to(f"start {part}")
        if not answer.isdigit():
            raise _failed(answer)
        return int(answer)

    def adopt(self, part: str, pid: int) -> None:
        """Have it watch a server that runs already."""
        self._answer_to(f"adopt {part} {pid}")

    def flush(self) -> None:
        """Return when all that the servers wrote until now is in their logs."""
        with suppress(StartFailed):
            self._answer_to("flush")

    def guard(self, parts: list[str]) -> None:
        """From now on have these started again when they end."""
        self._answer_to(" ".join(["guard", *parts]))

    def hang_up(self) -> None:
        """It goes on alone; one that never came to `take` the instance is ended."""
        self._socket.close()
        if not self._is_in_charge:
            kill = ((signal.SIGKILL, 5.0),)
            processes.end([self._pid], kill, is_there=processes.is_running)

    def _answer_to(self, order: str) -> str:
        with suppress(OSError):  # what became of it shows in the answer
            self._socket.sendall(f"{order}\n".encode())
        return finished(self._next_answer())

    def _next_answer(self) -> Beats[str]:
        deadline = time.monotonic() + _PATIENCE
        self._socket.settimeout(HEARTBEAT)
        while b"\n" not in self._answers:
            try:
                received = self._socket.recv(4096)
            except TimeoutError:
                if time.monotonic() > deadline:
                    raise _failed(f"no answer within {_PATIENCE:g} s") from None
                yield
                continue
            except OSError as error:
                raise _failed(str(error)) from error
            if not received:
                raise _failed("it ended")
            self._answers += received
        line, self._answers = self._answers.split(b"\n", 1)
        return line.decode(errors="replace")


def _failed(answer: str) -> StartFailed:
    return StartFailed(
        f"The supervisor of the servers does not run: {answer}.",
        f"Is {sys.executable} a Python that can be started? Then try again.",
    )


def told(config: Config, owner: Owner) -> str:
    """The supervisor's configuration for these servers: secrets are in the files they read."""
    layout, port = config.layout, config.spec.port
    postgres = _told_of(config, "postgres", config.postgres_argv, config.environment())
    postgres["control"] = str(layout.data / "global" / "pg_control")
    locks = (layout.data / "postmaster.pid", *layout.socket_locks(port))
    postgres["stale"] = [str(path) for path in locks]
    pooler = _told_of(config, "pgbouncer", config.pooler_argv, config.pooler_environment())
    pooler["stale"] = [str(layout.pooler_pid)]
    pooler["files"] = limits.MANY_FILES
    parts = {"postgres": postgres, "pgbouncer": pooler}
    if config.spec.reaper is not None:
        reaper = _told_of(config, "reaper", config.reaper_argv, config.reaper_environment())
        parts["reaper"] = {**reaper, "is_group": True, "pid_file": str(layout.reaper_pid)}
    clear = [sys.executable, "-I", "-m", "devdb.engines.native.backends"]
    return json.dumps(
        {
            "pid_file": str(layout.supervisor_pid),
            "user": [owner.uid, owner.gid] if owner.foreign else None,
            "delays": DELAYS,
            "clear": [*clear, layout.name, str(layout.root)],
            "parts": parts,
        },
        indent=1,
    )


def _told_of(config: Config, name: str, argv: list[str], env: dict[str, str]) -> dict[str, Any]:
    layout = config.layout
    return {
        "argv": argv,
        "env": env,
        "cwd": str(layout.run),
        "log": str(logs.path(layout, name)),
        "pipe": str(layout.pipe(name)),
        "verdict": str(layout.verdict(name)),
        "stale": [],
        "files": limits.FILES,
        "control": None,
        "is_group": False,
        "pid_file": None,
    }


@contextmanager
def held_pipes(layout: Layout) -> Iterator[None]:
    """While one supervisor follows another: what the servers write meanwhile is not lost."""
    held = []
    try:
        for part in logs.PARTS:
            with suppress(FileNotFoundError):
                held.append(os.open(layout.pipe(part), os.O_RDONLY | os.O_NONBLOCK))
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)


def mend(layout: Layout, *, what_died: bool = True) -> None:
    """Start a supervisor anew that is gone, where a server still runs.

    It starts the others too, unless they were given up or `what_died` is not wanted. For the
    holder of the instance's lock. Raises StartFailed, OSError.
    """
    if find.supervisor(layout).pid is not None or layout.starting.exists():
        return
    seen = {"postgres": find.postmaster(layout).pid, "pgbouncer": find.pooler(layout).pid}
    if not any(seen.values()):
        return
    try:
        text = layout.supervisor_conf.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    seen["reaper"] = find.reaper(layout).pid
    if seen["reaper"] is None:
        stop.stop_reaper(layout)
    line = Line(layout)
    try:
        finished(line.take(text))
        guarded = []
        for part in json.loads(text)["parts"]:
            if pid := seen[part]:
                line.adopt(part, pid)
            if pid or (what_died and not layout.verdict(part).exists()):
                guarded.append(part)
        line.guard(guarded)
    finally:
        line.hang_up()
