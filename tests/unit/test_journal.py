"""What servers write, read line by line, and put into one order."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devdb import journal
from devdb.journal import Entry
from devdb.journal.merging import OPENING, WINDOW
from devdb.model import LogLine

ZONES = journal.zones(ZoneInfo("Europe/Berlin"), timezone(timedelta(hours=5, minutes=30)))
P, B, R = "postgres", "pgbouncer", "reaper"
BEGIN = "2026-11-26 07:41:04.837 UTC [16655] "


def read(*lines: tuple[str, str]) -> list[Entry]:
    return list(journal.in_order((LogLine(part=part, text=text) for part, text in lines), ZONES))


def one(part: str, text: str) -> Entry:
    [entry] = read((part, text))
    return entry


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-26 {clock}").replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("part", "line", "level", "text"),
    [
        (P, "LOG:  database system is ready to accept connections", "LOG", "database system is"),
        (P, "ERROR:  division by zero", "ERROR", "division by zero"),
        (P, 'FATAL:  database "no" does not exist', "FATAL", "database"),
        (P, "PANIC:  could not locate a valid checkpoint record", "PANIC", "could not"),
        (P, "WARNING:  there is no transaction in progress", "WARNING", "there is"),
        (P, "DEBUG1:  ...", "DEBUG1", "..."),
        (P, "STATEMENT:  select 1/0", "STATEMENT", "select 1/0"),
        (B, "LOG process up: PgBouncer 1.18.0, libevent 2.1.12-stable", "LOG", "process up"),
        (B, "WARNING C-0x55cf2a2aec58: a/b@127.0.0.1:4 pooler error: x", "WARNING", "C-0x"),
        (B, "ERROR no such database: x", "ERROR", "no such"),
        (B, "FATAL could not open file", "FATAL", "could not"),
        (B, "NOISE safe_send(12, 4) = 4", "NOISE", "safe_send"),
    ],
)
def test_a_line_of_either_server_is_taken_apart(
    part: str, line: str, level: str, text: str
) -> None:
    entry = one(part, BEGIN + line)
    assert (entry.part, entry.level, entry.pid) == (part, level, 16655)
    assert entry.moment == at("07:41:04.837")
    assert entry.text.startswith(text)


@pytest.mark.parametrize(
    ("prefix", "moment"),
    [
        ("2026-11-26 07:41:04.837 UTC [1] ", at("07:41:04.837")),
        ("2026-11-26 07:41:04 GMT [1] ", at("07:41:04")),
        ("2026-11-26 08:41:04.837 CET [1] ", at("07:41:04.837")),
        ("2026-11-26 09:41:04.837 CEST [1] ", at("07:41:04.837")),
        ("2026-11-26 04:41:04.837 -03 [1] ", at("07:41:04.837")),
        ("2026-11-26 13:26:04.837 +0545 [1] ", at("07:41:04.837")),
        ("2026-11-26 13:11:04.837 UTC+05:30 [1] ", None),
        ("2026-11-26 07:41:04.837 XYZ [1] ", None),
        ("2026-13-26 07:41:04.837 UTC [1] ", None),
    ],
)
def test_times_of_all_zones_are_told_in_utc(prefix: str, moment: datetime | None) -> None:
    assert one(B, f"{prefix}LOG x").moment == moment


def test_what_belongs_to_a_message_goes_with_it() -> None:
    entries = read(
        (P, BEGIN + "ERROR:  relation x does not exist at character 18"),
        (P, BEGIN + "HINT:  Perhaps you meant y."),
        (P, "2026-11-26 07:41:04.839 UTC [16655] STATEMENT:  select nope"),
        (P, "\tfrom x"),
        (P, "2026-11-26 07:41:05.000 UTC [16700] LOG:  later"),
        (B, "2026-11-26 07:41:04.838 UTC [7] LOG between"),
    )
    assert [(entry.level, entry.text, entry.belongs) for entry in entries] == [
        ("ERROR", "relation x does not exist at character 18", False),
        ("HINT", "Perhaps you meant y.", True),
        ("STATEMENT", "select nope", True),
        ("STATEMENT", "\tfrom x", True),
        ("LOG", "between", False),
        ("LOG", "later", False),
    ]
    assert {entry.moment for entry in entries[:4]} == {at("07:41:04.837")}


@pytest.mark.parametrize(
    ("line", "level", "moment"),
    [
        ("2026-11-26 07:41:04 UTC [84]: [1-1] user=devdb,db=main ERROR:  no", "ERROR", "07:41:04"),
        ("07:41 main ERROR:  no", "ERROR", None),
        ("[84] 2026-11-26 08:41:04.100 CET shop LOG:  hello", "LOG", "07:41:04.100"),
        ("2026-11-26 07:41:04.837 UTC [84] FEHLER:  Division durch Null", None, "07:41:04.837"),
        ("entrypoint: /var/lib/postgresql holds a database", None, None),
        ("\tfirst of all a line that goes on", None, None),
        ("", None, None),
    ],
)
def test_what_has_another_head_is_shown_as_it_is(
    line: str, level: str | None, moment: str | None
) -> None:
    entry = one(P, line)
    assert (entry.text, entry.level) == (line, level)
    assert entry.moment == (at(moment) if moment else None)


def test_what_the_supervisor_says_has_no_level() -> None:
    entry = one(B, "2026-11-26 07:41:04 UTC [12] devdb: pgbouncer ended and is started again")
    assert (entry.level, entry.moment) == (None, at("07:41:04"))
    assert entry.text == "devdb: pgbouncer ended and is started again"


texts = st.text(st.characters(exclude_characters="\n"))


@given(st.lists(st.tuples(st.sampled_from([P, B, R]), texts)))
def test_no_line_is_lost_and_none_is_changed(lines: list[tuple[str, str]]) -> None:
    assert sorted((entry.part, entry.text) for entry in read(*lines)) == sorted(lines)


@pytest.mark.parametrize(
    ("line", "milliseconds"),
    [
        ("LOG:  duration: 254.608 ms  statement: select pg_sleep(0.25)", 254.608),
        ("LOG:  duration: 1000.000 ms  execute <unnamed>: select $1", 1000),
        ("LOG:  duration: 3.5 ms  plan:", 3.5),
        ("LOG:  statement: select 'duration: 3.5 ms'", None),
        ("ERROR:  duration: 3.5 ms", None),
    ],
)
def test_a_slow_query_has_its_duration(line: str, milliseconds: float | None) -> None:
    assert one(P, BEGIN + line).duration == milliseconds


def line(part: str, clock: str, said: str, zone: str = "UTC") -> LogLine:
    colon = ": " if part == P else ""
    return LogLine(part=part, text=f"2026-11-26 {clock} {zone} [1] LOG{colon} {said}")


@given(st.lists(st.tuples(st.sampled_from([P, B]), st.integers(0, 59)), max_size=40))
def test_the_tail_is_in_time_order_exactly(written: list[tuple[str, int]]) -> None:
    lines = [line(part, f"07:00:{second:02}.000", "x") for part, second in written]
    moments = [entry.moment for entry in journal.in_order(lines, ZONES)]
    assert moments == sorted(moments, key=lambda moment: moment or at("00:00:00"))
    assert len(moments) == len(lines)


def test_in_the_same_millisecond_postgres_comes_first() -> None:
    lines = [line(part, "07:00:01.000", part) for part in (R, B, P, B)]
    assert [entry.part for entry in journal.in_order(lines, ZONES)] == [R, P, B, B]


def test_a_line_without_a_time_has_that_of_the_one_before() -> None:
    lines = [
        LogLine(part=P, text="entrypoint: first"),
        line(P, "07:00:02.000", "second"),
        LogLine(part=P, text="something else"),
        line(B, "08:00:01.000", "before", "CET"),
        line(B, "08:00:03.000", "after", "CET"),
        LogLine(part=R, text="nobody knows when"),
        LogLine(part=P, text="stamped", moment=at("07:00:01.500")),
    ]
    entries = list(journal.in_order(lines, ZONES))
    assert [entry.text for entry in entries] == [
        "nobody knows when",
        "before",
        "stamped",
        "entrypoint: first",
        "second",
        "something else",
        "after",
    ]
    assert entries[0].moment is None


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def followed(clock: Clock, *steps: tuple[float, LogLine | None]) -> list[tuple[float, str]]:
    """What came of those lines, each given after so many seconds, and when."""

    def lines() -> Iterator[LogLine | None]:
        for seconds, line in steps:
            clock.now += seconds
            yield line

    begun = clock.now
    entries = journal.as_they_come(lines(), ZONES, clock=clock)
    return [(round(clock.now - begun, 2), entry.text) for entry in entries if entry is not None]


def test_what_was_there_already_is_sorted_as_one() -> None:
    steps = [
        (0.0, line(P, "07:00:01.000", "one")),
        (0.9, line(P, "07:00:03.000", "three")),
        (0.9, line(B, "07:00:02.000", "two")),
        (0.0, None),
    ]
    assert followed(Clock(), *steps) == [(1.8, "one"), (1.8, "two"), (1.8, "three")]


def test_a_flood_to_begin_with_is_not_waited_for_for_ever() -> None:
    steps = [(OPENING / 10, line(P, f"07:00:{n:02}.000", str(n))) for n in range(1, 30)]
    assert followed(Clock(), *steps)[0][0] <= OPENING + WINDOW


def test_what_comes_is_sorted_within_the_window_and_held_no_longer() -> None:
    steps = [
        (0.0, None),
        (0.0, line(B, "07:00:02.000", "pooler's")),
        (WINDOW / 2, line(P, "07:00:01.000", "earlier, and later here")),
        (WINDOW / 2, None),
        (1.0, line(B, "07:00:09.000", "alone")),
        (0.25, None),
        (0.0, line(P, "07:00:03.000", "too late to be sorted")),
        (0.25, None),
    ]
    assert followed(Clock(), *steps) == [
        (0.15, "earlier, and later here"),
        (0.15, "pooler's"),
        (1.4, "alone"),
        (1.65, "too late to be sorted"),
    ]


def test_the_end_of_a_log_is_told_whole() -> None:
    steps = [
        (0.0, None),
        (0.0, line(P, "07:00:01.000", "last")),
        (0.0, LogLine(part=P, text="\twords")),
    ]
    assert [text for _, text in followed(Clock(), *steps)] == ["last", "\twords"]


def test_it_closes_what_it_reads() -> None:
    closed = []

    def lines() -> Iterator[LogLine | None]:
        try:
            while True:
                yield None
        finally:
            closed.append(True)

    entries = journal.as_they_come(lines(), ZONES)
    assert next(entries) is None
    entries.close()
    assert closed == [True]
