"""The top line: whose dashboard this is, and in one word how things stand."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.events import Resize
from textual.widgets import Static

NARROW = 60
"""With fewer columns only the gist is told."""

BETWEEN = "  ·  "
GAP = "    "
"""What the line's padding and the gap between its two texts take."""


class Banner(Horizontal):
    """The instance's name on the left, its state on the right; None: it is about all of them."""

    def __init__(self, instance: str | None) -> None:
        super().__init__()
        self.instance = instance
        self._said: tuple[tuple[str, str], ...] = ()

    def compose(self) -> ComposeResult:
        """Two texts."""
        yield Static(classes="title")
        yield Static(classes="state")

    def say(self, *said: tuple[str, str]) -> None:
        """Show these on the right, the gist first, each a text and its style; as many as fit."""
        if said != self._said:
            self._said = said
            self._draw()

    @on(Resize)
    def _draw(self) -> None:
        width = self.app.size.width
        brand = "" if width < NARROW else "devdb "
        title = Content.assemble((brand, "$foreground-muted"), (self.instance or "instances", "b"))
        self.query_one(".title", Static).update(title)
        room = width - title.cell_length - len(GAP)
        said = [Content.styled(*each) for each in self._said]
        while len(said) > 1 and _joined(said).cell_length > room:
            said.pop()
        self.query_one(".state", Static).update(_joined(said))


def _joined(said: list[Content]) -> Content:
    return Content.styled(BETWEEN, "$foreground-muted").join(said)
