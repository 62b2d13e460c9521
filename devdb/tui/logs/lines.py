"""The widget that draws the lines of a log: those that are seen, however many there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import on
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from devdb.journal import SEVERE
from devdb.tui.logs.kept import Choices, Kept
from devdb.tui.logs.line import SLOW, Line

_WIDE, _MIDDLE = 100, 60
"""Columns from which on the time has milliseconds, and part and level are whole."""
_STEP = 8
"""Cells that a key moves to the side."""
_SHORT = {"postgres": "pg", "pgbouncer": "pb"}


class LogLines(ScrollView, can_focus=True, inherit_bindings=False):
    """Stays at the end while it is at the end, and else where it is."""

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "go(-1)", show=False),
        Binding("down", "go(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "first", show=False),
        Binding("end", "last", show=False),
        Binding("left", "side(-1)", show=False),
        Binding("right", "side(1)", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "lines--head",
        "lines--severe",
        "lines--warning",
        "lines--slow",
        "lines--further",
    }
    DEFAULT_CSS = """
    LogLines {
        height: 1fr;
        overflow-x: auto;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        scrollbar-size-horizontal: 0;

        & > .lines--head { color: $text-muted; }
        & > .lines--severe { color: $text-error; text-style: bold; }
        & > .lines--warning { color: $text-warning; }
        & > .lines--slow { color: $text-primary; text-style: bold; }
        & > .lines--further { color: $text-muted; }
    }
    """

    empty: reactive[str] = reactive("")
    """What it says where there is nothing to show."""

    class Moved(Message):
        """It is at the end now, or no more."""

    def __init__(self, choices: Choices) -> None:
        super().__init__()
        self.kept = Kept(choices)
        self.is_at_end = True

    def add(self, lines: Sequence[Line]) -> None:
        """Show these below the others."""
        row = self.kept.top + self.scroll_offset.y
        self.kept.add(lines)
        self._lay_out(row)

    def choose(self, choices: Choices) -> None:
        """Show what these say; the line at the top stays in sight."""
        number = self._number_at_top()
        self.kept.choose(choices)
        self._fit()
        self._lay_out(self.kept.row_of(number))

    @on(Resize)
    def _take_the_room(self) -> None:
        number = self._number_at_top()
        self._fit()
        self._lay_out(self.kept.row_of(number))

    def _number_at_top(self) -> int:
        return self.kept.number_at(self.kept.top + self.scroll_offset.y)

    def _fit(self) -> None:
        self.kept.fit(self._width - self._head_width)

    def _lay_out(self, row: int) -> None:
        """Have room for all rows, and that one at the top where it is not to be the end."""
        kept = self.kept
        width = 0 if kept.choices.wrap else self._head_width + kept.widest
        self.virtual_size = Size(width, kept.rows)
        y = self.max_scroll_y if self.is_at_end else max(0, row - kept.top)
        self.scroll_to(y=y, animate=False)
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Whatever moved it, a key or the mouse: at the end it follows."""
        super().watch_scroll_y(old_value, new_value)
        self._notice_end()

    def _notice_end(self) -> None:
        is_at_end = self.scroll_offset.y >= self.max_scroll_y
        if is_at_end != self.is_at_end:
            self.is_at_end = is_at_end
            self.post_message(self.Moved())

    def action_go(self, rows: int) -> None:
        """Up or down by that many rows."""
        self.scroll_to(y=self.scroll_offset.y + rows, animate=False)

    def action_page(self, pages: int) -> None:
        """Up or down by what is seen at once."""
        self.action_go(pages * max(1, self.scrollable_content_region.height - 1))

    def action_first(self) -> None:
        """To the oldest line."""
        self.scroll_to(x=0, y=0, animate=False)

    def action_last(self) -> None:
        """To the newest line, and on with those that come."""
        self.scroll_to(x=0, y=self.max_scroll_y, animate=False)

    def action_side(self, steps: int) -> None:
        """To the left or the right, where lines are longer than there is room."""
        self.scroll_to(x=self.scroll_offset.x + steps * _STEP, animate=False)

    @property
    def _width(self) -> int:
        return self.scrollable_content_region.width

    @property
    def _head_width(self) -> int:
        width = self._width
        return 33 if width >= _WIDE else 29 if width >= _MIDDLE else 15

    def render_line(self, y: int) -> Strip:
        """The row that is seen there."""
        left, top = self.scroll_offset
        width, row = self._width, top + y
        if row >= self.kept.rows:
            said = self.empty if row == 0 else ""
            return Strip([Segment(said, self._style("head"))]).adjust_cell_length(
                width, self.rich_style
            )
        line, piece = self.kept.at(self.kept.top + row)
        strip = Strip(list(self._segments(line, piece)))
        return strip.crop_extend(left, left + width, self.rich_style).apply_style(self.rich_style)

    def _segments(self, line: Line, piece: int) -> Iterator[Segment]:
        head = self._style("head")
        if piece:
            yield Segment(" " * self._head_width)
        else:
            when, part, level = _head(line, self._width)
            yield Segment(f"{when} {part} ", head)
            yield Segment(f"{level} ", self._style_of(line) or head)
        text = self.kept.pieces(line)[piece]
        style = self._style_of(line)
        if line.is_slow and piece == 0:
            yield Segment(SLOW, style)
            text, style = text.removeprefix(SLOW), None
        yield from self._found(text, style)

    def _found(self, text: str, style: Style | None) -> Iterator[Segment]:
        """The text, with the words that are looked for marked in it."""
        words, lower, at = self.kept.choices.words.lower(), text.lower(), 0
        # Few letters are longer in lower case: there nothing is marked.
        if words and len(lower) == len(text):
            mark = Style(reverse=True)
            while (found := lower.find(words, at)) >= 0:
                yield Segment(text[at:found], style)
                at = found + len(words)
                yield Segment(text[found:at], (style or Style.null()) + mark)
        yield Segment(text[at:], style)

    def _style_of(self, line: Line) -> Style | None:
        if line.is_slow:
            name = "slow"
        elif line.level in SEVERE and not line.belongs:
            name = "severe"
        elif line.level == "WARNING":
            name = "warning"
        elif line.belongs:
            name = "further"
        else:
            return None
        return self._style(name)

    def _style(self, name: str) -> Style:
        return self.get_visual_style(f"lines--{name}").rich_style


def _head(line: Line, width: int) -> tuple[str, str, str]:
    """Time, part and level, as wide as there is room; with a letter for each, never by colour."""
    when = _when(line.moment, width)
    if width >= _MIDDLE:
        return when, f"{line.part[:9]:<9}", f"{line.level[:9]:<9}"
    return when, f"{_SHORT.get(line.part, line.part)[:2]:<2}", f"{line.level[:5]:<5}"


def _when(moment: datetime | None, width: int) -> str:
    """The time of the day here; of a line of another day the day too, or instead."""
    room = 12 if width >= _WIDE else 8 if width >= _MIDDLE else 5
    if moment is None:
        return " " * room
    here = moment.astimezone()
    if here.date() == date.today():
        return here.isoformat(" ", "milliseconds")[11 : 11 + room]
    return f"{here:%m-%d %H:%M}"[:room].ljust(room) if room > 8 else f"{here:%m-%d}".ljust(room)
