"""The top line: whose dashboard this is, and in one word how things stand."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static


class Banner(Horizontal):
    """The instance's name on the left, its state on the right."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._instance = name
        self._said: tuple[str | tuple[str, str], ...] = ()

    def compose(self) -> ComposeResult:
        """Two texts."""
        title = Content.assemble(("devdb ", "$foreground-muted"), (self._instance, "b"))
        yield Static(title, classes="title")
        yield Static(classes="state")

    def say(self, *parts: str | tuple[str, str]) -> None:
        """Show this on the right; a part is a text, or a text and its style."""
        if parts != self._said:
            self._said = parts
            self.query_one(".state", Static).update(Content.assemble(*parts))
