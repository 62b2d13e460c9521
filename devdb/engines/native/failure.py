"""Why a start failed, in two lines: from the system's error or from a server's last words."""

from __future__ import annotations

import errno
import re
import shutil

from devdb.engines import ports
from devdb.engines.native import logs
from devdb.engines.native.commands import CommandFailed
from devdb.engines.native.copies import reason
from devdb.engines.native.layout import Layout
from devdb.errors import DevdbError, StartFailed, TimedOut
from devdb.model import Spec

NAMES = {"postgres": "Postgres", "pgbouncer": "PgBouncer"}
_LINES = 3
_STAMP = re.compile(r"^\d{4}-\d\d-\d\d [\d:.]+ \w+ \[\d+\]\s+")
_NOISE = re.compile(
    "starting PostgreSQL|listening on|database system (is|was) shut down|kernel file descriptor"
    "|process up: PgBouncer"
)


def of_server(spec: Spec, layout: Layout, part: str, offset: int) -> DevdbError:
    """For a server that ended while it started; `offset` is where its log began to be ours."""
    port = spec.port if part == "postgres" else spec.pool_port
    words = last_words(layout, part, offset)
    if re.search("Address already in use|in use", words) and ports.is_taken(port):
        return ports.in_use(spec, port)
    return StartFailed(f"{NAMES[part]} did not start: {words}", _way_out(words, layout))


def timed_out(layout: Layout, part: str, seconds: float, offset: int) -> TimedOut:
    """For a server that did not become ready in time."""
    words = last_words(layout, part, offset)
    return TimedOut(
        f"{NAMES[part]} was not ready within {seconds:.0f} s: {words}", _way_out(words, layout)
    )


def last_words(layout: Layout, part: str, offset: int) -> str:
    """The last lines of the log that tell anything, as one line."""
    lines = [_STAMP.sub("", line).strip() for line in logs.since(layout, part, offset)]
    telling = [line for line in lines if line and not _NOISE.search(line)]
    return " / ".join(telling[-_LINES:]) or "it wrote nothing to its log"


def _way_out(words: str, layout: Layout) -> str:
    if "No space left" in words:
        return f"Make room: {_space(layout)}. Then start it again."
    if re.search("configuration|parameter|invalid value|unrecognized", words):
        return "Correct the setting (devdb.toml, [postgres] or [pgbouncer]) and start it again."
    return f"The log has more: devdb logs -n {layout.name}; and `devdb doctor` looks at the rest."


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
    way_out = _way_out(why, layout) if "No space left" in why else "Look at that path's mode."
    return DevdbError(f"Cannot make the data directory: {why}.", way_out)
