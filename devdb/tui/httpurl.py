"""The HTTP URL, copied, and what it is for."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from devdb.tui import copying
from devdb.urls.serverless import HTTP_URL, SNIPPET

_PURPOSE = (
    f"{HTTP_URL} for serverless drivers, which these lines lead there once in the project. "
    "DATABASE_URL stays the one that it is: its port chooses direct or pooled."
)


class HttpUrl(ModalScreen[bool]):
    """It is copied at once; no secret is in it. It ends with whether it is wanted once more."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "h", "dismiss(True)", "Again", tooltip="Copy the URL again; start its gateway if off"
        ),
        Binding("y", "copy('lines')", "Copy the lines", tooltip="Copy the lines for the project"),
        Binding("escape,q,enter", "dismiss(False)", "Back", tooltip="To the dashboard"),
    ]

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def compose(self) -> ComposeResult:
        """The URL, what became of the copy, and how it is used."""
        with VerticalScroll(classes="dialog") as box:
            box.border_title = Content.styled("HTTP", "b")
            box.border_subtitle = "y copies the lines, esc closes"
            yield Static(Content(self._url), id="url-h")
            yield Static(id="copied")
            yield Static(Content(_PURPOSE), classes="purpose")
            yield Static(Content(SNIPPET.rstrip()), classes="purpose")

    def on_mount(self) -> None:
        """The key was pressed for it."""
        self.action_copy("url")

    def action_copy(self, what: str) -> None:
        """Copy the URL or the lines, and say what became of that."""
        self.query_one("#copied", Static).update("copying")
        self._copy(what)

    @work(exclusive=True)
    async def _copy(self, what: str) -> None:
        text = SNIPPET if what == "lines" else self._url
        told = copying.told(await copying.copy(self.app, text))
        if what == "lines":
            told = Content.assemble("the lines: ", told)
        self.query_one("#copied", Static).update(told)
