"""How long a server may take to become ready."""

from __future__ import annotations

import time

from devdb.engines.native import failure, logs
from devdb.engines.native.commands import BEAT, Beats
from devdb.engines.native.layout import Layout
from devdb.engines.native.servers import Launch
from devdb.model import Spec

PATIENCE = 60.0
"""Seconds without any progress that a server may take."""
_POLL = 0.002
"""Seconds between two looks at a file: a server is up some 30 ms after it was started."""


class Patience:
    """Lasts `PATIENCE` since the server last wrote something to its log: recovery takes long."""

    def __init__(self, spec: Spec, launch: Launch, layout: Layout) -> None:
        self._spec = spec
        self._launch = launch
        self._layout = layout
        self._end = launch.begin
        self._beat = time.monotonic()
        self._deadline = self._beat + PATIENCE

    def wait(self) -> Beats[None]:
        """Sleep until it is worth to look again; raises TimedOut."""
        time.sleep(_POLL)
        now = time.monotonic()
        if now < self._beat + BEAT:
            return
        self._beat = now
        end = logs.end(self._layout, self._launch.part)
        if end != self._end:
            self._end, self._deadline = end, now + PATIENCE
        if now > self._deadline:
            part, begin = self._launch.part, self._launch.begin
            raise failure.timed_out(self._spec, self._layout, part, PATIENCE, begin)
        yield
