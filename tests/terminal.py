"""A command on a pseudo-terminal: what it shows, what is typed at it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import system.terminal

DEADLINE = 60


class Terminal:
    """The process has it as its controlling terminal, so that a typed Ctrl-C is a SIGINT."""

    def __init__(self, argv: list[str], *, cwd: Path, env: dict[str, str], columns: int) -> None:
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
