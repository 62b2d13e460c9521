"""The key `f`: the clients there are to choose from."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from devdb.tui.keybar import KEY
from devdb.urls.clients import CLIENTS, Client


class ClientList(ModalScreen[str | None]):
    """The rows of the table over the dashboard; its answer is a client's name, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,f", "dismiss(None)", "Back", tooltip="Leave it as it is"),
    ]

    def __init__(self, current: Client) -> None:
        super().__init__()
        self._current = current

    def compose(self) -> ComposeResult:
        """A client and who uses it, its note below."""
        with Vertical(classes="dialog") as box:
            box.border_title = "Which client are the URLs for?"
            box.border_subtitle = "enter chooses, esc closes"
            yield OptionList(*(_option(each, self._current) for each in CLIENTS.values()))

    def on_mount(self) -> None:
        """Begin at the one that is chosen."""
        options = self.query_one(OptionList)
        options.highlighted = options.get_option_index(self._current.name)

    @on(OptionList.OptionSelected)
    def _choose(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id)


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
