"""A command on a pseudo-terminal: what it shows, what is typed at it."""

from __future__ import annotations

import os
import signal
import termios
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import system.terminal
import world

DEADLINE = 60


class Terminal:
    """The process has it as its controlling terminal, so that a typed Ctrl-C is a SIGINT."""

    def __init__(self, argv: list[str], *, cwd: Path, env: dict[str, str], columns: int) -> None:
        with ExitStack() as stack:
            # What was started in the background, or by nohup, was told to ignore them.
            for number in (signal.SIGQUIT, signal.SIGHUP):
                stack.enter_context(world.inheriting(number, signal.SIG_DFL))
            self._ours, self.process = system.terminal.begin(
                argv, rows=24, columns=columns, cwd=cwd, env=env
            )
        self.text = ""

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def wait_for(self, text: str) -> None:
        """Until it has been shown."""
        deadline = time.monotonic() + DEADLINE
        while text not in self.text:
            assert self._read(deadline - time.monotonic()), f"{text!r} never came: {self.text}"

    def end(self) -> int:
        """All it shows until it ends; returns its exit code."""
        deadline = time.monotonic() + DEADLINE
        while self._read(deadline - time.monotonic()):
            pass
        return self.process.wait(timeout=DEADLINE)

    def modes(self) -> list[Any]:
        """How it treats what is typed and shown."""
        return termios.tcgetattr(self._ours)

    def hang_up(self) -> None:
        """Take the terminal away, as closing its window does."""
        os.close(self._ours)
        self._ours = -1

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=DEADLINE)
        if self._ours >= 0:
            os.close(self._ours)
            self._ours = -1

    def _read(self, seconds: float) -> bool:
        piece = system.terminal.read(self._ours, seconds)
        self.text += piece.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(piece)
