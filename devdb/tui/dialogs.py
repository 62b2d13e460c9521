"""What is asked or shown over the dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from devdb.masking import visible
from devdb.monitor.backends import Backend
from devdb.tui import words
from devdb.tui.keybar import KEY
from devdb.tui.urlcard import UrlCard
from devdb.wording import span
from devdb.workspace.databases import Database


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


class DatabaseUrls(ModalScreen[None]):
    """Both URLs of a database, whole; the direct one is copied at once."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "copy('t')", "Copy the direct one", tooltip="Copy the URL straight to it"),
        Binding("p", "copy('p')", "Copy the pooled one", tooltip="Copy the URL through PgBouncer"),
        Binding("escape,q,enter", "dismiss", "Back", tooltip="To the dashboard"),
    ]

    def __init__(self, database: Database, client: str | None) -> None:
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

    def on_mount(self) -> None:
        """The row was pressed for its URL."""
        self.action_copy("t")

    def action_copy(self, key: str) -> None:
        """Copy one."""
        self.query_one(f"#url-{key}", UrlCard).show_and_copy()


class WholeSession(ModalScreen[int | None]):
    """A session with its query whole, and who blocks it; its answer is the pid to go to."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "follow", "Go to its blocker", tooltip="Go to who blocks it"),
        Binding("escape,q", "dismiss(None)", "Back", tooltip="To the dashboard"),
    ]

    def __init__(self, backend: Backend, blockers: Sequence[Backend]) -> None:
        """`blockers`: who blocks it, who blocks those, and so on."""
        super().__init__()
        self._backend = backend
        self._blockers = blockers

    def compose(self) -> ComposeResult:
        """What there is to know of it, the query last."""
        backend = self._backend
        with VerticalScroll(classes="dialog") as box:
            box.border_title = Content.styled(_of(backend), "b")
            enter = "enter goes to its blocker, " if backend.blocked_by else ""
            box.border_subtitle = f"{enter}esc closes"
            way = "through PgBouncer" if backend.is_pooled else "direct"
            rows = [
                ("database", f"{backend.database} as {backend.role}"),
                ("comes", f"{way}, from {backend.client or 'a local socket'}"),
                ("state", f"{backend.state} for {span(backend.age)}"),
            ]
            if backend.waits_for:
                rows.append(("waits for", backend.waits_for))
            rows += [("blocked by", _doing(each)) for each in self._blockers]
            yield Static(
                Content("\n").join(
                    Content.assemble((f"{name:<11}", "$foreground-muted"), visible(text))
                    for name, text in rows
                )
            )
            lines = backend.query.splitlines()
            yield Static(Content("\n".join(map(visible, lines))), classes="query")

    def action_follow(self) -> None:
        """Close, and go to the first that blocks it."""
        self.dismiss(self._backend.blocked_by[0] if self._backend.blocked_by else None)


def _of(backend: Backend) -> str:
    return f"pid {backend.pid}" + (
        f"  {visible(backend.application)}" if backend.application else ""
    )


def _doing(backend: Backend) -> str:
    query = words.shortened(" ".join(backend.query.split()), 60)
    return f"{_of(backend)}, {backend.state} for {span(backend.age)}: {query}"
