"""What the panes of the middle say of pools and sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import specs
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Static

from devdb import tui
from devdb.monitor.backends import Backend
from devdb.monitor.pools import Pool
from devdb.tui import words
from devdb.tui.panes.activity import Activity
from devdb.tui.panes.pane import Pane
from devdb.tui.panes.pools import Pools

STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CALM = Pool(
    database="main",
    users=("devdb",),
    mode="transaction",
    active=12,
    waiting=0,
    oldest_wait=0,
    used=3,
    open=5,
    size=20,
    per_second=4.26,
)
FULL = replace(CALM, database="shop", waiting=6, oldest_wait=9.4, used=20, per_second=None)
IDLE = Backend(
    pid=100,
    started=STARTED,
    database="main",
    role="devdb",
    application="worker",
    client="127.0.0.1:50312",
    is_pooled=True,
    state="idle",
    age=12.3,
    waits_for="",
    blocked_by=(),
    query="select\n\t1   as one",
)
HOLDER = replace(
    IDLE, pid=4711, application="psql", is_pooled=False, state="idle in transaction", age=125
)
BLOCKED = replace(
    IDLE, pid=200, state="active", waits_for="Lock: transactionid", blocked_by=(4711,)
)


def line(database: str, width: int) -> str:
    return "▁▂▃▄▅▆▇█"[-width:] if database == "main" else ""


class Frame(App[Any]):
    """A pane alone, with the styles of the dashboard."""

    CSS_PATH = Path(tui.__file__).with_name("devdb.tcss")

    def __init__(self, pane: Pane) -> None:
        super().__init__()
        self.pane = pane

    def compose(self) -> ComposeResult:
        yield self.pane


def seen(pane: Pane) -> list[str]:
    """The heading and the lines of the grid, without the spaces at their ends."""
    heading = str(pane.query_one(".heading", Static).visual)
    lines = [pane.grid.render_line(y).text.rstrip() for y in range(pane.grid.virtual_size.height)]
    return [heading, *lines]


def framed(
    pane: Pane,
    scenario: Callable[[Pilot[Any]], Awaitable[None]],
    size: tuple[int, int] = (80, 24),
) -> None:
    async def main() -> None:
        async with Frame(pane).run_test(size=size) as pilot:
            await scenario(pilot)

    asyncio.run(main())


def test_a_pool_says_who_waits_and_for_how_long() -> None:
    pools = Pools()

    async def scenario(pilot: Pilot[Any]) -> None:
        pools.show((CALM, FULL), line)
        await pilot.pause()
        heading, header, calm, full = seen(pools)
        assert heading == "Pools  30 clients, ▲ 6 wait"
        assert header.split() == (
            "database active waiting oldest servers queries/s last minute".split()
        )
        assert calm.split() == "▸ main 12 0 3 of 20 4.3 ▁▂▃▄▅▆▇█".split()
        assert full.split() == "shop 12 ▲ 6 9 s 20 of 20".split()
        assert pools.tally == "▲6"

    framed(pools, scenario)


def test_the_sparkline_gets_the_room_that_is_left() -> None:
    asked: list[int] = []
    pools = Pools()

    def drawn(_database: str, width: int) -> str:
        asked.append(width)
        return "▁" * width

    async def scenario(pilot: Pilot[Any]) -> None:
        pools.show((CALM,), drawn)
        await pilot.resize_terminal(200, 24)
        await pilot.pause()
        assert seen(pools)[2].count("▁") == asked[-1] == 60
        await pilot.resize_terminal(40, 24)
        await pilot.pause()
        assert "▁" not in seen(pools)[2]

    framed(pools, scenario)


def test_a_console_that_does_not_answer_is_told() -> None:
    pools = Pools()

    async def scenario(pilot: Pilot[Any]) -> None:
        assert seen(pools) == ["Pools  ", ""]
        pools.show(None, line)
        assert seen(pools) == ["Pools  ", "PgBouncer's console does not answer"]
        pools.show((), line)
        assert seen(pools) == ["Pools  0 clients", pools.EMPTY]

    framed(pools, scenario)


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (40, "pid application way state"),
        (80, "pid application way state age blocked by query"),
        (100, "pid application way state age waits for blocked by query"),
    ],
)
def test_a_session_is_told_in_as_many_columns_as_fit(width: int, titles: str) -> None:
    activity = Activity(specs.new("fake"))

    async def scenario(pilot: Pilot[Any]) -> None:
        activity.show((BLOCKED, HOLDER, IDLE))
        await pilot.pause()
        header = seen(activity)[1].split()
        assert " ".join(header).replace("applicati…", "application") == titles

    framed(activity, scenario, (width, 24))


def test_who_waits_behind_whom_is_told() -> None:
    activity = Activity(specs.new("fake"))

    async def scenario(pilot: Pilot[Any]) -> None:
        two = replace(BLOCKED, pid=201, blocked_by=(4711, 200))
        activity.show((BLOCKED, two, HOLDER, IDLE))
        await pilot.pause()
        heading, _header, first, second, holder, idle = seen(activity)
        assert heading == "Activity  4 sessions, 2 active, ▲ 2 blocked"
        assert first.split() == (
            "▸ 200 worker pooled active 10 s Lock: transactionid 4711 select 1 as one".split()
        )
        assert second.split()[8:10] == ["4711", "+1"]
        assert holder.split() == "4711 psql direct idle tx 2 min blocks 2 select 1 as one".split()
        assert idle.split() == "100 worker pooled idle 10 s select 1 as one".split()

    framed(activity, scenario, (140, 24))


def test_a_paused_view_stays_as_it_is_and_says_how_old_it_is() -> None:
    activity = Activity(specs.new("fake"))

    async def scenario(pilot: Pilot[Any]) -> None:
        activity.show((IDLE,))
        activity.pause()
        assert activity.paused
        activity.show((HOLDER,))
        await pilot.pause()
        assert seen(activity)[0].startswith("Activity  ‖ paused: as it was ")
        assert "100 worker" in seen(activity)[2]
        assert activity.chosen == IDLE
        activity.pause()
        assert not activity.paused
        assert activity.chosen == HOLDER
        assert seen(activity)[0] == "Activity  1 session, 0 active"

    framed(activity, scenario)


def test_the_cursor_stays_with_its_session_and_goes_to_who_blocks_it() -> None:
    activity = Activity(specs.new("fake"))

    async def scenario(pilot: Pilot[Any]) -> None:
        assert activity.chosen is None
        activity.show((BLOCKED, HOLDER, IDLE))
        assert activity.chosen == BLOCKED
        activity.show((IDLE, HOLDER, replace(BLOCKED, age=99)))
        assert activity.chosen is not None
        assert activity.chosen.pid == 200
        assert activity.go_to(4711)
        assert activity.chosen == HOLDER
        assert not activity.go_to(1)

    framed(activity, scenario)


def test_a_pid_that_is_given_out_again_is_another_session() -> None:
    activity = Activity(specs.new("fake"))

    async def scenario(pilot: Pilot[Any]) -> None:
        activity.show((HOLDER, IDLE))
        activity.show((IDLE, replace(HOLDER, started=datetime.now(UTC))))
        assert activity.chosen == IDLE

    framed(activity, scenario)


def test_without_a_login_it_says_so() -> None:
    activity = Activity(specs.new("fake"))

    async def scenario(pilot: Pilot[Any]) -> None:
        activity.show(None)
        assert seen(activity) == ["Activity  ", "Postgres lets nobody in"]
        activity.show(())
        assert seen(activity) == ["Activity  0 sessions, 0 active", activity.EMPTY]

    framed(activity, scenario)


HOSTILE = "a\x1b]52;c;aGk=\x07\n\u202e[b]b[/b]"


def test_what_clients_say_is_plain_text() -> None:
    activity, pools = Activity(specs.new("fake")), Pools()

    async def scenario(pilot: Pilot[Any]) -> None:
        activity.show((replace(IDLE, application=HOSTILE, query=HOSTILE, waits_for=HOSTILE),))
        await pilot.pause()
        shown = seen(activity)[2]
        assert shown.count(r"a\x1b]52;c;aGk=\x07") == 3
        assert not set(shown) & {"\x1b", "\x07", "\n", "\u202e"}

    framed(activity, scenario, (200, 24))
    framed(pools, lambda pilot: _hostile_pool(pools, pilot))


async def _hostile_pool(pools: Pools, pilot: Pilot[Any]) -> None:
    pools.show((replace(CALM, database=HOSTILE),), line)
    await pilot.pause()
    assert r"a\x1b]52" in seen(pools)[2]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "0 s"),
        (9.9, "9 s"),
        (14, "10 s"),
        (59.9, "55 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (172799, "47 h"),
        (172800, "2 d"),
    ],
)
def test_an_age_is_short_and_coarse(seconds: float, said: str) -> None:
    assert words.age(seconds) == said


def drawn_again(activity: Activity, backends: Sequence[Backend]) -> int:
    """How many rows of the grid are made anew by that."""
    before = {key: row for key, (_looks, row) in activity._rows.items()}
    activity.show(tuple(backends))
    return sum(before.get(key) is not row for key, (_looks, row) in activity._rows.items())


def test_a_second_makes_few_rows_anew() -> None:
    many = [replace(IDLE, pid=n, age=60 + n) for n in range(200)]
    activity = Activity(specs.new("fake"))

    async def scenario(pilot: Pilot[Any]) -> None:
        assert drawn_again(activity, many) == 200
        assert drawn_again(activity, many) == 0
        older = [replace(each, age=each.age + 1) for each in many]
        assert 0 < drawn_again(activity, older) < 10

    framed(activity, scenario)
