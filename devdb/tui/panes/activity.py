"""The sessions of Postgres: what each of them does, and who holds up whom."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import ClassVar

from textual import on, work
from textual.binding import BindingType
from textual.content import Content

from devdb.errors import DevdbError
from devdb.masking import visible
from devdb.model import Spec
from devdb.monitor.backends import PREPARED, Backend
from devdb.tui import copying, words
from devdb.tui.dialogs import Confirm, WholeSession
from devdb.tui.grid import Column, Grid, Row
from devdb.tui.keys import OF_ACTIVITY
from devdb.tui.messages import Done, NotDone
from devdb.tui.panes.pane import Pane
from devdb.wording import count, span
from devdb.workspace import activity

MUTED = "$foreground-muted"
WARNING = "b $text-warning"
STATES = {
    "active": ("active", "$text-success"),
    "idle": ("idle", MUTED),
    "idle in transaction": ("idle tx", "$text-warning"),
    "idle in transaction (aborted)": ("failed tx", "$text-error"),
    "fastpath function call": ("active", "$text-success"),
}
"""How the states of pg_stat_activity are told in few cells."""
RUNNING = ("active", "fastpath function call")
"""Those in which there is something to cancel."""
_QUERY = 1000
"""So many characters of a query are wider than any terminal; some have megabytes."""


class Activity(Pane):
    """A row for each session, in the order that the look has them; a paused one stays as it is."""

    TITLE: ClassVar[str] = "Activity"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("pid", 7, right=True),
        Column("application", 10, most=24),
        Column("way", 6),
        Column("state", 7, most=9),
        Column("age", 6, right=True),
        Column("waits for", 12, most=24, spare=True),
        Column("blocked by", 10, most=12),
        Column("query", 20, flexible=True),
    )
    EMPTY: ClassVar[str] = "no session but devdb's own"
    BINDINGS: ClassVar[list[BindingType]] = [*OF_ACTIVITY]

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self._spec = spec
        self._seen: tuple[Backend, ...] | None = ()
        self._shown: dict[str, Backend] = {}
        self._rows: dict[str, tuple[tuple[object, ...], Row]] = {}
        self._paused_at: float | None = None

    def on_mount(self) -> None:
        """How old a paused view is changes by itself."""
        self.set_interval(1, self._say_how_old)

    def show(self, backends: tuple[Backend, ...] | None) -> None:
        """Show these, once it is no more paused; None: Postgres let nobody in."""
        self._seen = backends
        if not self.paused:
            self._draw()

    @property
    def chosen(self) -> Backend | None:
        """The session that the cursor is on, as it is shown."""
        return self._shown.get(self.grid.chosen or "")

    @property
    def paused(self) -> bool:
        """Whether the view is held."""
        return self._paused_at is not None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What can be done with the chosen one now."""
        chosen = self.chosen
        if action in ("whole", "copy_query", "cancel", "end"):
            if chosen is None or (action == "copy_query" and not chosen.query):
                return False
            return action != "cancel" or chosen.state in RUNNING
        return super().check_action(action, parameters)

    @on(Grid.Moved)
    def _say_what_can_be_done(self) -> None:
        self.screen.refresh_bindings()

    @on(Grid.Chosen)
    def action_whole(self) -> None:
        """Show the chosen one whole; from there to who blocks it."""
        if (chosen := self.chosen) is not None:
            self.app.push_screen(WholeSession(chosen, self._blockers(chosen)), self._follow)

    def _follow(self, pid: int | None) -> None:
        if pid is not None and not self.go_to(pid):
            self.post_message(NotDone(_not_shown(pid)))

    def _blockers(self, blocked: Backend) -> list[Backend]:
        """Who blocks it, who blocks those, and so on; each once."""
        by_pid = {backend.pid: backend for backend in self._shown.values()}
        found = {blocked.pid: blocked}
        queue = [blocked]
        while queue:
            for pid in queue.pop(0).blocked_by:
                if pid in by_pid and pid not in found:
                    found[pid] = by_pid[pid]
                    queue.append(by_pid[pid])
        return list(found.values())[1:]

    @work(exclusive=True)
    async def action_copy_query(self) -> None:
        """Copy what the chosen one runs, or ran last."""
        if (chosen := self.chosen) is not None:
            copied = await copying.copy(self.app, chosen.query)
            first = " ".join(visible(chosen.query).split())
            self.post_message(Done((copying.told(copied), first)))

    def action_cancel(self) -> None:
        """Cancel what the chosen one runs, once that was confirmed."""
        if (chosen := self.chosen) is not None:
            question = f"Cancel the query of {_named(chosen)}?"
            self._ask(
                question, "It gets an error; its session stays.", partial(self._cancel, chosen)
            )

    def action_end(self) -> None:
        """End the chosen session, once that was confirmed."""
        if (chosen := self.chosen) is None:
            return
        what = "Its transaction is rolled back, and its client has to connect anew."
        if chosen.is_pooled:
            what = "Its transaction is rolled back. It is PgBouncer's, which opens another one."
        self._ask(f"End the session of {_named(chosen)}?", what, partial(self._end, chosen))

    def _ask(self, question: str, consequence: str, do: Callable[[], object]) -> None:
        def decide(confirmed: bool | None) -> None:
            if confirmed:
                do()

        self.app.push_screen(Confirm(f"{question}\n{consequence}"), decide)

    @work(thread=True)
    def _cancel(self, backend: Backend) -> None:
        self._tell(backend, activity.cancel, f"The query of {_named(backend)} is cancelled")

    @work(thread=True)
    def _end(self, backend: Backend) -> None:
        self._tell(backend, activity.end, f"The session of {_named(backend)} is ended")

    def _tell(self, backend: Backend, order: Callable[[Spec, Backend], bool], done: str) -> None:
        try:
            is_told = order(self._spec, backend)
        except DevdbError as error:
            self.post_message(NotDone(error))
        else:
            gone = f"{_named(backend)} was gone already"
            self.post_message(Done((done if is_told else gone,)))

    def action_pause(self) -> None:
        """Hold the view, or let it go on."""
        self.pause()

    def pause(self) -> None:
        """Hold the view, or let it go on."""
        self._paused_at = None if self.paused else time.monotonic()
        if self.paused:
            self._say_how_old()
        else:
            self._draw()

    def go_to(self, pid: int) -> bool:
        """Put the cursor on the session of that pid; False: it is not shown."""
        keys = [key for key, backend in self._shown.items() if backend.pid == pid]
        return bool(keys) and self.grid.go_to(keys[0])

    def _draw(self) -> None:
        seen = self._seen
        if seen is None:
            self._shown, self._rows = {}, {}
            self.grid.show((), empty="Postgres lets nobody in")
            self.say("?")
            return
        holding = Counter(pid for backend in seen for pid in backend.blocked_by)
        self._shown = {_key(backend): backend for backend in seen}
        rows: dict[str, tuple[tuple[object, ...], Row]] = {}
        for key, backend in self._shown.items():
            holds = holding[backend.pid]
            looks = _looks(backend, holds)
            known = self._rows.get(key)
            # Most are what they were: a row is made only for those that are not.
            rows[key] = known if known and known[0] == looks else (looks, _row(key, backend, holds))
        self._rows = rows
        self.grid.show(row for _looks, row in rows.values())
        active = sum(backend.state == "active" for backend in seen)
        blocked = sum(bool(backend.blocked_by) for backend in seen)
        self.say(
            f"▲{blocked}" if blocked else str(len(seen)),
            (f"{count(len(seen), 'session')}, {active} active", MUTED),
            *((", ", (f"▲ {blocked} blocked", WARNING)) if blocked else ()),
        )

    def _say_how_old(self) -> None:
        if self._paused_at is not None:
            old = span(time.monotonic() - self._paused_at)
            self.say(
                f"{len(self._shown)} ‖",
                (f"‖ paused: as it was {old} ago", WARNING),
                (", Space goes on", MUTED),
            )


