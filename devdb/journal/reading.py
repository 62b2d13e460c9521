"""The lines of one server's log, read one after the other."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from devdb.journal.entry import FOLLOWING, Entry
from devdb.model import LogLine

Zones = Mapping[str, tzinfo]
"""What the abbreviations of time zones stand for that the servers may write."""

_ZONE = r"(?P<zone>[A-Za-z]{1,9}|[+-]\d\d(?::?\d\d)?)"
_TIME = rf"(?P<time>\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{{1,6}})?) {_ZONE}"
_LEVELS = "DEBUG[1-5]?|NOISE|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC|" + "|".join(FOLLOWING)
# Postgres' default log_line_prefix, `%m [%p] `, and what PgBouncer always writes, a colon less;
# what a native instance's supervisor says has no level.
_LINE = re.compile(
    rf"{_TIME} \[(?P<pid>\d+)\] (?:(?P<level>{_LEVELS})(?::  | )|(?=devdb: ))", re.ASCII
)
_TIME_SOMEWHERE = re.compile(rf"(?<!\d){_TIME}(?![\w+-]|:\d)", re.ASCII)
_LEVEL_SOMEWHERE = re.compile(rf"(?<![A-Za-z])(?P<level>{_LEVELS}):  ", re.ASCII)
_DURATION = re.compile(r"duration: (?P<milliseconds>\d+\.\d+) ms", re.ASCII)
_OFFSET = re.compile(r"(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)?")


def zones(*local: tzinfo | None) -> Zones:
    """The abbreviations of these zones, each in winter and in summer, and of UTC."""
    found: dict[str, tzinfo] = {"UTC": UTC, "GMT": UTC, "Z": UTC}
    for zone in local:
        for month in (1, 7):
            moment = datetime(2026, month, 1, tzinfo=UTC).astimezone(zone)
            name, offset = moment.tzname(), moment.utcoffset()
            if name and offset is not None:
                found.setdefault(name, timezone(offset))
    return found


class Reader:
    """Makes entries of the lines of one part, which it gets in the order they were written."""

    def __init__(self, known: Zones) -> None:
        self._zones = known
        self._last: Entry | None = None

    def read(self, line: LogLine) -> Entry:
        """The entry of that line; nothing of it is lost that is not said by its fields."""
        text, begin = line.text, 0
        if match := _LINE.match(text):
            moment = self._moment(match["time"], match["zone"]) or line.moment
            level, pid, text = _word(match["level"]), int(match["pid"]), text[match.end() :]
        # Postgres begins every further line of a message with a tab, and nothing else with one.
        elif text.startswith("\t") and line.part == "postgres" and self._last is not None:
            return self._take(_further(self._last, text))
        else:
            moment, level, pid = self._of_other_head(text) or line.moment, None, None
            if found := _LEVEL_SOMEWHERE.search(text):
                level, begin = _word(found["level"]), found.end()
        if moment is None and self._last is not None:
            moment = self._last.moment
        if level in FOLLOWING and self._last is not None:
            return self._take(_further(self._last, text, level=level, pid=pid))
        duration = _DURATION.match(text, begin) if level == "LOG" else None
        entry = Entry(
            part=line.part,
            text=text,
            moment=moment,
            level=level,
            pid=pid,
            duration=float(duration["milliseconds"]) if duration else None,
        )
        return self._take(entry)

    def _take(self, entry: Entry) -> Entry:
        self._last = entry
        return entry

    def _of_other_head(self, text: str) -> datetime | None:
        """The time in a line whose head is the user's own `log_line_prefix`."""
        found = _TIME_SOMEWHERE.search(text, 0, 200)
        return self._moment(found["time"], found["zone"]) if found else None

    def _moment(self, time: str, zone: str) -> datetime | None:
        """When that was; None where nobody here knows the zone."""
        where = self._zones.get(zone) or _offset(zone)
        if where is None:
            return None
        try:
            return datetime.fromisoformat(time).replace(tzinfo=where).astimezone(UTC)
        except ValueError:
            return None


def _word(level: str | None) -> str | None:
    """The same text for all lines of a level: there may be a hundred thousand of them."""
    return level and sys.intern(level)


def _further(
    before: Entry, text: str, *, level: str | None = None, pid: int | None = None
) -> Entry:
    """A line that goes where the one before goes."""
    return Entry(
        part=before.part,
        text=text,
        moment=before.moment,
        level=level or before.level,
        pid=pid or before.pid,
        belongs=True,
    )


def _offset(zone: str) -> tzinfo | None:
    if (found := _OFFSET.fullmatch(zone)) is None:
        return None
    size = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"] or 0))
    return timezone(-size if found["sign"] == "-" else size)
