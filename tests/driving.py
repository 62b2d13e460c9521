"""A dashboard that runs without a terminal, and what a user can do with it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

from textual._compositor import InlineUpdate
from textual.pilot import Pilot
from textual.widgets import Static

from devdb.tui.app import DevdbApp
from devdb.tui.dashboard import Dashboard
from devdb.tui.ending import Ending

NAME = f"shop-{secrets.token_hex(3)}"
"""Other instances of this machine are not called so."""
PATIENCE = 20.0
Scenario = Callable[["Driver"], Awaitable[None]]


class Driver:
    """A running app, and what one can do with it: press keys, look, wait for something to see."""

    def __init__(self, app: DevdbApp, pilot: Pilot[Ending]) -> None:
        self.app = app
        self.pilot = pilot

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    def text(self) -> str:
        """All that is on the screen, by line, without lines that are empty.

        Who waits asks many times a second, so no picture is drawn for it.
        """
        app = self.app
        drawn = app.screen._compositor.render_inline(app.size, app._background_screens)
        assert isinstance(drawn, InlineUpdate)
        lines = (strip.text.replace("\xa0", " ") for strip in drawn.strips)
        return "\n".join(line for line in lines if line.strip())

    async def until(self, condition: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + PATIENCE
        while not (value := condition()):
            assert time.monotonic() < deadline, f"never: {what}\n{self.text()}"
            await self.pilot.pause(0.02)
        return value

    async def sees(self, *words: str) -> str:
        """Waits until all of these are on the screen at once; returns all that is on it then.

        A screen is drawn part by part: that one part shows what is new says nothing of the next.
        """

        def seen() -> str:
            text = self.text()
            return text if all(each in text for each in words) else ""

        return str(await self.until(seen, f"{words} on the screen"))

    async def sees_line(self, *words: str) -> str:
        """Waits until all of these are in one line of the screen; returns that line."""

        def seen() -> str:
            lines = self.text().splitlines()
            return next((line for line in lines if all(each in line for each in words)), "")

        return str(await self.until(seen, f"{words} in one line"))

    async def loses(self, words: str) -> None:
        """Waits until that is not on the screen any more."""
        await self.until(lambda: words not in self.text(), f"the screen without {words!r}")

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
