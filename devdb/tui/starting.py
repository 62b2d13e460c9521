"""The screen while an instance starts: its steps with their times, and what is pulled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static

from devdb.errors import DevdbError, ExitCode, NeedsConsent
from devdb.tui import words
from devdb.tui.banner import Banner
from devdb.tui.dialogs import Confirm
from devdb.tui.ending import Ending, Unfinished, detached
from devdb.tui.keybar import KeyBar
from devdb.tui.messages import Cancelled, Failed, ShowInstances, Started, Stepped, Stopping
from devdb.tui.timeline import Mark, Row, Timeline
from devdb.wording import elapsed, size

Start = Callable[[threading.Event, Collection[str]], Iterator[Message]]
"""Begins a start that looks at the event to know whether it was cancelled, with what was consented
to (see `workspace.up`)."""

_SIGNS = {Mark.DONE: ("✓", "$text-success"), Mark.FAILED: ("✕", "$text-error")}
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_LAYERS = 6
_BAR = 24


class Starting(Screen[None]):
    """Runs a start in a thread; leaves by Started (to the app), by an error, or cancelled."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "retry", "Retry", tooltip="Try to start it again"),
        Binding("q", "leave", "Quit", tooltip="Leave with the error's exit code"),
        Binding("i", "instances", "Instances", tooltip="All your instances: open another one"),
        Binding("d", "detach", "Detach when ready", tooltip="Leave it running once it is ready"),
        Binding("ctrl+c", "cancel", "Cancel", priority=True, tooltip="Undo what was begun, leave"),
        Binding("q", "cancel", "Cancel", show=False),
    ]

    def __init__(
        self, name: str, start: Start, unfinished: Unfinished, consent: Collection[str] = ()
    ) -> None:
        super().__init__()
        self._consent = consent
        self._instance = name
        self._start = start
        self._unfinished = unfinished
        self._cancelled = threading.Event()
        self._detaching = False
        self._timeline = Timeline(time.monotonic())
        self._error: DevdbError | None = None

    def compose(self) -> ComposeResult:
        """Steps, pulls and, if it comes to that, the error."""
        yield Banner(self._instance)
        with VerticalScroll(id="body"):
            yield Static(id="steps")
            yield Static(id="pulls")
            yield Static(id="trouble")
        yield KeyBar()

    def on_mount(self) -> None:
        """Begin."""
        self.set_interval(0.1, self._draw)
        self.action_retry()

    def action_retry(self) -> None:
        """Start, once more."""
        self._error = None
        self._cancelled.clear()
        self._timeline = Timeline(time.monotonic())
        self.query_one("#trouble", Static).display = False
        self.refresh_bindings()
        self._draw()
        self._run_start()

    def action_cancel(self) -> None:
        """Ctrl-C, by the mouse or the command palette."""
        self.interrupt()

    def action_instances(self) -> None:
        """The app opens the list of all of them."""
        self.post_message(ShowInstances(self._instance))

    def leave(self) -> None:
        """Ctrl-C: cancel, or quit."""
        self.interrupt()

    def interrupt(self) -> None:
        """Ctrl-C: end the start at its next step, which undoes what it made."""
        if self._error is not None:
            self.action_leave()
        self._cancelled.set()

    def terminate(self) -> None:
        """SIGTERM is the same."""
        self.interrupt()

    def action_detach(self) -> None:
        """What a hang-up does too: go on to the end, and leave it running."""
        self._detaching = True
        self.refresh_bindings()

    def action_leave(self) -> None:
        """End with the error."""
        self.app.exit(Ending(error=self._error))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """After an error one retries or quits; before, one can only cancel."""
        if action in ("retry", "leave", "instances"):
            return self._error is not None
        if action == "cancel":
            return self._error is None
        if action == "detach":
            return self._error is None and not self._detaching
        return super().check_action(action, parameters)

    @work(thread=True, exclusive=True)
    def _run_start(self) -> None:
        with self._unfinished.work():
            for message in self._start(self._cancelled, self._consent):
                self.post_message(message)

    @on(Stopping)
    def _note_the_stop(self) -> None:
        self._timeline.note("stop", "", time.monotonic())

    @on(Stepped)
    def _take_step(self, message: Stepped) -> None:
        self._timeline.add(message.progress, time.monotonic())

    @on(Started)
    def _leave_if_told_to(self, message: Started) -> None:
        self._timeline.end(time.monotonic())
        if self._detaching:
            message.stop()
            self.app.exit(detached(self._instance))

    @on(Cancelled)
    def _end_cancelled(self, message: Cancelled) -> None:
        told = (self._instance,)
        self.app.exit(Ending(code=ExitCode.INTERRUPTED, words=message.words, told=told))

    @on(Failed)
    def _show_error(self, message: Failed) -> None:
        self._error = message.error
        self._timeline.end(time.monotonic(), failed=True)
        trouble = self.query_one("#trouble", Static)
        trouble.update(
            Content.assemble((message.error.message, "b $text-error"), "\n", message.error.hint)
        )
        trouble.display = True
        self.refresh_bindings()
        self._draw()
        if isinstance(message.error, NeedsConsent):
            self._ask_for_consent(message.error)

    def _ask_for_consent(self, asked: NeedsConsent) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                self._consent = {*self._consent, asked.option}
                self.action_retry()

        self.app.push_screen(Confirm(f"{asked.message}\n{asked.question}"), answered)

    def _draw(self) -> None:
        now = time.monotonic()
        rows = self._timeline.rows(now)
        spinner = _SPINNER[int(now * 10) % len(_SPINNER)]
        lines = [_line(row, spinner) for row in rows]
        self.query_one("#steps", Static).update(Content("\n").join(lines))
        pulls = self.query_one("#pulls", Static)
        pulls.display = self._timeline.pulling
        if self._timeline.pulling:
            pulls.update(Content("\n").join(_pull_lines(self._timeline)))
        seconds = elapsed(self._timeline.seconds(now))
        if self._error is not None:
            self.query_one(Banner).say(("✕ not started", "$text-error"))
        elif self._cancelled.is_set():
            self.query_one(Banner).say(("undoing what was begun", "$text-warning"))
        else:
            then = ", then detaching" if self._detaching else ""
            self.query_one(Banner).say((f"starting{then}", "$foreground-muted"), (seconds, ""))


def _line(row: Row, spinner: str) -> Content:
    sign, style = _SIGNS.get(row.mark, (spinner, "$text-accent"))
    return Content.assemble(
        (f"{sign} ", style),
        (f"{row.label:<11}", "b" if row.mark is Mark.ACTIVE else ""),
        (f"{elapsed(row.seconds):>8}  ", "$foreground-muted"),
        row.detail,
    )


def _pull_lines(timeline: Timeline) -> Iterator[Content]:
    if timeline.layers:
        yield _pull_line("all layers", *timeline.pulled, "$text-accent")
    unfinished = [(name, *pair) for name, pair in timeline.layers.items() if pair[0] < pair[1]]
    for name, done, total in unfinished[:_LAYERS]:
        yield _pull_line(name[:12], done, total, "$foreground-muted")


def _pull_line(label: str, done: int, total: int, style: str) -> Content:
    filled, empty = words.bar(done, total, _BAR)
    return Content.assemble(
        f"  {label:<12} ",
        (filled, style),
        (empty, "$foreground-disabled"),
        f"  {size(done)} of {size(total)}",
    )
