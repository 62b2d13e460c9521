"""The lines of all parts of an instance in one order: that of time."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from devdb.journal.entry import Entry
from devdb.journal.housekeeping import Housekeeping
from devdb.journal.reading import Reader, Zones
from devdb.model import LogLine

WINDOW = 0.15
"""Seconds that a line is held back for an earlier one that comes later."""
_LOOKED_AT_EVERY = 0.05
"""Seconds from one look at what is held to the next: a flood is sorted in few strokes."""
OPENING = 2.0
"""Seconds that the lines may take to come with which following begins; they are sorted as one."""
_UNKNOWN = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class _Message:
    """A line and those that belong to it."""

    part: str
    moment: datetime | None
    arrived: float
    entries: list[Entry] = field(default_factory=list)
    is_told: bool = False

    @property
    def key(self) -> tuple[datetime, bool]:
        """Times have milliseconds: in the same one PgBouncer tells of what Postgres had said."""
        return self.moment or _UNKNOWN, self.part == "pgbouncer"


def in_order(lines: Iterable[LogLine], known: Zones) -> Iterator[Entry]:
    """All of them, sorted by time; what belongs to a line stays with it.

    A part's first lines, where they have no time, have that of the first one with one; a part
    that tells no times at all comes first.
    """
    desk = _Desk(known)
    for line in lines:
        desk.take(line, 0)
    return desk.told(desk.held)


def as_they_come(
    lines: Iterable[LogLine | None], known: Zones, *, clock: Callable[[], float] = time.monotonic
) -> Generator[Entry | None, None, None]:
    """What a log that is followed says, sorted by time among what comes within `WINDOW`.

    `lines` has a None at each heartbeat while nothing comes, and so has the result. What comes
    before the first None is what was there already, and sorted as one. It closes `lines`.
    """
    desk = _Desk(known)
    begun = looked = clock()
    is_opening = True
    try:
        for line in lines:
            now = clock()
            if line is not None:
                desk.take(line, now)
            if is_opening:
                is_opening = line is not None and now - begun < OPENING
                if not is_opening:
                    yield from desk.told(desk.held)
            elif line is None or now - looked >= _LOOKED_AT_EVERY:
                looked = now
                yield from desk.told(desk.due(now))
            if line is None:
                yield None
        yield from desk.told(desk.held)
    finally:
        if isinstance(lines, Generator):
            lines.close()


class _Desk:
    """Where messages lie until it is their turn."""

    def __init__(self, known: Zones) -> None:
        self.held: list[_Message] = []
        self._zones = known
        self._readers: dict[str, Reader] = {}
        self._open: dict[str, _Message] = {}
        self._housekeeping = Housekeeping()

    def take(self, line: LogLine, now: float) -> None:
        """Read a line, and lay it to the message it belongs to if that is still here."""
        part = line.part
        if part not in self._readers:
            self._readers[part] = Reader(self._zones)
        entry = self._readers[part].read(line)
        message = self._open.get(part)
        if message is None or message.is_told or not entry.belongs:
            message = self._open[part] = _Message(part, entry.moment, now)
            self.held.append(message)
        message.entries.append(entry)

    def due(self, now: float) -> list[_Message]:
        """Those that were held long enough, and what else is not later than they are."""
        oldest = [message for message in self.held if now - message.arrived >= WINDOW]
        for message in oldest:
            message.moment = message.moment or datetime.now(UTC)
        latest = max((message.key for message in oldest), default=None)
        return [] if latest is None else [each for each in self.held if each.key <= latest]

    def told(self, messages: list[_Message]) -> Iterator[Entry]:
        """Their entries in time order; they lie here no more."""
        first: dict[str, datetime] = {}
        for message in messages:
            if message.moment is not None:
                first.setdefault(message.part, message.moment)
        for message in messages:
            message.is_told = True
            message.moment = message.moment or first.get(message.part)
        self.held = [message for message in self.held if not message.is_told]
        for message in sorted(messages, key=lambda message: message.key):
            for entry in message.entries:
                timed = entry if entry.moment else replace(entry, moment=message.moment)
                yield self._housekeeping.judged(timed)
