"""The key `l`: what the servers write, as they write it."""

from __future__ import annotations

import threading
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Log

from devdb.errors import DevdbError
from devdb.model import LogLine, Spec
from devdb.tui.banner import Banner
from devdb.tui.keybar import KeyBar
from devdb.tui.messages import Logged
from devdb.workspace.instances import engine_of

TAIL = 200
KEPT = 5000


class LogView(Screen[None]):
    """Follows the logs in a thread until it is left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "escape,l,q", "app.pop_screen", "Back", key_display="esc", tooltip="To the dashboard"
        ),
        Binding("end", "follow", "Follow", tooltip="Go to the end and stay there"),
    ]

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self._spec = spec
        self._left = threading.Event()

    def compose(self) -> ComposeResult:
        """The lines take all the room there is."""
        yield Banner(self._spec.name)
        yield Log(max_lines=KEPT)
        yield KeyBar()

    def on_mount(self) -> None:
        """Begin to follow."""
        self.query_one(Banner).say(("logs", "$text-muted"))
        threading.Thread(target=self._follow, name="devdb-logs", daemon=True).start()

    def on_unmount(self) -> None:
        """The thread closes the stream at the next line; it holds nothing up until then."""
        self._left.set()

    def action_follow(self) -> None:
        """To the end."""
        self.query_one(Log).scroll_end(animate=False)

    def _follow(self) -> None:
        try:
            lines = engine_of(self._spec).logs(self._spec.name, tail=TAIL, follow=True)
            for line in lines:
                if self._left.is_set():
                    break
                self.post_message(Logged((line,)))
        except DevdbError as error:
            self.post_message(Logged((LogLine(part="devdb", text=error.message),)))

    @on(Logged)
    def _write(self, message: Logged) -> None:
        lines = [f"{line.part:<9} {_printable(line.text)}" for line in message.lines]
        self.query_one(Log).write_lines(lines)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text.rstrip("\n"))
