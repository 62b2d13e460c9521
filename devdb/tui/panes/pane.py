"""What the panes of the middle are made of: a heading with counts, and a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widgets import Static

from devdb.tui.grid import Column, Grid


class Pane(Vertical):
    """A heading above a grid; how much of the grid is seen is the Middle's business."""

    TITLE: ClassVar[str]
    COLUMNS: ClassVar[tuple[Column, ...]]
    EMPTY: ClassVar[str]
    """What the grid says where it has no rows."""

    @dataclass
    class Changed(Message):
        """It says something else, or has another number of rows: it may need other room."""

        pane: Pane

    def __init__(self) -> None:
        super().__init__()
        self.grid = Grid(self.COLUMNS, empty=self.EMPTY)
        """The table."""
        self.tally = ""
        """Stands beside the title where there is no room for the heading: a number."""
        self._said = Content("")
        self._heading = Static(self._titled(self._said), classes="heading")

    def compose(self) -> ComposeResult:
        """The one above the other."""
        yield self._heading
        yield self.grid

    @property
    def need(self) -> int:
        """How many lines show all of it."""
        return 1 + self.grid.virtual_size.height

    def say(self, tally: str, *parts: str | tuple[str, str]) -> None:
        """Show the parts, each a text or a text and its style, after the title."""
        said = Content.assemble(*parts)
        if tally != self.tally or not said.is_same(self._said):
            self.tally, self._said = tally, said
            self._heading.update(self._titled(said))
            self.post_message(self.Changed(self))

    def _titled(self, said: Content) -> Content:
        return Content.assemble((self.TITLE, "b"), "  ", said)

    @on(Click, ".heading")
    def _come_here(self) -> None:
        self.grid.focus()
