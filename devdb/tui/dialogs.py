"""What is asked or shown over the dashboard for one temporary database."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from devdb.temporary import TemporaryDatabase
from devdb.tui.keybar import KEY
from devdb.tui.urlcard import UrlCard


class Confirm(ModalScreen[bool]):
    """A question whose answer is yes only if `y` is pressed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Yes", tooltip="Do it"),
        Binding("escape,n,q", "dismiss(False)", "No", tooltip="Leave it as it is"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """The question and the two answers."""
        with Vertical(classes="dialog"):
            yield Static(Content(self._question))
            yield Static(
                Content.assemble(("y", KEY), " yes   ", ("n", KEY), " no"),
                classes="answers",
            )


class TemporaryUrls(ModalScreen[None]):
    """Both URLs of a temporary database, whole."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "copy('t')", "Copy the direct one", tooltip="Copy the URL straight to it"),
        Binding("p", "copy('p')", "Copy the pooled one", tooltip="Copy the URL through PgBouncer"),
        Binding("escape,q,enter", "dismiss", "Back", tooltip="To the dashboard"),
    ]

    def __init__(self, database: TemporaryDatabase, client: str | None) -> None:
        super().__init__()
        self._database = database
        self._client = client

    def compose(self) -> ComposeResult:
        """As on the dashboard."""
        with Vertical(classes="dialog") as box:
            box.border_title = Content.styled(self._database.name, "b")
            box.border_subtitle = "esc closes"
            yield UrlCard("t", self._database.direct, client=self._client, whole=True)
            yield UrlCard("p", self._database.pooled, client=self._client, whole=True)

    def action_copy(self, key: str) -> None:
        """Copy one."""
        self.query_one(f"#url-{key}", UrlCard).show_and_copy()
