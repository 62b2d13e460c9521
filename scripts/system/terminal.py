"""A login shell on a terminal: lines that are typed, what is shown, how long it took."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from system.shell import CommandFailed

ROWS, COLUMNS = 40, 120
TAIL = 200
"""Characters at the end of which a prompt is looked for."""
PROMPT = re.compile(r"<(\d+)> $")
ESCAPES = re.compile(
    r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[PX^_].*?\x1b\\|[@-_=>])"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What to type when a text is shown, e.g. `y` at a question.

    With no keys it only marks the time, and may be missed where the next one is shown.
    """

    shown: str
    keys: str


@dataclass(slots=True)
class Said:
    """All that a line led to: exit code, text without colours, and seconds from Enter to there."""

    code: int
    text: str
    seconds: float
    answered: list[float] = field(default_factory=list)
    """Seconds from Enter to each answer."""


def begin(
    argv: Sequence[str],
    *,
    rows: int,
    columns: int,
    owner: int | None = None,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
) -> tuple[int, subprocess.Popen[bytes]]:
    """Start a process with a terminal of its own, so that a typed Ctrl-C is a SIGINT.

    Returns our end of the terminal, too.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    if owner is not None:
        os.fchown(theirs, owner, -1)  # as a login does: programs open it by its name, too
    process = subprocess.Popen(
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
    return ours, process


def read(ours: int, seconds: float) -> bytes:
    """What is shown next; nothing when that does not come in time, or nobody is left to show it."""
    ready, _, _ = select.select([ours], [], [], max(0, seconds))
    if ready:
        with contextlib.suppress(OSError):  # EIO: the last holder of the other end is gone
            return os.read(ours, 65536)
    return b""


class Terminal:
    """A process on a pseudo-terminal of its own; `command` is to become a login shell, bash."""

    def __init__(self, command: Sequence[str], *, owner: int) -> None:
        self._ours, self.process = begin(command, rows=ROWS, columns=COLUMNS, owner=owner)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.transcript = ""
        self._new = ""

    def set_up(self) -> None:
        """Wait for the shell; give it, and shells in it, a prompt that tells the last exit code."""
        self.ask("export PROMPT_COMMAND='PS1=\"<$?> \"'", patience=60)

    def ask(self, line: str, *answers: Answer, patience: float) -> Said:
        """Type a line, and the answers as their texts are shown; ends at the next prompt.

        Raises CommandFailed when that does not come in `patience` seconds.
        """
        self._new = ""
        started = time.monotonic()
        self._type(line + "\n")
        said, waiting, seen = Said(0, "", 0), list(answers), 0
        while True:
            self._read(line, started + patience)
            said.seconds = time.monotonic() - started
            seen = seen or self._new.find("\n") + 1  # the line itself is shown first
            for number, answer in enumerate(waiting if seen else (), start=1):
                if (at := self._new.find(answer.shown, seen)) >= 0:
                    self._type(answer.keys)
                    seen = at + len(answer.shown)
                    said.answered += [said.seconds] * number
                    del waiting[:number]
                    break
                if answer.keys:
                    break
            if found := PROMPT.search(plain(self._new[-TAIL:])):
                text = PROMPT.sub("", plain(self._new))
                said.code, said.text = int(found[1]), text.partition("\n")[2].lstrip("\r")
                return said

    def close(self) -> None:
        """Take the terminal away, and wait for the end of all that it was for."""
        os.close(self._ours)
        self.process.wait(timeout=60)

    def _type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def _read(self, line: str, deadline: float) -> None:
        piece = read(self._ours, deadline - time.monotonic())
        if not piece:
            rows = [row for row in plain(self._new).splitlines() if row.strip()]
            raise CommandFailed("\n  ".join([f"`{line}` came to no end:", *rows[-ROWS:]]))
        text = self._decoder.decode(piece)
        self.transcript += text
        self._new += text


def plain(text: str) -> str:
    """Without colours and movements of the cursor."""
    return ESCAPES.sub("", text).replace("\r\n", "\n")
