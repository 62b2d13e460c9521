"""What a server said before it died, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable

from textual import on
from textual.content import Content
from textual.events import Resize
from textual.widgets import Static

from devdb.masking import visible
from devdb.model import LogLine
from devdb.tui.keybar import KEY

MOST = 8
STARTS = {"postgres": "starting PostgreSQL", "pgbouncer": "process up"}
"""What each of them logs first."""

_PREFIX = re.compile(r"^\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d)\S* \S+ \[\d+\]")
"""What both servers put before a line; of it only the time is worth its place here."""


def since_start(lines: Iterable[LogLine]) -> tuple[LogLine, ...]:
    """Of each server the lines since its last start: those of an earlier life mislead.

    All of a server's lines where none of them tells of a start.
    """
    every = tuple(lines)
    starts = {
        line.part: index
        for index, line in enumerate(every)
        if line.part in STARTS and STARTS[line.part] in line.text
    }
    return tuple(line for index, line in enumerate(every) if index >= starts.get(line.part, 0))


class LastWords(Static):
    """Hidden while nobody is dead; else as many lines as leave room for the URLs."""

    _lines: tuple[LogLine, ...] = ()

    def show(self, lines: tuple[LogLine, ...]) -> None:
        """Show the end of these."""
        self._lines = since_start(lines)
        self._draw()

    @on(Resize)
    def _draw(self) -> None:
        self.display = bool(self._lines)
        room = max(1, min(MOST, self.app.size.height // 3))
        lines = [Content(visible(_PREFIX.sub(r"\1", line.text))) for line in self._lines[-room:]]
        todo = Content.assemble(
            ("r", KEY), " stops and starts the instance, ", ("l", KEY), " shows the whole log"
        )
        self.update(Content("\n").join([*lines, todo]))
