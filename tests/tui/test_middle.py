"""How the panes share the room there is, and what is seen of the dashboard at which size."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import pytest
from driving import Driver

from devdb.config import Settings
from devdb.tui.app import DevdbApp
from devdb.tui.grid import Grid
from devdb.tui.panes.activity import Activity
from devdb.tui.panes.databases import Databases
from devdb.tui.panes.middle import Middle, shares
from devdb.tui.panes.pane import Pane
from devdb.tui.panes.pools import Pools

pytestmark = pytest.mark.usefixtures("copied", "crowd")
Drive = Callable[..., DevdbApp]
POOLS, DATABASES, ACTIVITY = 0, 1, 2


@pytest.fixture
def crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are clients, some at odds with each other."""
    monkeypatch.setenv("DEVDB_FAKE_CLIENTS", "20")


@pytest.mark.parametrize(
    ("room", "needs", "focused", "given"),
    [
        # Room for all: what is left over is the last one's.
        (40, (4, 5, 22), ACTIVITY, [4, 5, 31]),
        (16, (4, 5, 22), DATABASES, [4, 5, 7]),
        # Too little: the focused one is opened, of the others those that are worth it.
        (12, (4, 5, 22), ACTIVITY, [4, 1, 7]),
        (12, (4, 5, 22), DATABASES, [4, 4, 4]),
        (12, (4, 5, 22), POOLS, [4, 4, 4]),
        (8, (4, 5, 22), DATABASES, [1, 4, 3]),
        # Many databases leave room for the others.
        (30, (4, 60, 22), ACTIVITY, [4, 10, 16]),
        (30, (4, 60, 22), DATABASES, [4, 15, 11]),
        # An empty one has a line for why it is empty.
        (20, (2, 2, 2), POOLS, [2, 2, 16]),
    ],
)
def test_the_room_is_shared_by_need(
    room: int, needs: tuple[int, int, int], focused: int, given: list[int]
) -> None:
    assert shares(room, needs, focused) == given


def test_no_line_is_given_twice_and_none_is_lost() -> None:
    for room, *needs in itertools.product(range(8, 60, 3), (2, 5, 40), (2, 5, 40), (2, 9, 200)):
        for focused in range(3):
            given = shares(room, needs, focused)
            assert sum(given) == room
            assert min(given) >= 1


def rows_seen(pane: Pane) -> int:
    """How many rows of its grid are on the screen."""
    return max(0, min(pane.grid.size.height - 1, pane.grid.row_count))


def is_open(pane: Pane) -> bool:
    """Whether it has the keys and shows what it has."""
    return pane.has_focus_within and bool(rows_seen(pane) or not pane.grid.row_count)


async def filled(user: Driver) -> Middle:
    await user.until(lambda: user.app.screen.query(Middle), "the dashboard")
    middle = user.app.screen.query_one(Middle)
    await user.until(lambda: middle.query_one(Activity).grid.row_count, "sessions")
    await user.pilot.pause()
    return middle


def is_on_the_screen(user: Driver) -> bool:
    """Whether the foot covers nothing of the URLs, and nothing is outside of the screen."""
    screen = user.app.screen
    foot = screen.query_one("#foot").region
    cards = [screen.query_one(f"#url-{key}").region for key in "tp"]
    return (
        all(card.height and card.bottom <= foot.y for card in cards)
        and foot.bottom == user.app.size.height
    )


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
def test_at_these_sizes_all_of_it_is_seen(drive: Drive, size: tuple[int, int]) -> None:
    async def scenario(user: Driver) -> None:
        middle = await filled(user)
        await user.until(lambda: is_on_the_screen(user), "everything at its place")
        text = await user.sees(
            "6 wait for the pool",
            "/main",
            "Postgres  18.0",
            "PgBouncer 1.25.2",
            "q Quit & stop",
            "Pools  ",
            "Databases  ",
            "Activity  ",
        )
        pools, activity = middle.query_one(Pools), middle.query_one(Activity)
        await user.until(lambda: rows_seen(pools) == pools.grid.row_count, "every pool")
        await user.until(
            lambda: rows_seen(activity) >= min(5, activity.grid.row_count), "five sessions"
        )
        assert "waits for" in text or size[0] == 80
        assert "query" in text

    drive(scenario, size=size)