def _named(backend: Backend) -> str:
    return f"pid {backend.pid}" + (f" ({backend.application})" if backend.application else "")


def _not_shown(pid: int) -> DevdbError:
    if pid == PREPARED:
        return DevdbError(
            "A prepared transaction holds it, which no session has.",
            "SELECT * FROM pg_prepared_xacts; then ROLLBACK PREPARED or COMMIT PREPARED.",
        )
    return DevdbError(f"The session of pid {pid} is not shown.", "It may be gone, or devdb's own.")


def _key(backend: Backend) -> str:
    return f"{backend.pid} {backend.started.timestamp()}"


def _looks(backend: Backend, holds: int) -> tuple[object, ...]:
    """All that its row is made of."""
    return (
        backend.state,
        words.age(backend.age),
        backend.waits_for,
        backend.blocked_by,
        holds,
        backend.query,
        backend.application,
    )


def _row(key: str, backend: Backend, holds: int) -> Row:
    state, style = STATES.get(backend.state, (backend.state, ""))
    query = visible(" ".join(backend.query[:_QUERY].split()))
    return Row(
        key,
        (
            str(backend.pid),
            backend.application or Content.styled("-", MUTED),
            Content.styled("pooled" if backend.is_pooled else "direct", MUTED),
            Content.styled(state, style),
            words.age(backend.age),
            Content.styled(visible(backend.waits_for), WARNING if backend.blocked_by else MUTED),
            _blocked(backend, holds),
            query if backend.state == "active" else Content.styled(query, MUTED),
        ),
    )


def _blocked(backend: Backend, holds: int) -> Content | str:
    """Who holds it up; of one that is held up by nobody, how many it does."""
    if backend.blocked_by:
        first, *more = backend.blocked_by
        return Content.styled(f"{first} +{len(more)}" if more else str(first), WARNING)
    return Content.styled(f"blocks {holds}", "b $text-error") if holds else ""
