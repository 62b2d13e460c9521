"""A line of a log as it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rich.cells import cell_len

from devdb.journal import Entry
from devdb.masking import visible

SLOW = "◷ "
"""Before what tells of a slow query."""
LONGEST = 5000
"""Characters of a line that are kept; `devdb logs` has it whole."""
_TAB = " " * 4


@dataclass(frozen=True, slots=True)
class Line:
    """What is kept of an entry, its text as it can be shown."""

    part: str
    moment: datetime | None
    level: str
    """Empty: it has none of its own."""
    text: str
    cells: int
    """How wide the text is."""
    is_even: bool
    """Whether each of its characters takes one cell."""
    belongs: bool
    is_housekeeping: bool
    is_slow: bool


def line_of(entry: Entry) -> Line:
    """The line that shows the entry."""
    is_slow = entry.duration is not None
    text = entry.text
    level = "" if entry.level is None or text.startswith("\t") else entry.level
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}… ({len(text):,} characters)"
    text = visible(text).replace("\t", _TAB)
    is_ascii = text.isascii()
    if is_slow:
        text = f"{SLOW}{text}"
    return Line(
        part=entry.part,
        moment=entry.moment,
        level=level,
        text=text,
        cells=len(text) if is_ascii else cell_len(text),
        is_even=is_ascii or all(cell_len(character) == 1 for character in set(text)),
        belongs=entry.belongs,
        is_housekeeping=entry.is_housekeeping,
        is_slow=is_slow,
    )


def said(part: str, text: str) -> Line:
    """A line of the view's own."""
    return line_of(Entry(part=part, text=text))
