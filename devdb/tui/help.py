"""The key `?`: every key with what it does, made of the bindings themselves, and the facts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from devdb.tui.keybar import KEY


class HelpScreen(ModalScreen[None]):
    """A page over the dashboard."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "dismiss", "Back"),
    ]

    def __init__(
        self, keys: Iterable[ActiveBinding], facts: Iterable[tuple[str, str]] = ()
    ) -> None:
        """`facts` are names and texts."""
        super().__init__()
        self._shown = [each.binding for each in keys]
        self._facts = list(facts)

    def compose(self) -> ComposeResult:
        """A key a line, below them a fact a line, or as many as it needs."""
        with VerticalScroll(classes="dialog help") as box:
            box.border_title = "Keys"
            box.border_subtitle = "esc closes"
            for binding in self._shown:
                key = (self.app.get_key_display(binding), KEY)
                yield _row(Content.assemble(key), Content(binding.tooltip))
            yield Static()
            for name, text in self._facts:
                yield _row(Content.styled(name, "$foreground-muted"), Content(text))


def _row(name: Content, text: Content) -> Horizontal:
    """Where the text is too long it goes on below itself, not below its name."""
    return Horizontal(Static(name, classes="name"), Static(text), classes="row")
