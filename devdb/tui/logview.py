"""The key `l`: what the servers write, as they write it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import RichLog

from devdb.errors import DevdbError
from devdb.masking import visible
from devdb.model import LogLine, Spec
from devdb.tui.banner import Banner
from devdb.tui.keybar import KeyBar
from devdb.tui.messages import Logged
from devdb.workspace.instances import logs

TAIL = 200
KEPT = 5000


class LogView(Screen[None]):
    """Follows the logs in a thread until it is left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "escape,l,q", "app.pop_screen", "Back", key_display="esc", tooltip="To the dashboard"
        ),
    ]

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self._spec = spec
        self._left = threading.Event()
        self._waiting: deque[LogLine] = deque(maxlen=KEPT)

    def compose(self) -> ComposeResult:
        """The lines take all the room there is."""
        yield Banner(self._spec.name)
        # Not Log: it measures its lines in a thread of its own, and closing waits for that.
        yield RichLog(max_lines=KEPT)
        yield KeyBar()

    def on_mount(self) -> None:
        """Begin to follow."""
        threading.Thread(target=self._follow, name="devdb-logs", daemon=True).start()

    def on_unmount(self) -> None:
        """The thread closes the stream within a heartbeat; it holds nothing up until then."""
        self._left.set()

    def _follow(self) -> None:
        lines = logs(self._spec, tail=TAIL, follow=True)
        try:
            for line in lines:
                if self._left.is_set():
                    break
                if line is not None:
                    self._put(line)
        except DevdbError as error:
            self._put(LogLine(part="devdb", text=error.message))
        finally:
            if isinstance(lines, Generator):
                lines.close()

    def _put(self, line: LogLine) -> None:
        # One message for all that has come until it is handled: a flood is drawn in few strokes.
        self._waiting.append(line)
        if len(self._waiting) == 1:
            self.post_message(Logged())

    @on(Logged)
    def _write(self) -> None:
        lines = []
        while self._waiting:
            line = self._waiting.popleft()
            lines.append(f"{line.part:<9} {visible(line.text)}")
        if lines:
            self.query_one(RichLog).write("\n".join(lines))
