"""The one table of the dashboard: a header, rows, and a cursor that stays with its row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from rich.segment import Segment
from textual import on
from textual.content import Content
from textual.events import Click, Key
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style

from devdb.masking import visible

CURSOR = "▸ "
"""Before the row of the cursor; the other rows are indented as far."""

_NO_ROWS = Size(0, 1)
_ONE_LINE = str.maketrans("\t\n", "  ")


@dataclass(frozen=True, slots=True)
class Column:
    """A column, `width` cells wide at least, and `most` where there is room for more.

    A `flexible` one takes what is left over. Where not all have room, `spare` ones go first, then
    the last ones.
    """

    title: str
    width: int
    right: bool = False
    flexible: bool = False
    most: int = 0
    spare: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A row, and the key by which it is the same one when it comes again."""

    key: str
    cells: tuple[Content | str, ...]

    def looks_like(self, other: Row) -> bool:
        """Whether both are drawn alike; two Contents are equal where only their styles differ."""
        return self is other or (
            len(self.cells) == len(other.cells) and all(map(_is_same, self.cells, other.cells))
        )


def fitted(columns: Sequence[Column], width: int, gap: int = 1) -> dict[int, int]:
    """The widths of the columns that fit into `width` with `gap` cells between them, by index.

    At least one is shown, if need be narrower than it should be.
    """
    shown = list(range(len(columns)))
    while len(shown) > 1 and _needed(columns, shown, gap) > width:
        spare = [index for index in shown if columns[index].spare]
        shown.remove((spare or shown)[-1])
    widths = {index: columns[index].width for index in shown}
    if len(shown) == 1:
        widths[shown[0]] = max(0, min(widths[shown[0]], width))
    left = max(0, width - _needed(columns, shown, gap))
    while left and (
        growing := [index for index in shown if _may_grow(columns[index], widths[index])]
    ):
        # Equal shares, so that no column is filled at the cost of those after it.
        for place, index in enumerate(growing):
            share = -(-left // (len(growing) - place))
            if not columns[index].flexible:
                share = min(share, columns[index].most - widths[index])
            widths[index] += share
            left -= share
    return widths


def _may_grow(column: Column, width: int) -> bool:
    return column.flexible or width < column.most


def _needed(columns: Sequence[Column], shown: Sequence[int], gap: int) -> int:
    return sum(columns[index].width for index in shown) + gap * (len(shown) - 1)


@lru_cache(maxsize=64)
def _layout(columns: tuple[Column, ...], width: int) -> tuple[int, dict[int, int]]:
    """The gap and the widths: a wide gap where all columns are shown all the same."""
    gap = 2 if _needed(columns, range(len(columns)), 2) <= width else 1
    return gap, fitted(columns, width, gap)


class Grid(ScrollView, can_focus=True, inherit_bindings=False):
    """Draws the rows that are seen, and of those again only the ones that changed.

    An owner that binds Enter has it among the keys that are shown; pressed, it is Chosen.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"grid--header", "grid--cursor", "grid--empty"}
    DEFAULT_CSS = """
    Grid {
        height: auto;
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-size-vertical: 1;

        & > .grid--header, & > .grid--empty { color: $text-muted; }
        & > .grid--cursor { text-style: bold; }

        &:focus > .grid--cursor {
            background: $primary-muted;
            color: $foreground;
            text-style: none;
        }

        /* Two greys are too near to each other to tell which row a key would act on. */
        &:focus:nocolor > .grid--cursor { text-style: reverse; }
        &:focus:ansi > .grid--cursor { background: ansi_default; text-style: reverse; }
    }
    """

    @dataclass
    class Chosen(Message):
        """Enter, or a click on the row that the cursor was on."""

        grid: Grid
        key: str

        @property
        def control(self) -> Grid:
            """Whose it is; for `on`."""
            return self.grid

    @dataclass
    class Moved(Message):
        """The cursor is on another row, or on none: by a key, the mouse, or a row that went."""

        grid: Grid
        key: str | None

        @property
        def control(self) -> Grid:
            """Whose it is; for `on`."""
            return self.grid

    def __init__(self, columns: Sequence[Column], *, empty: str) -> None:
        """`empty` is what it says where it is shown no rows, instead of its header."""
        super().__init__()
        self.virtual_size = _NO_ROWS
        self._columns = tuple(columns)
        self._empty = empty
        self._why = ""
        self._rows: list[Row] = []
        self._places: dict[str, int] = {}
        self._key: str | None = None
        self._drawn: dict[str, Strip] = {}
        self._drawn_width = 0

    @property
    def chosen(self) -> str | None:
        """The key of the row that the cursor is on; None: there are no rows."""
        return self._key

    @property
    def row_count(self) -> int:
        """How many rows there are, seen or not."""
        return len(self._rows)

    @property
    def widths(self) -> dict[int, int]:
        """The cells of those columns that are shown, by their index."""
        return self._layout[1]

    @property
    def _layout(self) -> tuple[int, dict[int, int]]:
        return _layout(self._columns, self.scrollable_content_region.width - len(CURSOR))

    def show(self, rows: Iterable[Row], *, empty: str | None = None) -> None:
        """Show these, whose keys differ from each other; the cursor stays on the row it is on.

        `empty` is why there are none, where that is not what the grid says of itself.
        """
        before, self._rows = self._rows, list(rows)
        places = self._places
        self._places = {row.key: index for index, row in enumerate(self._rows)}
        cursor = self._key
        followed = cursor is not None and self._is_seen(places[cursor])
        self._key = self._neighbour(before, places)
        for index, row in enumerate(self._rows):
            known = before[places[row.key]] if row.key in places else None
            if known is None or not row.looks_like(known):
                self._drawn.pop(row.key, None)
                self._refresh_row(index)
            elif places[row.key] != index:
                self._refresh_row(index)
        for key in places.keys() - self._places.keys():
            self._drawn.pop(key, None)
        why = self._empty if empty is None else empty
        if len(before) != len(self._rows) or (why != self._why and not self._rows):
            self._why = why
            self.virtual_size = Size(0, len(self._rows) + 1) if self._rows else _NO_ROWS
            self.refresh()
        if self._key != cursor:
            self._cursor_changed(cursor)
        if followed:
            self._scroll_to_cursor()

    def go_to(self, key: str) -> bool:
        """Put the cursor on the row of that key and make it visible; False: there is none."""
        if key not in self._places:
            return False
        before, self._key = self._key, key
        if before != key:
            self._cursor_changed(before)
        self._scroll_to_cursor()
        return True

    def on_key(self, event: Key) -> None:
        """Move the cursor, or tell that its row is meant.

        Not by bindings: one of Enter would hide the owner's words for it, and those of the others
        would be obeyed after an Enter that was typed behind them.
        """
        rows = len(self._rows)
        page = max(1, self._room - 1)
        moves = {"up": -1, "down": 1, "pageup": -page, "pagedown": page, "home": -rows, "end": rows}
        if event.key in moves:
            self._move(moves[event.key])
        elif event.key == "enter":
            self._choose()
        else:
            return
        event.stop()

    def _move(self, lines: int) -> None:
        """By that many rows, as far as there are rows."""
        if self._key is not None:
            place = self._places[self._key] + lines
            self.go_to(self._rows[min(max(place, 0), len(self._rows) - 1)].key)

    def _choose(self) -> None:
        if self._key is not None:
            self.post_message(self.Chosen(self, self._key))

    @on(Click)
    def _move_or_choose(self, event: Click) -> None:
        event.stop()
        offset = event.get_content_offset(self)
        if offset is None or offset.y == 0:
            return
        place = offset.y - 1 + self.scroll_offset.y
        if place >= len(self._rows):
            return
        if self._rows[place].key == self._key:
            self._choose()
        else:
            self.go_to(self._rows[place].key)

    def notify_style_update(self) -> None:
        """Draw all of it anew: it has other colours."""
        super().notify_style_update()
        self._drawn.clear()

    def render_line(self, y: int) -> Strip:
        """The line that is seen at `y`: the header stays, the rows scroll below it."""
        width = self.scrollable_content_region.width
        if width != self._drawn_width:
            self._drawn.clear()
            self._drawn_width = width
        if not self._rows:
            style = self._style("grid--empty")
            return self._strip([(self._why if y == 0 else "", width, False)], style, width)
        if y == 0:
            titles = tuple(column.title for column in self._columns)
            return self._strip(self._fit("  ", titles), self._style("grid--header"), width)
        place = y - 1 + self.scroll_offset.y
        if place >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        row = self._rows[place]
        if row.key not in self._drawn:
            is_cursor = row.key == self._key
            pieces = self._fit(CURSOR if is_cursor else "  ", row.cells)
            style = self._style("grid--cursor") if is_cursor else self.visual_style
            self._drawn[row.key] = self._strip(pieces, style, width)
        return self._drawn[row.key]

    def _fit(
        self, mark: str, cells: tuple[Content | str, ...]
    ) -> list[tuple[Content | str, int, bool]]:
        """Each text with its width, and whether it stands at the right of it."""
        pieces: list[tuple[Content | str, int, bool]] = [(mark, len(mark), False)]
        gap, widths = self._layout
        for index, room in widths.items():
            if index:
                pieces.append((" " * gap, gap, False))
            pieces.append((cells[index], room, self._columns[index].right))
        return pieces

    def _strip(
        self, pieces: list[tuple[Content | str, int, bool]], style: Style, width: int
    ) -> Strip:
        content = Content.assemble(*(_placed(*piece) for piece in pieces))
        segments = [
            Segment(text, (style + own).rich_style)
            for text, own in content.render(style, end="", parse_style=_parsed)
        ]
        return Strip(segments).adjust_cell_length(width, style.rich_style)

    def _style(self, name: str) -> Style:
        style = self.get_visual_style(name)
        # Which leaves out that one attribute.
        if self.get_component_styles(name).text_style.reverse:
            style += Style(reverse=True)
        return style

    def _neighbour(self, before: list[Row], places: dict[str, int]) -> str | None:
        """The key of the cursor's row, or of the nearest one that is still there."""
        if not self._rows:
            return None
        if self._key is None:
            return self._rows[0].key
        place = places[self._key]
        for row in (*before[place:], *reversed(before[:place])):
            if row.key in self._places:
                return row.key
        return self._rows[min(place, len(self._rows) - 1)].key

    def _cursor_changed(self, before: str | None) -> None:
        for key in (before, self._key):
            if key is not None and key in self._places:
                self._drawn.pop(key, None)
                self._refresh_row(self._places[key])
        self.post_message(self.Moved(self, self._key))

    @property
    def _room(self) -> int:
        """How many rows are seen at once."""
        return max(0, self.scrollable_content_region.height - 1)

    def _is_seen(self, place: int) -> bool:
        top = self.scroll_offset.y
        return top <= place < top + self._room

    def _refresh_row(self, place: int) -> None:
        if self._is_seen(place):
            line = place + 1 - self.scroll_offset.y
            self.refresh(Region(0, line, self.size.width, 1))

    def _scroll_to_cursor(self) -> None:
        if self._key is None or self._room == 0:
            return
        place, top = self._places[self._key], self.scroll_offset.y
        if place < top:
            self.scroll_to(y=place, animate=False)
        elif place >= top + self._room:
            self.scroll_to(y=place - self._room + 1, animate=False)


def _is_same(mine: Content | str, other: Content | str) -> bool:
    if isinstance(mine, Content) and isinstance(other, Content):
        return mine.is_same(other)
    return isinstance(mine, str) and isinstance(other, str) and mine == other


def _placed(cell: Content | str, width: int, right: bool) -> Content:
    """The cell as one line of that width and without control characters."""
    plain = visible(cell if isinstance(cell, str) else cell.plain).translate(_ONE_LINE)
    content = Content(plain) if isinstance(cell, str) else cell
    if plain != content.plain:
        # A text of the same length keeps its styles; one with control characters loses them.
        spans = list(content.spans) if len(plain) == len(content.plain) else []
        content = Content(plain, spans)
    if right and content.cell_length < width:
        return content.pad_left(width - content.cell_length)
    return content.truncate(width, ellipsis=True, pad=True)


def _parsed(style: str | Style) -> Style:
    return style if isinstance(style, Style) else Style.parse(style)