def test_the_cards_and_the_panes_stand_side_by_side_where_it_is_wide(drive: Drive) -> None:
    async def scenario(user: Driver) -> None:
        middle = await filled(user)
        pools, databases = middle.query_one(Pools), middle.query_one(Databases)

        def side_by_side() -> tuple[bool, bool]:
            t, p = (user.app.screen.query_one(f"#url-{key}").region for key in "tp")
            return t.y == p.y, pools.region.y == databases.region.y

        await user.until(lambda: side_by_side() == (True, True), "both at 200 columns")
        await user.pilot.resize_terminal(110, 50)
        await user.until(lambda: side_by_side() == (True, False), "the cards at 110")
        await user.pilot.resize_terminal(109, 50)
        await user.until(lambda: side_by_side() == (False, False), "none at 109")

    drive(scenario, size=(200, 50))


def test_tab_goes_from_pane_to_pane_and_opens_it(drive: Drive) -> None:
    async def scenario(user: Driver) -> None:
        middle = await filled(user)
        panes = {type(pane): pane for pane in middle.query(Pane)}
        start = next(kind for kind, pane in panes.items() if pane.has_focus_within)
        assert start is Databases
        for key, there in (
            ("tab", Activity),
            ("tab", Pools),
            ("tab", Databases),
            ("shift+tab", Pools),
            ("shift+tab", Activity),
        ):
            await user.press(key)
            await user.until(partial(is_open, panes[there]), f"{there.__name__} open")
            assert isinstance(user.app.screen.focused, Grid)

    drive(scenario, size=(80, 20))


@pytest.mark.parametrize("size", [(20, 5), (40, 12), (59, 24), (80, 15)])
def test_at_small_sizes_the_keys_are_a_line_and_cover_nothing(
    drive: Drive, settings: Settings, size: tuple[int, int]
) -> None:
    async def scenario(user: Driver) -> None:
        await filled(user)
        await user.until(lambda: is_on_the_screen(user), "everything at its place")
        text = await user.sees("? more", f":{settings.port}", f":{settings.pool_port}")
        lines = text.splitlines()
        assert lines[-1].rstrip().endswith("? more")
        assert user.app.screen.query_one("KeyBar").size.height == 1
        await user.pilot.click("KeyBar", offset=(lines[-1].rindex("more"), 0))
        await user.sees("─ Keys ")

    drive(scenario, size=size)


def test_where_it_is_low_a_strip_names_the_panes_and_says_which_is_open(drive: Drive) -> None:
    async def scenario(user: Driver) -> None:
        middle = await filled(user)
        assert middle.has_class("-strip")
        text = await user.sees("Pools", "▌Databases", "▲")
        strip = next(line for line in text.splitlines() if "Pools" in line)
        assert "▌Databases" in strip
        assert "▲" in strip
        await user.press("tab")
        await user.sees("▌Activity")
        await user.until(lambda: rows_seen(middle.query_one(Activity)) >= 2, "its rows")
        await user.until(lambda: not rows_seen(middle.query_one(Databases)), "no others")
        place = strip.index("Pools")
        await user.pilot.click(".strip", offset=(place, 0))
        await user.sees("▌Pools")

    drive(scenario, size=(40, 12))


def test_thirty_sizes_in_a_row_leave_it_alive(drive: Drive) -> None:
    async def scenario(user: Driver) -> None:
        await filled(user)
        for step in range(30):
            width, height = 200 - step * 180 // 29, 50 - step * 45 // 29
            await user.pilot.resize_terminal(width, height)
        assert user.app.size == (20, 5)
        for width, height in ((200, 5), (20, 50), (1, 1), (80, 24)):
            await user.pilot.resize_terminal(width, height)
        middle = user.app.screen.query_one(Middle)
        await user.until(lambda: rows_seen(middle.query_one(Activity)), "sessions again")
        assert user.app.bug is None
        await user.press("d")
        await user.ended()

    drive(scenario, size=(200, 50))
