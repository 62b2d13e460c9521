"""Why a start failed, in two lines: from the system's error or from a server's last words."""

from __future__ import annotations

import re
from pathlib import Path

from devdb import paths
from devdb.engines import ports, refusal
from devdb.engines.native import logs
from devdb.engines.native.commands import CommandFailed
from devdb.engines.native.copies import reason
from devdb.engines.native.layout import Layout
from devdb.engines.native.logs import Position
from devdb.errors import DevdbError, StartFailed, TimedOut
from devdb.model import Spec, title

_SHOWN = 3
"""Lines of a server's last words; what they mean is decided by all it said."""
_STAMP = re.compile(r"^\d{4}-\d\d-\d\d [\d:.]+ \w+ \[\d+\]\s+")
_NOISE = re.compile(
    "starting PostgreSQL|listening on|database system (is|was) shut down|kernel file descriptor"
    "|process up: PgBouncer"
)
_PORT_TAKEN = re.compile(r"^(?!.*\bunix\b).*Address already in use", re.MULTILINE | re.IGNORECASE)


def of_server(spec: Spec, layout: Layout, part: str, begin: Position) -> DevdbError:
    """For a server that ended while it started; `begin`: where its log began to be ours."""
    if lost_its_port(layout, part, begin):
        return ports.in_use(spec, spec.port if part == "postgres" else spec.pool_port)
    telling = _telling(layout, part, begin)
    return StartFailed(
        f"{title(part)} did not start: {_last(telling)}", _way_out(telling, layout, spec, part)
    )


def lost_its_port(layout: Layout, part: str, begin: Position) -> bool:
    """Whether it said that somebody else listens on its TCP port.

    A PgBouncer up to 1.22 lives on with its Unix socket alone.
    """
    return bool(_PORT_TAKEN.search("\n".join(logs.since(layout, part, begin))))


def timed_out(spec: Spec, layout: Layout, part: str, seconds: float, begin: Position) -> TimedOut:
    """For a server that did not become ready in time."""
    telling = _telling(layout, part, begin)
    return TimedOut(
        f"{title(part)} was not ready within {seconds:.0f} s: {_last(telling)}",
        _way_out(telling, layout, spec, part),
    )


def _telling(layout: Layout, part: str, begin: Position) -> list[str]:
    """The lines of the log that tell anything."""
    lines = [_STAMP.sub("", line).strip() for line in logs.since(layout, part, begin)]
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
