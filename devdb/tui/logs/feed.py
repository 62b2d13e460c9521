"""What brings lines to the view: a thread that follows the servers' logs."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import closing

from devdb.errors import DevdbError
from devdb.model import Spec
from devdb.tui.logs.line import Line, line_of, said
from devdb.workspace import logs

TAIL = 5000
"""Lines of each server that are there to begin with."""
AHEAD = 20_000
"""Lines that wait to be shown; what comes on top of them is counted and left out."""


class Feed:
    """Follows until it is stopped; nothing of it waits for who takes the lines."""

    def __init__(self, spec: Spec, tell: Callable[[], object], *, tail: int = TAIL) -> None:
        """`tell` is called in the thread, when there is something to take after there was not."""
        self._spec = spec
        self._tell = tell
        self._tail = tail
        self._waiting: deque[Line] = deque()
        self._left_out = 0
        self._is_told = False
        self._stopped = False
        self.room = AHEAD
        """How many lines may wait."""

    def start(self) -> None:
        """Begin to follow. A daemon: an engine that hangs must not keep the user from leaving."""
        threading.Thread(target=self._follow, name="devdb-logs", daemon=True).start()

    def stop(self) -> None:
        """The thread ends within a heartbeat; it is not waited for."""
        self._stopped = True

    @property
    def waiting(self) -> int:
        """How many lines have come and are not taken, those left out among them."""
        return len(self._waiting) + self._left_out

    def take(self, most: int) -> list[Line]:
        """As many as are there, from the oldest on."""
        self._is_told = False
        lines: list[Line] = []
        while self._waiting and len(lines) < most:
            lines.append(self._waiting.popleft())
        return lines

    def _follow(self) -> None:
        try:
            entries = logs.followed(self._spec, tail=self._tail)
            with closing(entries):
                for entry in entries:
                    if self._stopped:
                        return
                    if entry is None:
                        self._say_what_is_missing()
                    elif len(self._waiting) < self.room:
                        self._say_what_is_missing()
                        self._put(line_of(entry))
                    else:
                        self._left_out += 1
            self._say_what_is_missing()
        except DevdbError as error:
            self._put(said("devdb", error.message))

    def _say_what_is_missing(self) -> None:
        if self._left_out and len(self._waiting) < self.room:
            missing, self._left_out = self._left_out, 0
            self._put(said("devdb", f"{missing:,} left out: more than can be shown"))

    def _put(self, line: Line) -> None:
        self._waiting.append(line)
        if not self._is_told:
            self._is_told = True
            self._tell()
