"""The key `?`: every key with what it does, made of the bindings themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from devdb.tui.keybar import KEY


class HelpScreen(ModalScreen[None]):
    """A page over the dashboard."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "dismiss", "Back"),
    ]

    def __init__(self, bindings: Iterable[Binding]) -> None:
        super().__init__()
        self._shown = list(bindings)

    def compose(self) -> ComposeResult:
        """A key a line."""
        rows = [
            Content.assemble(
                (f"{self.app.get_key_display(binding):>8}  ", KEY),
                binding.tooltip,
            )
            for binding in self._shown
        ]
        with VerticalScroll(classes="dialog help") as box:
            box.border_title = "Keys"
            box.border_subtitle = "esc closes"
            yield Static(Content("\n").join(rows))
