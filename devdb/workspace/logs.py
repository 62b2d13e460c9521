"""What the servers of an instance wrote, all of them in time order."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from datetime import tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from devdb import journal
from devdb.journal import Entry
from devdb.model import Spec
from devdb.workspace import instances

_OF_SYSTEM = Path("/etc/localtime")


def written(spec: Spec, *, tail: int) -> Iterator[Entry]:
    """The last `tail` lines of each server. Raises DevdbError."""
    lines = instances.logs(spec, tail=tail, follow=False)
    return journal.in_order((line for line in lines if line is not None), _zones(spec))


def followed(spec: Spec, *, tail: int) -> Generator[Entry | None, None, None]:
    """The same, then what comes; while nothing does, None at least every 0.3 s."""
    lines = instances.logs(spec, tail=tail, follow=True)
    return journal.as_they_come(lines, _zones(spec))


def _zones(spec: Spec) -> journal.Zones:
    """Postgres writes times of its setting, PgBouncer of the machine it is on."""
    found: list[tzinfo | None] = [None]
    with suppress(OSError, ValueError), _OF_SYSTEM.open("rb") as file:
        found.append(ZoneInfo.from_file(file))
    if name := dict(spec.settings).get("log_timezone"):
        with suppress(OSError, ValueError, KeyError):
            found.append(ZoneInfo(name))
    return journal.zones(*found)
