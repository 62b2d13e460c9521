"""The temporary databases of the instance: a table, and what can be done with its rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import DataTable, Static

from devdb import temporary
from devdb.errors import DevdbError
from devdb.model import Spec
from devdb.temporary import Stage, TemporaryDatabase
from devdb.tui import words
from devdb.tui.dialogs import Confirm, TemporaryUrls
from devdb.tui.ending import Unfinished
from devdb.tui.messages import Done, NotDone
from devdb.wording import count, size

COLUMNS = {"name": 26, "left": 13, "size": 9, "sessions": 8}
"""The columns and their widths: all of them are seen on a terminal of 60."""
LIFE = f"{temporary.DEFAULT_TTL // timedelta(hours=1)} h"
LAST_HOUR = 3600
WARNING = "b $text-warning"
INVITATION = f"none yet: n makes one that is gone in {LIFE}"


class Table(DataTable[Content], inherit_bindings=False):
    """Only moves its cursor; what is done with a row is the dashboard's keys' business."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "cursor_up", show=False),
        Binding("down", "cursor_down", show=False),
        Binding("pageup", "page_up", show=False),
        Binding("pagedown", "page_down", show=False),
    ]


class Temporaries(Vertical):
    """Lists them with a running countdown; makes, claims and drops them in a thread."""

    def __init__(self, spec: Spec, unfinished: Unfinished) -> None:
        super().__init__()
        self._spec = spec
        self._unfinished = unfinished
        self._databases: dict[str, TemporaryDatabase] = {}
        self._seen_at = time.monotonic()
        self._made = ""
        self.client: str | None = None
        """Whom their URLs are spelled for; None: for nobody in particular."""

    def compose(self) -> ComposeResult:
        """A heading and the table."""
        yield Static(id="temporaries-heading")
        yield Table(cursor_type="row", cell_padding=0)

    def on_mount(self) -> None:
        """Nothing is known yet."""
        self.display = False
        for column, width in COLUMNS.items():
            self.query_one(Table).add_column(column, key=column, width=width)
        self.set_interval(1, self._count_down)

    def show(self, databases: tuple[TemporaryDatabase, ...] | None) -> None:
        """Show these; None: hide, because nobody knows."""
        self.display = databases is not None
        if databases is None:
            return
        found = {database.name: database for database in databases}
        if found == self._databases and found:
            return
        self._databases, self._seen_at = found, time.monotonic()
        heading: list[str | tuple[str, str]] = [("Temporary databases  ", "b")]
        heading += [] if found else [(INVITATION, "$foreground-muted")]
        self.query_one("#temporaries-heading", Static).update(Content.assemble(*heading))
        self._fill(self.query_one(Table))

    @property
    def chosen(self) -> TemporaryDatabase | None:
        """The one the cursor is on."""
        table = self.query_one(Table)
        if not table.row_count:
            return None
        key = table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value
        return self._databases.get(key or "")

    @work(thread=True)
    def make(self) -> None:
        """A new one."""
        self._do(self._make_one)

    def claim(self) -> None:
        """Make the chosen one permanent."""
        if (chosen := self.chosen) is not None:
            self._claim(chosen.name)

    def drop(self) -> None:
        """Drop the chosen one, once that was confirmed."""
        if (chosen := self.chosen) is None:
            return
        sessions = f" and its {count(chosen.sessions, 'session')}" if chosen.sessions else ""
        question = f"Drop '{chosen.name}' with all its data{sessions}?"

        def decide(confirmed: bool | None) -> None:
            if confirmed:
                self._drop(chosen.name)

        self.app.push_screen(Confirm(question), decide)

    @on(DataTable.RowSelected)
    def show_urls(self) -> None:
        """Both URLs of the chosen one; with the mouse: a click on the row the cursor is on."""
        if (chosen := self.chosen) is not None:
            self.app.push_screen(TemporaryUrls(chosen, self.client))

    @work(thread=True)
    def _claim(self, name: str) -> None:
        def claim() -> tuple[str, ...]:
            temporary.claim(self._spec, name)
            return f"'{name}' stays", "Its URLs and its data are what they were."

        self._do(claim)

    @work(thread=True)
    def _drop(self, name: str) -> None:
        def drop() -> tuple[str, ...]:
            temporary.drop(self._spec, [name])
            return (f"'{name}' is dropped",)

        self._do(drop)

    def _make_one(self) -> tuple[str, ...]:
        made = temporary.create(self._spec, ttl=temporary.DEFAULT_TTL)
        self._made = made.name
        return f"'{made.name}' is made", f"It is gone in {LIFE}. Enter shows its URLs."

    def _do(self, what: Callable[[], tuple[str, ...]]) -> None:
        try:
            with self._unfinished.work():
                lines = what()
        except DevdbError as error:
            self.post_message(NotDone(error))
        else:
            self.post_message(Done(lines))

    def _fill(self, table: Table) -> None:
        known = {key.value for key in table.rows}
        for name in known - self._databases.keys():
            table.remove_row(str(name))
        for name, database in self._databases.items():
            cells = (Content(words.shortened(name, COLUMNS["name"] - 1)), *self._cells(database))
            if name in known:
                for column, cell in zip(COLUMNS, cells, strict=True):
                    table.update_cell(name, column, cell)
            else:
                table.add_row(*cells, key=name)
                if name == self._made:
                    table.move_cursor(row=table.row_count - 1)
        table.display = bool(self._databases)
        if self._databases and not known:
            table.focus()

    def _cells(self, database: TemporaryDatabase) -> tuple[Content, Content, Content]:
        return (
            self._left(database),
            Content(size(database.size)),
            Content(str(database.sessions)),
        )

    def _left(self, database: TemporaryDatabase) -> Content:
        if database.state == Stage.CLAIMED:
            return Content.styled("kept", "$text-success")
        if database.state != Stage.READY or database.left is None:
            return Content.styled(database.state.value, "$foreground-muted")
        seconds = database.left.total_seconds() - (time.monotonic() - self._seen_at)
        style = WARNING if seconds < LAST_HOUR else ""
        return Content.styled(words.countdown(seconds), style)

    def _count_down(self) -> None:
        table = self.query_one(Table)
        for name, database in self._databases.items():
            if database.state == Stage.READY:
                table.update_cell(name, "left", self._left(database))
