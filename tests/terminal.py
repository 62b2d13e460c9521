"""A command on a pseudo-terminal: what it shows, what is typed at it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

DEADLINE = 60


class Terminal:
    """The process has it as its controlling terminal, so that a typed Ctrl-C is a SIGINT."""

    def __init__(self, argv: list[str], *, cwd: Path, env: dict[str, str], columns: int) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
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
        ready, _, _ = select.select([self._ours], [], [], max(0, seconds))
        piece = b""
        if ready:
            with contextlib.suppress(OSError):  # EIO: the last holder of the other end is gone
                piece = os.read(self._ours, 65536)
        self.text += piece.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(piece)
