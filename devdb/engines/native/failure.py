"""Why a start failed, in two lines: from the system's error or from a server's last words."""

from __future__ import annotations

import errno
import re
import shutil

from devdb.engines import ports, refusal
from devdb.engines.native import logs
from devdb.engines.native.commands import CommandFailed
from devdb.engines.native.copies import reason
from devdb.engines.native.layout import Layout
from devdb.engines.native.logs import Position
from devdb.errors import DevdbError, StartFailed, TimedOut
from devdb.model import Spec

NAMES = {"postgres": "Postgres", "pgbouncer": "PgBouncer"}
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
    return StartFailed(f"{NAMES[part]} did not start: {_last(telling)}", _way_out(telling, layout))


def lost_its_port(layout: Layout, part: str, begin: Position) -> bool:
    """Whether it said that somebody else listens on its TCP port.

    A PgBouncer up to 1.22 lives on with its Unix socket alone.
    """
    return bool(_PORT_TAKEN.search("\n".join(logs.since(layout, part, begin))))


def timed_out(layout: Layout, part: str, seconds: float, begin: Position) -> TimedOut:
    """For a server that did not become ready in time."""
    telling = _telling(layout, part, begin)
    return TimedOut(
        f"{NAMES[part]} was not ready within {seconds:.0f} s: {_last(telling)}",
        _way_out(telling, layout),
    )


def _telling(layout: Layout, part: str, begin: Position) -> list[str]:
    """The lines of the log that tell anything."""
    lines = [_STAMP.sub("", line).strip() for line in logs.since(layout, part, begin)]
    return [line for line in lines if line and not _NOISE.search(line)]


def _last(telling: list[str]) -> str:
    return " / ".join(telling[-_SHOWN:]) or "it wrote nothing to its log"


def _way_out(telling: list[str], layout: Layout) -> str:
    words = "\n".join(telling)
    if "No space left" in words:
        return f"Make room: {_space(layout)}. Then start it again."
    more = f"The log has more: devdb logs -n {layout.name}; and `devdb doctor` looks at the rest."
    return refusal.of_setting(words) or more


def _space(layout: Layout) -> str:
    directory = next(path for path in (layout.root, *layout.root.parents) if path.exists())
    free = shutil.disk_usage(directory).free // 1_000_000
    return f"{directory} has {free} MB free, a new instance needs about 60"


def of_system(error: OSError, layout: Layout) -> DevdbError:
    """For what the system refused: a full disk, a directory that is not ours."""
    place = error.filename or layout.root
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DevdbError(f"No space left for {place}.", f"Make room: {_space(layout)}.")
    return DevdbError(
        f"Cannot use {place}: {error.strerror or error}.",
        "Fix its owner or mode, or set DEVDB_DATA_DIR to a directory that is yours.",
    )


def of_copy(error: CommandFailed, layout: Layout) -> DevdbError:
    """For a data directory that could not be copied whole."""
    why = reason(error)
    way_out = _way_out([why], layout) if "No space left" in why else "Look at that path's mode."
    return DevdbError(f"Cannot make the data directory: {why}.", way_out)
