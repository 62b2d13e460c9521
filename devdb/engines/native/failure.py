"""Why a start failed, in two lines: from the system's error or from a server's last words."""

from __future__ import annotations

import re
import time
from pathlib import Path

from devdb import paths
from devdb.engines import ports, refusal
from devdb.engines.native import logs
from devdb.engines.native.commands import CommandFailed, reason
from devdb.engines.native.layout import Layout
from devdb.engines.native.servers import Launch
from devdb.engines.waiting import HEARTBEAT, Beats
from devdb.errors import DevdbError, StartFailed, TimedOut
from devdb.model import Spec, title

PATIENCE = 60.0
"""Seconds without any progress that a server may take."""
_POLL = 0.002
"""Seconds between two looks at a file: a server is up some 30 ms after it was started."""
_SHOWN = 3
"""Lines of a server's last words; what they mean is decided by all it said."""
_STAMP = re.compile(r"^\d{4}-\d\d-\d\d [\d:.]+ \w+ \[\d+\]\s+")
_NOISE = re.compile(
    "starting PostgreSQL|listening on|database system (is|was) shut down|kernel file descriptor"
    "|process up: PgBouncer"
)
_PORT_TAKEN = re.compile(r"^(?!.*\bunix\b).*Address already in use", re.MULTILINE | re.IGNORECASE)


class Vanished(Exception):
    """A server that ran before this start has ended meanwhile."""


class Patience:
    """Lasts `PATIENCE` since the server last wrote something to its log: recovery takes long."""

    def __init__(self, spec: Spec, layout: Layout, launch: Launch) -> None:
        self._spec = spec
        self._layout = layout
        self._launch = launch
        self._end = launch.begin
        self._beat = time.monotonic()
        self._deadline = self._beat + PATIENCE

    def wait(self) -> Beats[None]:
        """Sleep until it is worth to look again; raises TimedOut."""
        time.sleep(_POLL)
        now = time.monotonic()
        if now < self._beat + HEARTBEAT:
            return
        self._beat = now
        end = logs.end(self._layout, self._launch.part)
        if end != self._end:
            self._end, self._deadline = end, now + PATIENCE
        if now > self._deadline:
            raise timed_out(self._spec, self._layout, self._launch)
        yield


def of_server(spec: Spec, layout: Layout, launch: Launch) -> DevdbError:
    """For a server that ended while it started."""
    part = launch.part
    if lost_its_port(layout, launch):
        return ports.in_use(spec, spec.port if part == "postgres" else spec.pool_port)
    telling = _telling(layout, launch)
    return StartFailed(
        f"{title(part)} did not start: {_last(telling)}", _way_out(telling, layout, spec, part)
    )


def lost_its_port(layout: Layout, launch: Launch) -> bool:
    """Whether it said that somebody else listens on its TCP port.

    A PgBouncer up to 1.22 lives on with its Unix socket alone.
    """
    return bool(_PORT_TAKEN.search("\n".join(logs.since(layout, launch.part, launch.begin))))


def timed_out(spec: Spec, layout: Layout, launch: Launch) -> TimedOut:
    """For a server that did not become ready within `PATIENCE`."""
    telling = _telling(layout, launch)
    return TimedOut(
        f"{title(launch.part)} was not ready within {PATIENCE:.0f} s: {_last(telling)}",
        _way_out(telling, layout, spec, launch.part),
    )


def _telling(layout: Layout, launch: Launch) -> list[str]:
    """The lines of its log that tell anything."""
    said = logs.since(layout, launch.part, launch.begin)
    lines = [_STAMP.sub("", line).strip() for line in said]
    return [line for line in lines if line and not _NOISE.search(line)]


def _last(telling: list[str]) -> str:
    return " / ".join(telling[-_SHOWN:]) or "it wrote nothing to its log"


def _way_out(telling: list[str], layout: Layout, spec: Spec, part: str) -> str:
    words = "\n".join(telling)
    if "No space left" in words:
        return _make_room(layout)
    more = f"The log has more: devdb logs -n {layout.name}; and `devdb doctor` looks at the rest."
    return refusal.of_setting(words, spec, part) or more


def _make_room(layout: Layout) -> str:
    return f"Make room: {paths.room(layout.root)}. Then: devdb up -d -n {layout.name}"


def of_system(error: OSError, layout: Layout) -> DevdbError:
    """For what the system refused: a full disk, a directory that is not ours."""
    place = Path(error.filename or layout.root)
    way_out = paths.way_out(error, layout.root)
    if layout.initialised.exists() and error.errno in paths.FULL:
        way_out = _make_room(layout)  # its data is there and nowhere else
    return DevdbError(f"Cannot use {place}: {error.strerror or error}.", way_out)


def of_copy(error: CommandFailed, layout: Layout) -> DevdbError:
    """For a data directory that could not be copied whole."""
    why = reason(error)
    way_out = "Look at that path's mode."
    if "No space left" in why:
        way_out = f"{_make_room(layout)}; new data takes about 60 MB in 1,300 files."
    return DevdbError(f"Cannot make the data directory: {why}.", way_out)
