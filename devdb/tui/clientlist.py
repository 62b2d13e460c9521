"""The key `f`: the clients there are to choose from, for this dashboard or for the project."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from devdb.tui import words
from devdb.tui.keybar import KEY
from devdb.urls.clients import CLIENTS, Client


@dataclass(frozen=True, slots=True)
class Choice:
    """The client that was chosen, and whether the project's devdb.toml is to name it."""

    name: str
    keep: bool


class ClientList(ModalScreen[Choice | None]):
    """The rows of the table over the dashboard; None: it stays as it is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "keep", "Keep it", tooltip="Choose it and write that to devdb.toml"),
        Binding("escape,q,f", "dismiss(None)", "Back", tooltip="Leave it as it is"),
    ]

    def __init__(self, current: Client, file: Path | None) -> None:
        """`file` is where a choice can be kept; None: nowhere."""
        super().__init__()
        self._current = current
        self._file = file

    def compose(self) -> ComposeResult:
        """A client and who uses it, its note below."""
        with Vertical(classes="dialog") as box:
            box.border_title = "Which client are the URLs for?"
            box.border_subtitle = "esc closes"
            yield Static(Content.assemble(*self._keys()), classes="ways")
            yield OptionList(*(_option(each, self._current) for each in CLIENTS.values()))

    def on_mount(self) -> None:
        """Begin at the one that is chosen."""
        options = self.query_one(OptionList)
        options.highlighted = options.get_option_index(self._current.name)

    def _keys(self) -> Iterator[str | tuple[str, str]]:
        yield from (("enter", KEY), " chooses it for this dashboard")
        if self._file is not None:
            yield from (("   k", KEY), f" keeps it in {words.path(self._file)}")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without a project there is nowhere to keep it."""
        if action == "keep":
            return self._file is not None
        return super().check_action(action, parameters)

    def action_keep(self) -> None:
        """The highlighted one, for the project."""
        chosen = self.query_one(OptionList).highlighted_option
        if chosen is not None and chosen.id is not None:
            self.dismiss(Choice(chosen.id, keep=True))

    @on(OptionList.OptionSelected)
    def _choose(self, event: OptionList.OptionSelected) -> None:
        if event.option_id is not None:
            self.dismiss(Choice(event.option_id, keep=False))


def _option(client: Client, current: Client) -> Option:
    mark = "●" if client is current else " "
    note = client.note.replace("`", "")
    return Option(
        Content.assemble(
            f"{mark} ",
            (client.name, KEY),
            f"  {client.used_by}\n",
            (f"    {note}", "$foreground-muted"),
        ),
        id=client.name,
    )
