"""The key `l`: what the servers write, as they write it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, Static

from devdb.errors import DevdbError
from devdb.model import SERVERS, Spec, title
from devdb.tui.banner import Banner
from devdb.tui.help import HelpScreen
from devdb.tui.keybar import KEY, KeyBar, distinct
from devdb.tui.logs.feed import AHEAD, Feed
from devdb.tui.logs.kept import KEPT, Choices
from devdb.tui.logs.lines import LogLines
from devdb.tui.messages import Logged, NotDone
from devdb.tui.notice import Notice
from devdb.workspace import slow
from devdb.workspace.slow import OFF, THRESHOLD, Slow

_BATCH = 2000
"""Lines that are taken at once; keys are heard between two batches."""
_PAUSE = 0.05
"""Seconds from one batch to the next."""
_NONE = Choices()


@dataclass
class _Asked(Message):
    """How slow queries are logged, asked for or turned just now."""

    slow: Slow
    is_news: bool = False


class LogView(Screen[Choices]):
    """Follows the logs until it is left; what comes of it are the choices, for the next time."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", tooltip="End the filter, or go back to the dashboard"),
        Binding("l,q", "leave", "Back", show=False),
        Binding("slash", "filter", "Filter", tooltip="Show only lines with some words in them"),
        Binding("p", "part", "Part", tooltip="Postgres only, PgBouncer only, ..., all of them"),
        Binding("space", "pause", "Pause", tooltip="Count what comes, and show it later"),
        Binding("w", "wrap", "Wrap", tooltip="Long lines in several rows, or in one"),
        Binding("m", "slow", "Slow queries", tooltip="Have Postgres log them, or no more"),
        Binding("a", "everything", "All", tooltip="Also the lines about devdb's own work"),
        Binding("question_mark", "help", "Help", tooltip="Show this"),
    ]

    def __init__(self, spec: Spec, choices: Choices = _NONE) -> None:
        """`choices` are those with which it was left, if it was open before."""
        super().__init__()
        self._spec = spec
        self._choices = choices
        self._feed = Feed(spec, self._tell)
        self._is_paused = False
        self._is_due = False
        self._slow: Slow | None = None
        self._told = ""

    def compose(self) -> ComposeResult:
        """The lines take all the room there is."""
        yield Banner(self._spec.name)
        yield LogLines(self._choices)
        with Vertical(id="foot"):
            yield Notice()
            with Horizontal(id="filter"):
                yield Static(Content.styled("/ ", KEY))
                yield Input(self._choices.words, compact=True, select_on_focus=False)
            yield Static(id="told")
            yield KeyBar()

    def on_mount(self) -> None:
        """Begin to follow."""
        self._lines.focus()
        self._feed.start()
        self._look_at_slow()
        self.set_interval(0.5, self._say)
        self._say()

    def on_unmount(self) -> None:
        """The thread closes the stream within a heartbeat; it holds nothing up until then."""
        self._feed.stop()

    def _tell(self) -> None:
        self.post_message(Logged())

    @on(Logged)
    def _take(self) -> None:
        """Take what is there, no more than that keys are heard meanwhile."""
        if self._is_paused or self._is_due:
            return
        if lines := self._feed.take(_BATCH):
            self._lines.add(lines)
            self._is_due = True
            self.set_timer(_PAUSE, self._take_more)

    def _take_more(self) -> None:
        self._is_due = False
        self._take()

    def _choose(self, **changes: Any) -> None:
        self._choices = replace(self._choices, **changes)
        self._lines.choose(self._choices)
        self._say()

    @on(LogLines.Moved)
    def _say(self) -> None:
        """What is shown, of how much, in a line."""
        kept, parts = self._lines.kept, []
        shown, there = len(kept.shown), len(kept.lines)
        parts.append(f"{shown:,} of {there:,}" if shown != there else f"{there:,} lines")
        if self._is_paused:
            parts.append(f"paused, {self._feed.waiting:,} new")
        elif not self._lines.is_at_end:
            parts.append("end goes on with what comes")
        if self._choices.part is not None:
            parts.append(f"{title(self._choices.part)} only")
        if self._choices.words:
            parts.append(f"with '{self._choices.words}'")
        if kept.hidden:
            parts.append(f"{kept.hidden:,} of devdb's own work hidden: a shows them")
        if self._slow is not None and (self._slow.is_turned or self._slow.now != OFF):
            parts.append(_logged(self._slow))
        told = " · ".join(parts)
        if told != self._told:
            self._told = told
            self.query_one("#told", Static).update(Content(told))
        self._lines.empty = (
            "Nothing was written yet." if not there else "None of the lines is shown."
        )

    def action_back(self) -> None:
        """End the filter; where there is none, leave."""
        if self._filter.has_class("open") or self._choices.words:
            self._filter.remove_class("open")
            self._lines.focus()
            with self.prevent(Input.Changed):
                self.query_one(Input).value = ""
            self._choose(words="")
        else:
            self.action_leave()

    def action_leave(self) -> None:
        """To the dashboard."""
        self.dismiss(self._choices)

    def action_filter(self) -> None:
        """Ask for words."""
        self._filter.add_class("open")
        self.query_one(Input).focus()

    @on(Input.Changed)
    def _filter_by(self, event: Input.Changed) -> None:
        self._choose(words=event.value)

    @on(Input.Submitted)
    def _go_on_reading(self) -> None:
        """Enter: the filter stays, keys are the view's again."""
        self._filter.set_class(bool(self._choices.words), "open")
        self._lines.focus()

    def action_part(self) -> None:
        """The next part only; after the last one all of them."""
        others = [part for part in self._lines.kept.parts if part not in SERVERS]
        parts = [None, *SERVERS, *sorted(others)]
        place = parts.index(self._choices.part) if self._choices.part in parts else -1
        self._choose(part=parts[(place + 1) % len(parts)])

    def action_wrap(self) -> None:
        """Long lines in several rows, or in one."""
        self._choose(wrap=not self._choices.wrap)

    def action_everything(self) -> None:
        """Also the lines about devdb's own work, or no more."""
        self._choose(everything=not self._choices.everything)

    def action_pause(self) -> None:
        """Show nothing new, or go on."""
        self._is_paused = not self._is_paused
        self._feed.room = KEPT if self._is_paused else AHEAD
        self._take()
        self._say()

    def action_help(self) -> None:
        """Open the help."""
        self.app.push_screen(HelpScreen(distinct(self)))

    def action_slow(self) -> None:
        """Have Postgres log slow queries, or no more."""
        self._turn_slow()

    @work(thread=True, exclusive=True, group="slow")
    def _look_at_slow(self) -> None:
        # Where it cannot be asked nothing is said of it: the banner says how the instance is.
        with suppress(DevdbError):
            self.post_message(_Asked(slow.look(self._spec)))

    @work(thread=True, exclusive=True, group="slow")
    def _turn_slow(self) -> None:
        try:
            self.post_message(_Asked(slow.turn(self._spec), is_news=True))
        except DevdbError as error:
            self.post_message(NotDone(error))

    @on(_Asked)
    def _note_slow(self, message: _Asked) -> None:
        self._slow = message.slow
        self._say()
        if message.is_news:
            self.query_one(Notice).tell(*_told(message.slow))

    @on(NotDone)
    def _complain(self, message: NotDone) -> None:
        self.query_one(Notice).complain(message.error)

    @property
    def _lines(self) -> LogLines:
        return self.query_one(LogLines)

    @property
    def _filter(self) -> Horizontal:
        return self.query_one("#filter", Horizontal)


def _logged(found: Slow) -> str:
    """Which queries are logged."""
    if found.now == OFF:
        return "slow queries are not logged"
    if found.now == 0:
        return "all queries are logged"
    return f"queries over {found.now} ms are logged"


def _told(found: Slow) -> tuple[str, str]:
    """What became of it, and how it is turned again."""
    what = _logged(found)
    if not found.is_turned:
        again = "not at all" if found.otherwise != OFF else f"from {THRESHOLD} ms on"
        return f"{what[0].upper()}{what[1:]}, as the settings say", f"m has them logged {again}."
    back = "no more" if found.otherwise == OFF else "as the settings say again"
    return (
        f"{what[0].upper()}{what[1:]}, at once and also after a restart",
        f"m has them logged {back}.",
    )
