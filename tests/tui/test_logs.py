"""The log view: what its keys do, and what it does with what comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import Empty, Queue

import pytest
from driving import NAME, Driver

from devdb import marker
from devdb.engines.fake import FakeEngine
from devdb.errors import EngineUnavailable
from devdb.model import LogLine
from devdb.tui import logview
from devdb.tui.app import DevdbApp
from devdb.tui.logs import feed
from devdb.tui.logs.lines import LogLines
from devdb.tui.logview import LogView
from devdb.workspace import slow
from devdb.workspace.slow import Slow

Drive = Callable[..., DevdbApp]
UseEngine = Callable[[FakeEngine], None]
SIZES = [(20, 5), (40, 12), (80, 24), (120, 40), (200, 50)]


class Scripted(FakeEngine):
    """Its servers have written what a test says, and write more when it says so."""

    def __init__(self, *written: tuple[str, str]) -> None:
        super().__init__()
        self._written = written
        self._more: Queue[LogLine | Exception] = Queue()

    def logs(self, name: str, *, tail: int, follow: bool) -> Iterator[LogLine | None]:
        del name, follow
        yield from [LogLine(part=part, text=text) for part, text in self._written][-tail:]
        while True:
            yield None
            with suppress(Empty):
                line = self._more.get(timeout=0.02)
                if isinstance(line, Exception):
                    raise line
                yield line

    def say(self, part: str, *texts: str) -> None:
        for text in texts:
            self._more.put(LogLine(part=part, text=text))

    def fail(self, error: Exception) -> None:
        self._more.put(error)


def postgres(second: int, said: str) -> tuple[str, str]:
    return "postgres", f"2020-01-01 10:00:{second:02}.000 UTC [7] {said}"


def pgbouncer(second: int, said: str) -> tuple[str, str]:
    return "pgbouncer", f"2020-01-01 10:00:{second:02}.000 UTC [8] {said}"


WRITTEN = (
    pgbouncer(3, "WARNING C-0x1: main/devdb@127.0.0.1:1 pooler error: query_wait_timeout"),
    pgbouncer(4, "LOG PAUSE 'temp_a' command issued"),
    postgres(1, "ERROR:  division by zero"),
    postgres(1, "STATEMENT:  select 1/0"),
    postgres(2, "LOG:  duration: 254.608 ms  statement: select pg_sleep(0.25)"),
    postgres(5, "LOG:  " + "long " * 40 + "END"),
    ("reaper", "2020-01-01 10:00:06.000 UTC [9] LOG drops temp_a"),
)


def view(user: Driver) -> LogView:
    screen = user.app.screen
    assert isinstance(screen, LogView)
    return screen


def lines(user: Driver) -> LogLines:
    return view(user).query_one(LogLines)


def shown(user: Driver) -> list[str]:
    kept = lines(user).kept
    return [kept.lines[number - kept.first].text for number in kept.shown]


@pytest.fixture
def opened(drive: Drive, use_engine: UseEngine) -> Callable[..., None]:
    """Runs a scenario in the log view of servers that have written this."""

    def run(
        scenario: Callable[[Driver, Scripted], object],
        *written: tuple[str, str],
        size: tuple[int, int] = (100, 24),
    ) -> None:
        engine = Scripted(*(written or WRITTEN))
        use_engine(engine)

        async def main(user: Driver) -> None:
            await user.ready()
            await user.press("l")
            await user.until(lambda: isinstance(user.app.screen, LogView), "the view")
            await user.until(lambda: shown(user), "lines")
            await scenario(user, engine)  # type: ignore[misc]

        drive(main, size=size)

    return run


Opened = Callable[..., None]


def test_both_servers_are_in_time_order_with_part_and_level(opened: Opened) -> None:
    async def scenario(user: Driver, _engine: Scripted) -> None:
        # Of another day the day is told.
        text = await user.sees("01-01", "reaper", "drops")
        rows = [line.split() for line in text.splitlines()]
        places = [
            next(index for index, row in enumerate(rows) if words <= set(row))
            for words in (
                {"postgres", "ERROR", "division"},
                {"postgres", "STATEMENT", "1/0"},
                {"postgres", "LOG", "◷", "254.608"},
                {"pgbouncer", "WARNING", "query_wait_timeout"},
                {"postgres", "LOG", "long"},
                {"reaper", "LOG", "drops", "temp_a"},
            )
        ]
        assert places == sorted(places)

    opened(scenario)


def test_levels_have_colours_and_a_slow_query_too(opened: Opened) -> None:
    async def scenario(user: Driver, _engine: Scripted) -> None:
        widget = lines(user)
        colours: dict[str, object] = {}
        for row in range(widget.kept.rows):
            for segment in widget.render_line(row):
                word = segment.text.strip()
                if word in ("ERROR", "WARNING", "STATEMENT", "◷", "LOG") and segment.style:
                    colours.setdefault(word, segment.style.color)
        assert len(colours) == 5
        assert len({colours[word] for word in ("ERROR", "WARNING", "◷", "STATEMENT")}) == 4

    opened(scenario)


def test_a_shows_devdbs_own_work_and_says_how_much_there_is(opened: Opened) -> None:
    async def scenario(user: Driver, _engine: Scripted) -> None:
        text = await user.sees("6 of 7 · 1 of devdb's own work hidden: a shows them")
        assert "PAUSE" not in text
        await user.press("a")
        await user.sees("PAUSE 'temp_a' command issued")
        await user.sees("7 lines")
        await user.press("a")
        await user.sees("6 of 7")

    opened(scenario)


def test_slash_filters_as_one_types_and_escape_clears(opened: Opened) -> None:
    async def scenario(user: Driver, engine: Scripted) -> None:
        await user.press("slash", "D", "i", "V")
        await user.sees("2 of 7 · with 'DiV'")
        assert shown(user) == ["division by zero", "select 1/0"], "what belongs to it comes with it"
        engine.say("postgres", "another division", "nothing of it")
        await user.sees("3 of 9")
        await user.press("i", "q")
        await user.sees("0 of 9")
        await user.sees("None of the lines is shown.")
        await user.press("backspace", "enter", "a")
        await user.sees("3 of 9 · with 'DiVi'")
        await user.press("escape")
        await user.sees("9 lines")
        await user.press("slash", "q", "escape", "escape")
        assert not isinstance(user.app.screen, LogView)

    opened(scenario)


def test_what_is_looked_for_is_marked_in_the_line(opened: Opened) -> None:
    async def scenario(user: Driver, _engine: Scripted) -> None:
        await user.press("slash", "Z", "e", "r")
        await user.sees("with 'Zer'")
        marked = [
            each.text for each in lines(user).render_line(0) if each.style and each.style.reverse
        ]
        assert marked == ["zer"]

    opened(scenario)


def test_w_shows_long_lines_whole_and_arrows_move_to_their_end(opened: Opened) -> None:
    async def scenario(user: Driver, _engine: Scripted) -> None:
        assert "END" not in await user.sees("division by zero")
        rows = lines(user).kept.rows
        await user.press("w")
        await user.sees("END")
        assert lines(user).kept.rows > rows
        await user.press("w")
        assert lines(user).kept.rows == rows
        await user.press(*["right"] * 19)
        await user.sees("END")
        before = lines(user).scroll_offset.x
        await user.press("left")
        assert lines(user).scroll_offset.x < before
        await user.press("home")
        await user.loses("END")
        await user.sees("division by zero")

    opened(scenario)


def test_space_pauses_counts_and_goes_on(opened: Opened) -> None:
    async def scenario(user: Driver, engine: Scripted) -> None:
        await user.press("space")
        await user.sees("paused, 0 new")
        engine.say("postgres", *(f"new {number}" for number in range(31)))
        assert "new 1" not in await user.sees("paused, 31 new")
        await user.press("space")
        await user.sees("new 30")
        await user.loses("paused")

    opened(scenario)


def test_p_shows_one_part_after_the_other(opened: Opened) -> None:
    async def scenario(user: Driver, _engine: Scripted) -> None:
        for words, number in (
            ("Postgres only", 4),
            ("PgBouncer only", 1),
            ("Reaper only", 1),
            ("6 of 7", 6),
        ):
            await user.press("p")
            await user.sees(words)
            assert len(shown(user)) == number

    opened(scenario)


def test_it_follows_at_the_end_and_else_stays_where_it_is(opened: Opened) -> None:
    many = [postgres(number // 2, f"LOG:  line {number:03}") for number in range(100)]

    def top(user: Driver) -> str:
        return lines(user).render_line(0).text

    async def scenario(user: Driver, engine: Scripted) -> None:
        await user.until(lambda: lines(user).is_at_end, "the end")
        engine.say("postgres", "the newest")
        await user.sees("the newest")
        await user.press("home")
        first = top(user)
        assert "line 000" in first
        await user.sees("end goes on with what comes")
        engine.say("postgres", "newer still")
        await user.until(lambda: len(shown(user)) == 102, "it")
        assert top(user) == first
        await user.press("pagedown", "down")
        assert "newer still" not in user.text()
        second = top(user)
        assert second > first
        await user.press("up", "pageup")
        assert top(user) == first
        await user.press("end")
        await user.sees("newer still")
        engine.say("postgres", "the very last")
        await user.sees("the very last")

    opened(scenario, *many)


def test_it_stays_with_its_line_when_filter_wrap_and_width_change(opened: Opened) -> None:
    words = "word " * 30
    many = [postgres(number // 4, f"LOG:  line {number:03} {words}") for number in range(200)]

    async def scenario(user: Driver, _engine: Scripted) -> None:
        await user.press("home", *["pagedown"] * 3)
        row = lines(user).scroll_offset.y
        words = f"line {row:03}"
        for key in ("w", None, "w"):
            if key is None:
                await user.pilot.resize_terminal(70, 20)
            else:
                await user.press(key)
            await user.until(lambda: words in lines(user).render_line(0).text, "the same line")

    opened(scenario, *many)


def test_m_has_slow_queries_logged_and_says_how_it_stands(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [Slow(200, -1, is_turned=True), Slow(-1, -1, is_turned=False)]
    monkeypatch.setattr(slow, "look", lambda _spec: Slow(-1, -1, is_turned=False))
    monkeypatch.setattr(slow, "turn", lambda _spec: answers.pop(0))

    async def scenario(user: Driver, _engine: Scripted) -> None:
        await user.press("m")
        await user.sees("Queries over 200 ms are logged, at once and also after a restart")
        await user.sees("m has them logged no more.")
        await user.sees("· queries over 200 ms are logged")
        await user.press("m")
        await user.sees("Slow queries are not logged, as the settings say")
        await user.sees("m has them logged from 200 ms on.")

    opened(scenario)


def test_m_says_when_postgres_cannot_be_told(opened: Opened) -> None:
    async def scenario(user: Driver, _engine: Scripted) -> None:
        await user.press("m")
        await user.sees("Postgres could not be told to log slow queries")

    opened(scenario)


@pytest.mark.parametrize("key", ["escape", "l", "q"])
def test_what_was_chosen_is_still_so_when_it_is_opened_again(opened: Opened, key: str) -> None:
    async def scenario(user: Driver, _engine: Scripted) -> None:
        await user.press("p", "w", "a")
        await user.sees("Postgres only")
        await user.press(key)
        await user.until(lambda: not isinstance(user.app.screen, LogView), "the dashboard")
        await user.press("l")
        await user.sees("4 of 7 · Postgres only")
        await user.sees("END")

    opened(scenario)


def test_help_lists_every_key_of_it(opened: Opened) -> None:
    async def scenario(user: Driver, _engine: Scripted) -> None:
        await user.press("question_mark")
        await user.sees("esc", "/", "p", "space", "w", "m", "a", "words in them", "own work")
        await user.press("escape")
        assert isinstance(user.app.screen, LogView)

    opened(scenario)


@pytest.mark.parametrize("size", SIZES)
def test_at_every_size_there_are_lines_and_a_way_out(opened: Opened, size: tuple[int, int]) -> None:
    async def scenario(user: Driver, _engine: Scripted) -> None:
        reaper = " reaper    LOG       drops" if size[0] >= 60 else " re LOG   drop"
        await user.sees(reaper, "esc Back")
        for key in ("w", "slash", "escape", "home", "end"):
            await user.press(key)
        assert lines(user).size.height >= 1

    opened(scenario, size=size)


def test_why_no_more_comes_is_a_line(opened: Opened) -> None:
    async def scenario(user: Driver, engine: Scripted) -> None:
        engine.fail(EngineUnavailable("Docker does not answer.", "Start it."))
        await user.sees("devdb               Docker does not answer.")

    opened(scenario)


def test_an_empty_log_says_so(drive: Drive, use_engine: UseEngine) -> None:
    engine = Scripted()
    use_engine(engine)

    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.press("l")
        await user.sees("Nothing was written yet.")

    drive(scenario)


class Flooding(FakeEngine):
    """Writes 5,000 lines as fast as they are read."""

    def logs(self, name: str, *, tail: int, follow: bool) -> Iterator[LogLine | None]:
        del name, tail, follow
        yield None
        for number in range(1, 5001):
            yield LogLine(part="postgres", text=f"{BEGIN}LOG:  line {number}")
        while True:
            yield from self._silence()


BEGIN = "2020-01-01 10:00:00.000 UTC [7] "


def counted(user: Driver) -> int:
    """How many lines of those numbered from 1 on are shown, or said to be left out."""
    number = 0
    for text in shown(user):
        if text.startswith("line "):
            number += 1
            assert int(text.split()[1]) == number, "every line is shown or counted"
        elif " left out" in text:
            number += int(text.split()[0].replace(",", ""))
    return number


def test_what_waits_is_bounded_and_what_is_left_out_is_counted(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logview, "KEPT", 1000)

    async def scenario(user: Driver, engine: Scripted) -> None:
        await user.press("space")
        engine.say("postgres", *(f"line {number}" for number in range(1, 1501)))
        await user.sees("paused, 1,500 new")
        await user.press("space")
        await user.sees("500 left out: more than can be shown")
        assert counted(user) == 1500

    opened(scenario)


def test_a_flood_leaves_the_keys_alone_and_no_line_uncounted(
    drive: Drive, use_engine: UseEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "AHEAD", 1000)
    use_engine(Flooding())

    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.press("l")
        await user.until(lambda: shown(user), "lines")
        await user.press("home", "end", "slash", "l", "i", "n", "e", "escape")
        await user.until(lambda: counted(user) == 5000, "all of them")
        await user.press("escape")
        assert not isinstance(user.app.screen, LogView)

    drive(scenario)


def test_the_thread_ends_with_the_view(opened: Opened) -> None:
    def follows() -> bool:
        return any(thread.name == "devdb-logs" for thread in threading.enumerate())

    async def scenario(user: Driver, _engine: Scripted) -> None:
        assert follows()
        await user.press("l")
        await user.until(lambda: not follows(), "the end of the thread")

    opened(scenario)
    assert marker.load(NAME) is not None
