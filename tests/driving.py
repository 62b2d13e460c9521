"""A dashboard that runs without a terminal, and what a user can do with it."""

from __future__ import annotations

import html
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Static

from devdb.tui.app import DevdbApp
from devdb.tui.dashboard import Dashboard
from devdb.tui.ending import Ending

NAME = f"shop-{secrets.token_hex(3)}"
"""Other instances of this machine are not called so."""
PATIENCE = 20.0
_SVG_TEXT = re.compile(r'<text [^>]*x="([0-9.]+)" y="([0-9.]+)"[^>]*>([^<]*)</text>')
_SVG_CELL = 12.2
"""Units of the picture from one column to the next."""
Scenario = Callable[["Driver"], Awaitable[None]]


class Driver:
    """A running app, and what one can do with it: press keys, look, wait for something to see."""

    def __init__(self, app: DevdbApp, pilot: Pilot[Ending]) -> None:
        self.app = app
        self.pilot = pilot

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    def text(self) -> str:
        """All that is on the screen, by line; the picture leaves out what is only spaces."""
        lines: dict[float, str] = {}
        for x, y, text in _SVG_TEXT.findall(self.app.export_screenshot(simplify=True)):
            column = round(float(x) / _SVG_CELL)
            text = html.unescape(text).replace("\xa0", " ")
            lines[float(y)] = lines.get(float(y), "").ljust(column) + text
        return "\n".join(lines[y] for y in sorted(lines))

    async def until(self, condition: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + PATIENCE
        while not (value := condition()):
            assert time.monotonic() < deadline, f"never: {what}\n{self.text()}"
            await self.pilot.pause(0.02)
        return value

    async def sees(self, words: str) -> None:
        await self.until(lambda: words in self.text(), f"{words!r} on the screen")

    async def ready(self) -> Dashboard:
        await self.until(lambda: isinstance(self.app.screen, Dashboard), "the dashboard")
        # A made-up instance has made-up troubles, which stand in that place from the first look on.
        await self.until(
            lambda: any(words in self.text() for words in ("● ready", "▲ 6 wait for the pool")),
            "that it is ready, or what its clients wait for",
        )
        dashboard = self.app.screen
        assert isinstance(dashboard, Dashboard)
        return dashboard

    async def ended(self) -> Ending:
        ending = await self.until(lambda: self.app.return_value, "the end")
        assert isinstance(ending, Ending)
        return ending

    def static(self, selector: str) -> str:
        return str(self.app.screen.query_one(selector, Static).visual)
