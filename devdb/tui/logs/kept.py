"""The lines that are kept of a log, which of them are shown, and at which row each is."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, compress

from rich.cells import chop_cells

from devdb.tui.logs.line import Line

KEPT = 100_000
"""Lines; the oldest ones go."""
CHARACTERS = 50_000_000
"""Of all lines together: lines may be long."""
_SLACK = 50
"""One part in so many goes at once when there are too many, for the work of it."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What is shown, and how; it outlives the view."""

    words: str = ""
    """A line is shown that has them, and what belongs to it; case does not matter."""
    part: str | None = None
    """A line of this part; None: of all."""
    everything: bool = False
    """Those about devdb's own work too."""
    wrap: bool = False


class Kept:
    """Numbers its lines from 0 on, for good; so it does with the rows of those that are shown."""

    def __init__(self, choices: Choices, limit: int = KEPT) -> None:
        self.choices = choices
        self.shown: list[int] = []
        """The numbers of the lines that are shown."""
        self.lines: list[Line] = []
        self.first = 0
        """The number of the first one of `lines`."""
        self.parts: Counter[str] = Counter()
        """How many lines there are of whom."""
        self._limit = limit
        self._characters = 0
        self._housekeeping = 0
        self._width = 0
        self._passed: list[int] = []
        """The numbers of those that are shown unless they lack the words."""
        self._tops = array("q", [0])
        """The row at which each shown line begins, and at last the one after all of them."""
        self.widest = 0
        """The cells of the widest text there was."""

    @property
    def top(self) -> int:
        """The number of the first row there is."""
        return self._tops[0]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self._tops[-1] - self._tops[0]

    def add(self, lines: Sequence[Line]) -> None:
        """Keep these too; rows at the beginning may be gone then, and numbers stay what they are.

        Some that were not shown may be: the message to which one belongs that has the words.
        """
        begin = len(self.lines)
        self.lines += lines
        self._count(lines, 1)
        self.widest = max([self.widest, *(line.cells for line in lines)])
        passed = self._passing(begin)
        self._passed += passed
        if self.choices.words:
            # Back to the head of the message that the first of them may belong to.
            place = len(self._passed) - len(passed)
            while 0 < place < len(self._passed) and self._line(self._passed[place]).belongs:
                place -= 1
            passed = self._passed[place:]
            if passed:
                again = bisect_left(self.shown, passed[0])
                del self.shown[again:], self._tops[again + 1 :]
            passed = self._with_words(passed)
        self._show(passed)
        self._forget()

    def choose(self, choices: Choices) -> None:
        """Show what these say; takes some ten milliseconds where there are many lines."""
        before, self.choices = self.choices, choices
        if (before.part, before.everything) != (choices.part, choices.everything):
            self._passed = self._passing(0)
        self._lay_out(self._with_words(self._passed))

    def fit(self, width: int) -> None:
        """Wrap at that many cells, where lines are wrapped."""
        if width != self._width:
            self._width = width
            if self.choices.wrap:
                self._lay_out(self.shown)

    def at(self, row: int) -> tuple[Line, int]:
        """The line that row shows, and which of its rows that is; `row` is a number."""
        place = bisect_right(self._tops, row) - 1
        return self.lines[self.shown[place] - self.first], row - self._tops[place]

    def number_at(self, row: int) -> int:
        """The number of the line that row shows; of the last one below all rows."""
        place = min(bisect_right(self._tops, row) - 1, len(self.shown) - 1)
        return self.shown[place] if place >= 0 else self.first

    def row_of(self, number: int) -> int:
        """The row at which that line begins, or the next one that is shown."""
        return self._tops[bisect_left(self.shown, number)]

    @property
    def hidden(self) -> int:
        """How many are not shown because they are about devdb's own work."""
        return 0 if self.choices.everything else self._housekeeping

    def pieces(self, line: Line) -> list[str]:
        """The text of a line, a row each."""
        if not self.choices.wrap or line.cells <= self._width:
            return [line.text]
        return _pieces(line, max(1, self._width))

    def _line(self, number: int) -> Line:
        return self.lines[number - self.first]

    def _passing(self, begin: int) -> list[int]:
        """The numbers of those from there on that are shown unless they lack the words."""
        part, everything = self.choices.part, self.choices.everything
        lines = self.lines[begin:] if begin else self.lines
        numbers = range(self.first + begin, self.first + len(self.lines))
        if part is not None:
            passes = [
                line.part == part and not (line.is_housekeeping and not everything)
                for line in lines
            ]
        elif everything or not self._housekeeping:
            return list(numbers)
        else:
            passes = [not line.is_housekeeping for line in lines]
        return list(compress(numbers, passes))

    def _with_words(self, numbers: list[int]) -> list[int]:
        """Those that have the words, and what belongs together with them."""
        words, first = self.choices.words.lower(), self.first
        if not words:
            return numbers.copy()
        lines = [self.lines[number - first] for number in numbers]
        texts = [line.text for line in lines]
        if words.upper() == words:
            has = [words in text for text in texts]
        else:
            # Most have it as it is typed, and lower() takes ten times as long as looking.
            has = [words in text or words in text.lower() for text in texts]
        if all(has) or not any(has):
            return list(compress(numbers, has))
        # One that came so late that another part's line is before it stands for itself.
        further = [
            place
            for place, line in enumerate(lines)
            if line.belongs and place and lines[place - 1].part == line.part
        ]
        for begin, end in _runs(further):
            if any(has[begin:end]):
                has[begin:end] = [True] * (end - begin)
        return list(compress(numbers, has))

    def _lay_out(self, chosen: list[int]) -> None:
        self.shown, self._tops = [], self._tops[-1:]
        self._show(chosen)

    def _show(self, chosen: list[int]) -> None:
        """Show these below the others."""
        self.shown += chosen
        last, first, width = self._tops.pop(), self.first, max(1, self._width)
        if self.choices.wrap:
            lines = [self.lines[number - first] for number in chosen]
            heights = [1 if line.cells <= width else _height(line, width) for line in lines]
            self._tops.extend(accumulate(heights, initial=last))
        else:
            self._tops.extend(range(last, last + len(chosen) + 1))

    def _count(self, lines: Sequence[Line], sign: int) -> None:
        self._characters += sign * sum(len(line.text) for line in lines)
        self._housekeeping += sign * sum(line.is_housekeeping for line in lines)
        for part, number in Counter(line.part for line in lines).items():
            self.parts[part] += sign * number

    def _forget(self) -> None:
        """Let the oldest ones go where there are too many."""
        count = 0
        if len(self.lines) > self._limit:
            count = len(self.lines) - self._limit + self._limit // _SLACK
        characters = self._characters - sum(len(line.text) for line in self.lines[:count])
        while characters > CHARACTERS:
            characters -= len(self.lines[count].text)
            count += 1
        if count:
            self._count(self.lines[:count], -1)
            del self.lines[:count]
            self.first += count
            place = bisect_left(self.shown, self.first)
            del self.shown[:place], self._tops[:place]
            del self._passed[: bisect_left(self._passed, self.first)]


def _runs(places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Where messages of several lines begin and end, by the places of their further lines."""
    begin = end = -1
    for place in places:
        if place != end:
            if end > 0:
                yield begin, end
            begin = place - 1
        end = place + 1
    if end > 0:
        yield begin, end


def _height(line: Line, width: int) -> int:
    return -(-line.cells // width) if line.is_even else len(_pieces(line, width))


def _pieces(line: Line, width: int) -> list[str]:
    if line.is_even:
        return [line.text[at : at + width] for at in range(0, len(line.text), width)]
    return chop_cells(line.text, width)
