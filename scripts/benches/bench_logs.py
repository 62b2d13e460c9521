"""The log view with as many lines as it keeps: from a key to the picture that shows what it did."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import specs
from measure import Row
from rich.console import RenderableType
from textual.app import App
from textual.screen import Screen
from textual.widgets import Static

from devdb import tui
from devdb.journal import Entry
from devdb.tui.logs.kept import KEPT
from devdb.tui.logs.line import Line, line_of
from devdb.tui.logs.lines import LogLines
from devdb.tui.logview import LogView

LIMIT = 0.1
"""Seconds that a key may take."""
SIZE = (120, 40)
KEYS = (
    ("the filter opens", (), "slash", ("escape",)),
    ("a first letter, which most lines have", ("slash",), "e", ("escape",)),
    ("a letter more", ("slash", "s", "e", "l"), "e", ("escape",)),
    ("a letter that few lines have", ("slash",), "9", ("escape",)),
    ("the filter is cleared", ("slash", "9", "9", "9"), "escape", ()),
    ("wrap", (), "w", ("w",)),
    ("no wrap", ("w",), "w", ()),
    ("a letter while lines are wrapped", ("w", "slash"), "e", ("escape", "w")),
    ("one part", (), "p", ("p", "p")),
    ("devdb's own too", (), "a", ("a",)),
    ("pause", (), "space", ("space",)),
    ("to the first line", (), "home", ("end",)),
    ("to the last line", ("home",), "end", ()),
    ("a page up", (), "pageup", ("end",)),
)
"""What is measured: what it does, the keys before it, it, and those that take it back."""


class Stage:
    """A log view without a terminal, in a thread of its own, and keys pressed in it."""

    def __init__(self) -> None:
        self._orders: queue.Queue[tuple[str, ...] | None] = queue.Queue()
        self._answers: queue.Queue[float] = queue.Queue()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._play()))
        self._thread.start()
        self._answers.get()

    def press(self, *keys: str) -> float:
        """Seconds until the last of them is drawn; those of the first ones are not counted."""
        self._orders.put(keys)
        return self._answers.get()

    def end(self) -> None:
        """Close it."""
        self._orders.put(None)
        self._thread.join()

    async def _play(self) -> None:
        app = _LogApp()
        async with app.run_test(size=SIZE) as pilot:
            app.screen.query_one(LogLines).add(_lines())
            await pilot.pause()
            self._answers.put(0)
            while keys := await asyncio.to_thread(self._orders.get):
                for key in keys:
                    app.before, app.drawn = app.state(), 0.0
                    begun = time.perf_counter()
                    await pilot.press(key)
                    while not app.drawn:
                        await pilot.pause()
                self._answers.put(app.drawn - begun)


class _LogApp(App[None]):
    CSS_PATH = str(Path(tui.__file__).with_name("devdb.tcss"))
    before: object = None
    drawn = 0.0
    """When the first picture was ready that is about another state than `before`."""

    def on_mount(self) -> None:
        self.push_screen(LogView(specs.new("fake")))

    def state(self) -> object:
        """What a key changes of what is seen."""
        lines = self.screen.query_one(LogLines)
        told = str(self.screen.query_one("#told", Static).visual)
        return lines.kept.choices, lines.scroll_offset, self.focused, told

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        super()._display(screen, renderable)
        if not self.drawn and self.before is not None and self.state() != self.before:
            self.drawn = time.perf_counter()


def _lines() -> list[Line]:
    """Of both servers, some of several rows, some slow queries, some of devdb's own."""
    begun = datetime.now(UTC)
    return [
        line_of(
            Entry(
                part="pgbouncer" if number % 3 == 0 else "postgres",
                level="ERROR" if number % 10 == 0 else "STATEMENT" if number % 10 == 1 else "LOG",
                text=f"duration: {number}.123 ms  statement: SELECT name, price FROM orders WHERE "
                f"id = {number} AND customer LIKE '%Smith%' ORDER BY made DESC LIMIT 20",
                moment=begun + timedelta(milliseconds=number),
                duration=number + 0.123 if number % 7 == 0 else None,
                belongs=number % 10 == 1,
                is_housekeeping=number % 11 == 0,
            )
        )
        for number in range(KEPT)
    ]


def rows(stack: ExitStack) -> list[Row]:
    """The rows; while they are measured the view is there."""
    stage = Stage()
    stack.callback(stage.end)
    return [
        Row(f"{title} ({key})", partial(_pressed, stage, before, key, after), at_most=LIMIT)
        for title, before, key, after in KEYS
    ]


def _pressed(stage: Stage, before: tuple[str, ...], key: str, after: tuple[str, ...]) -> float:
    if before:
        stage.press(*before)
    seconds = stage.press(key)
    if after:
        stage.press(*after)
    return seconds


def title() -> str:
    return f"The log view with {KEPT:,} lines, {SIZE[0]}x{SIZE[1]}, from a key to its picture"
