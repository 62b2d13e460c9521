"""The table of the dashboard: what it draws, what it draws again, and where its cursor is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.content import Content
from textual.geometry import Region
from textual.pilot import Pilot
from textual.strip import Strip

from devdb.tui.grid import Column, Grid, Row, fitted

COLUMNS = (
    Column("pid", 5, right=True),
    Column("application", 8),
    Column("query", 10, flexible=True),
)


class Counting(Grid):
    """Remembers which lines it drew."""

    def __init__(self, columns: Sequence[Column], *, empty: str) -> None:
        super().__init__(columns, empty=empty)
        self.drawn: list[int] = []

    def render_line(self, y: int) -> Strip:
        self.drawn.append(y)
        return super().render_line(y)


class Shelf(App[None]):
    """A grid, and what it told."""

    CSS = "Grid { height: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str | None] = []
        self.chosen: list[str] = []

    def compose(self) -> ComposeResult:
        yield Counting(COLUMNS, empty="nobody is here")

    def on_grid_moved(self, message: Grid.Moved) -> None:
        self.told.append(message.key)

    def on_grid_chosen(self, message: Grid.Chosen) -> None:
        self.chosen.append(message.key)


Scenario = Callable[[Counting, Pilot[None]], Awaitable[None]]


def on_a_shelf(scenario: Scenario, size: tuple[int, int] = (40, 6)) -> Shelf:
    app = Shelf()

    async def main() -> None:
        async with app.run_test(size=size) as pilot:
            grid = app.query_one(Counting)
            grid.focus()
            await pilot.pause()
            await scenario(grid, pilot)

    asyncio.run(main())
    return app


def lines(grid: Grid) -> list[str]:
    return [grid.render_line(y).text for y in range(grid.size.height)]


def rows(count: int, query: str = "select 1") -> list[Row]:
    return [Row(f"r{n}", (str(n), "psql", query)) for n in range(count)]


@pytest.mark.parametrize(
    ("width", "widths"),
    [
        (3, {0: 3}),
        (13, {0: 5}),
        (14, {0: 5, 1: 8}),
        (24, {0: 5, 1: 8}),
        (25, {0: 5, 1: 8, 2: 10}),
        (100, {0: 5, 1: 8, 2: 85}),
    ],
)
def test_columns_fit_the_width_and_the_last_ones_go_first(
    width: int, widths: dict[int, int]
) -> None:
    assert fitted(COLUMNS, width) == widths


def test_what_is_left_over_is_shared_by_the_flexible_columns() -> None:
    shared = (Column("a", 4, flexible=True), Column("b", 4), Column("c", 4, flexible=True))
    assert fitted(shared, 17) == {0: 6, 1: 4, 2: 5}
    assert fitted((), 10) == {}


def test_a_column_grows_to_its_most_and_a_spare_one_goes_first() -> None:
    columns = (Column("a", 4, most=6), Column("b", 4, spare=True), Column("c", 4, flexible=True))
    assert fitted(columns, 13) == {0: 6, 2: 6}
    assert fitted(columns, 14) == {0: 4, 1: 4, 2: 4}
    assert fitted(columns, 30) == {0: 6, 1: 4, 2: 18}
    assert fitted(columns, 8) == {0: 6}


def test_it_draws_a_header_and_cells_in_their_columns() -> None:
    async def scenario(grid: Counting, pilot: Pilot[None]) -> None:
        grid.show([Row("a", ("12", "psql", "select 1")), Row("b", ("345678", "a" * 9, "x\ty\nz"))])
        await pilot.pause()
        assert lines(grid)[:3] == [
            "    pid  applica…  query                ",
            "▸    12  psql      select 1             ",
            "  3456…  aaaaaaa…  x y z                ",
        ]

    on_a_shelf(scenario)


def test_wide_and_control_characters_keep_the_columns_in_line() -> None:
    async def scenario(grid: Counting, pilot: Pilot[None]) -> None:
        grid.show(
            [
                Row("a", ("1", "日本語日本語", "next")),
                Row("b", ("2", "a\x1b]0;b\x07", Content("\x9b[1mnext"))),
                Row("c", ("3", "日本語日", "next")),
            ]
        )
        await pilot.pause()
        _header, first, second, third = lines(grid)[:4]
        assert first.startswith("▸     1  日本語 …  next")
        assert second.startswith(r"      2  a\x1b]0…  \x9b[1mnext")
        assert third.startswith("      3  日本語日  next")
        assert all(grid.render_line(y).cell_length == 40 for y in range(4))

    on_a_shelf(scenario)


def test_without_rows_it_says_so_and_has_no_cursor() -> None:
    async def scenario(grid: Counting, pilot: Pilot[None]) -> None:
        assert not lines(grid)[0].strip(), "nothing is known yet"
        grid.show([])
        assert lines(grid)[0].rstrip() == "nobody is here"
        await pilot.press("down", "end", "enter")
        assert grid.chosen is None
        grid.show(rows(1))
        assert grid.chosen == "r0"
        grid.show([])
        assert grid.chosen is None
        await pilot.pause()
        assert lines(grid)[0].rstrip() == "nobody is here"

    assert on_a_shelf(scenario).told == ["r0", None]


def test_the_cursor_moves_by_keys_as_far_as_there_are_rows() -> None:
    async def scenario(grid: Counting, pilot: Pilot[None]) -> None:
        grid.show(rows(20))
        await pilot.pause()
        for key, there in (
            ("up", "r0"),
            ("down", "r1"),
            ("pagedown", "r5"),
            ("end", "r19"),
            ("down", "r19"),
            ("pageup", "r15"),
            ("home", "r0"),
        ):
            await pilot.press(key)
            assert grid.chosen == there
            assert any(line.startswith(f"▸ {there[1:]:>5}") for line in lines(grid))
            assert lines(grid)[0].startswith("    pid"), "the header stays"

    on_a_shelf(scenario)


def test_a_click_moves_and_a_second_one_or_enter_chooses() -> None:
    async def scenario(grid: Counting, pilot: Pilot[None]) -> None:
        grid.show(rows(20))
        await pilot.pause()
        await pilot.click(grid, offset=(9, 0))
        assert grid.chosen == "r0"
        await pilot.click(grid, offset=(9, 3))
        assert grid.chosen == "r2"
        await pilot.click(grid, offset=(9, 3))
        await pilot.press("down", "enter")

    assert on_a_shelf(scenario).chosen == ["r2", "r3"]


def test_the_wheel_scrolls_and_leaves_the_cursor() -> None:
    async def scenario(grid: Counting, pilot: Pilot[None]) -> None:
        grid.show(rows(200))
        await pilot.pause()
        grid.scroll_to(y=100, animate=False)
        await pilot.pause()
        grid.show(rows(200, "select 2"))
        await pilot.pause()
        assert grid.chosen == "r0"
        assert lines(grid)[1].startswith("    100")
        await pilot.press("down")
        assert lines(grid)[1].startswith("▸     1")

    on_a_shelf(scenario)


def test_the_cursor_stays_with_its_row_and_is_seen_where_that_goes() -> None:
    async def scenario(grid: Counting, pilot: Pilot[None]) -> None:
        grid.show(rows(20))
        await pilot.pause()
        await pilot.press("down")
        grid.show(reversed(rows(20)))
        await pilot.pause()
        assert grid.chosen == "r1"
        assert any(line.startswith("▸     1") for line in lines(grid))

    on_a_shelf(scenario)


@pytest.mark.parametrize(
    ("left", "there"),
    [("013456", "r3"), ("01", "r1"), ("0", "r0"), ("789", "r9"), ("8", "r8")],
)
def test_where_its_row_goes_the_cursor_takes_the_neighbour(left: str, there: str) -> None:
    async def scenario(grid: Counting, pilot: Pilot[None]) -> None:
        grid.show(rows(7))
        await pilot.press("down", "down")
        grid.show([Row(f"r{n}", (n, "psql", "")) for n in left])
        assert grid.chosen == there

    assert on_a_shelf(scenario).told[-1] == there


def test_only_the_lines_that_changed_are_drawn_again() -> None:
    async def scenario(grid: Counting, pilot: Pilot[None]) -> None:
        many = rows(500)
        grid.show(many)
        await pilot.pause()
        assert max(grid.drawn) == 5, "what is out of sight is not drawn"
        grid.drawn.clear()
        grid.show(rows(500))
        await pilot.pause()
        assert grid.drawn == []
        many[2] = Row("r2", ("2", "psql", "select 2"))
        many[300] = Row("r300", ("2", "psql", "select 2"))
        grid.show(many)
        await pilot.pause()
        assert set(grid.drawn) == {3}
        grid.drawn.clear()
        many[1] = Row("r1", ("1", Content.styled("psql", "bold"), "select 1"))
        grid.show(many)
        await pilot.pause()
        assert set(grid.drawn) == {2}, "other styles are a change"
        grid.drawn.clear()
        await pilot.press("down")
        assert set(grid.drawn) == {1, 2}

    on_a_shelf(scenario)


@pytest.mark.parametrize("no_color", [False, True])
def test_the_cursor_is_told_without_colours(
    monkeypatch: pytest.MonkeyPatch, no_color: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")

    async def scenario(grid: Counting, pilot: Pilot[None]) -> None:
        grid.show(rows(2))
        await pilot.pause()
        strips = grid.render_lines(Region(0, 1, 40, 2))
        reversed_ = [
            all(segment.style is not None and segment.style.reverse for segment in strip)
            for strip in strips
        ]
        assert reversed_ == [no_color, False]
        assert [strip.text[0] for strip in strips] == ["▸", " "]

    on_a_shelf(scenario)


def test_a_grid_is_as_high_as_its_rows() -> None:
    class Stack(App[Any]):
        def compose(self) -> ComposeResult:
            yield Grid(COLUMNS, empty="none")
            yield Grid(COLUMNS, empty="none")

    async def main() -> None:
        app = Stack()
        async with app.run_test(size=(40, 20)) as pilot:
            first, second = app.query(Grid)
            first.show(rows(3))
            await pilot.pause()
            assert (first.size.height, second.size.height) == (4, 1)
            first.show(rows(2))
            await pilot.pause()
            assert first.size.height == 3

    asyncio.run(main())
