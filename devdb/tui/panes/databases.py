"""All databases of the instance, and what can be done with the chosen one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from textual import on, work
from textual.binding import BindingType
from textual.content import Content

from devdb import databases
from devdb.databases import Stage, TemporaryDatabase, check_name
from devdb.errors import DevdbError
from devdb.model import Spec
from devdb.tui import words
from devdb.tui.dialogs import Confirm, DatabaseUrls
from devdb.tui.ending import Unfinished
from devdb.tui.forms import Ask, NewDatabase, Wanted
from devdb.tui.grid import Column, Grid, Row
from devdb.tui.keys import OF_DATABASES
from devdb.tui.messages import Begun, Done, NotDone
from devdb.tui.panes.pane import Pane
from devdb.wording import count, size, span
from devdb.workspace import temp
from devdb.workspace.databases import Database, Standing

LAST_HOUR = 3600
WARNING = "b $text-warning"


def remaining(found: TemporaryDatabase | None, waited: float) -> Content:
    """What is left of its time, `waited` seconds after it was seen, or what it is instead."""
    if found is None:
        return Content("")
    if found.state == Stage.CLAIMED:
        return Content.styled("kept", "$text-success")
    if found.state != Stage.READY or found.left is None:
        return Content.styled(found.state.value, "$foreground-muted")
    seconds = found.left.total_seconds() - waited
    return Content.styled(words.countdown(seconds), WARNING if seconds < LAST_HOUR else "")


def _made(spec: Spec, wanted: Wanted) -> TemporaryDatabase:
    with temp.opened(wanted.seed) as seed:
        return temp.create(spec, ttl=wanted.ttl, source=wanted.source, seed=seed, name=wanted.name)


class Databases(Pane):
    """A row for each, with a running countdown; what changes them is done in a thread."""

    TITLE: ClassVar[str] = "Databases"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("database", 18, most=32),
        Column("kind", 9),
        Column("left", 12),
        Column("size", 9, right=True),
        Column("sessions", 8, right=True),
    )
    EMPTY: ClassVar[str] = "Postgres cannot be asked for them"
    BINDINGS: ClassVar[list[BindingType]] = [*OF_DATABASES]

    def __init__(self, spec: Spec, unfinished: Unfinished) -> None:
        super().__init__()
        self._spec = spec
        self._unfinished = unfinished
        self._databases: dict[str, Database] = {}
        self._seen_at = time.monotonic()
        self._made = ""
        self._nobody_knows = False
        self.client: str | None = None
        """Whom their URLs are spelled for; None: for nobody in particular."""

    def on_mount(self) -> None:
        """The countdowns run by themselves."""
        self.set_interval(1, self._draw)

    def show(self, databases: tuple[Database, ...] | None) -> None:
        """Show these; None: Postgres lets nobody in."""
        found = {database.name: database for database in databases or ()}
        unknown, self._nobody_knows = self._nobody_knows, databases is None
        if found != self._databases or unknown != self._nobody_knows:
            self._databases, self._seen_at = found, time.monotonic()
            self._draw()
        if self._made in found:
            self.grid.go_to(self._made)
            self._made = ""

    @property
    def known(self) -> tuple[Database, ...]:
        """Those that were seen last."""
        return tuple(self._databases.values())

    @property
    def chosen(self) -> Database | None:
        """The one the cursor is on."""
        return self._databases.get(self.grid.chosen or "")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What can be done with the chosen one now."""
        chosen = self.chosen
        if action in ("urls", "claim", "extend", "drop"):
            if chosen is None:
                return False
            if action == "drop":
                return chosen.can_be_dropped
            return chosen.is_alive if action == "urls" else chosen.can_be_kept
        return super().check_action(action, parameters)

    def make(self) -> None:
        """A new temporary one, empty or from what is there."""

        def take(wanted: Wanted | None) -> None:
            if wanted is not None:
                self._make(wanted)

        self.app.push_screen(NewDatabase(self.known, self.chosen), take)

    def action_claim(self) -> None:
        """Make the chosen one permanent, under another name too."""
        if (chosen := self.chosen) is None:
            return

        def take(name: str | None) -> None:
            if name is not None:
                self._claim(chosen.name, name)

        ask = Ask(f"Keep '{chosen.name}' for good", "keeps it", "as", chosen.name, check_name)
        self.app.push_screen(ask, take)

    def action_extend(self) -> None:
        """Let the chosen one live for longer, or shorter."""
        if (chosen := self.chosen) is None:
            return

        def take(ttl: str | None) -> None:
            if ttl is not None:
                self._extend(chosen.name, ttl)

        title = f"Let '{chosen.name}' live from now on"
        self.app.push_screen(Ask(title, "does it", "for", "24h", databases.parse_ttl), take)

    def action_drop(self) -> None:
        """Drop the chosen one, once that was confirmed."""
        if (chosen := self.chosen) is None:
            return
        sessions = f" and its {count(chosen.sessions, 'session')}" if chosen.sessions else ""
        is_claimed = chosen.standing == Standing.CLAIMED
        kept = ", which you claimed," if is_claimed else ""
        question = f"Drop '{chosen.name}'{kept} with all its data{sessions}?"

        def decide(confirmed: bool | None) -> None:
            if confirmed:
                self._drop(chosen.name, claimed=is_claimed)

        self.app.push_screen(Confirm(question), decide)

    @on(Grid.Moved)
    def _say_what_can_be_done(self) -> None:
        self.screen.refresh_bindings()

    @on(Grid.Chosen)
    def action_urls(self) -> None:
        """Both URLs of the chosen one, and copy the direct one."""
        if (chosen := self.chosen) is not None and chosen.is_alive:
            self.app.push_screen(DatabaseUrls(chosen, self.client))

    @work(thread=True)
    def _make(self, wanted: Wanted) -> None:
        of = f" from '{wanted.source}'" if wanted.source else ""
        seeded = f" with {wanted.seed.name}" if wanted.seed else ""
        if of or seeded:
            self.post_message(Begun(f"Making {wanted.name or 'a database'}{of}{seeded}"))

        def make() -> tuple[str, ...]:
            made = _made(self._spec, wanted)
            self._made = made.name
            lines = [f"It is gone in {span(wanted.ttl.total_seconds())}. Enter copies its URL."]
            if made.loaded is not None:
                skipped = made.loaded.words()
                lines += [f"Skipped of the seed: {skipped}"] if skipped else []
                lines += made.loaded.remarks
                lines += made.loaded.by_hand(self._spec.name, made.name)
            return (f"'{made.name}' is made", *lines)

        self._do(make)

    @work(thread=True)
    def _claim(self, name: str, new_name: str) -> None:
        def claim() -> tuple[str, ...]:
            databases.claim(self._spec, name, new_name)
            if new_name == name:
                return f"'{name}' stays", "Its URLs and its data are what they were."
            return f"'{name}' stays, as '{new_name}'", "So it is called in its URLs too."

        self._do(claim)

    @work(thread=True)
    def _extend(self, name: str, ttl: str) -> None:
        def extend() -> tuple[str, ...]:
            lives = databases.parse_ttl(ttl)
            databases.extend(self._spec, name, lives)
            return (f"'{name}' lives for {span(lives.total_seconds())} from now on",)

        self._do(extend)

    @work(thread=True)
    def _drop(self, name: str, *, claimed: bool) -> None:
        def drop() -> tuple[str, ...]:
            databases.drop(self._spec, [name], claimed=claimed)
            return (f"'{name}' is dropped",)

        self._do(drop)

    def _do(self, what: Callable[[], tuple[str, ...]]) -> None:
        try:
            with self._unfinished.work():
                lines = what()
        except DevdbError as error:
            self.post_message(NotDone(error))
        else:
            self.post_message(Done(lines))

    def _draw(self) -> None:
        if self._nobody_knows:
            self.grid.show((), empty="Postgres lets nobody in")
            self.say("?")
            return
        known = self._databases.values()
        self.grid.show(self._row(each) for each in known)
        number = len(known)
        ends = sum(each.standing == Standing.TEMPORARY for each in known)
        temporaries = f", {ends} temporary" if ends else ""
        self.say(str(number), (f"{count(number, 'database')}{temporaries}", "$foreground-muted"))

    def _row(self, database: Database) -> Row:
        cells = (
            database.name,
            database.standing.value,
            remaining(database.temporary, time.monotonic() - self._seen_at),
            size(database.size),
            str(database.sessions),
        )
        return Row(database.name, cells)
