"""Rows under headings; on a terminal too narrow for them, one block a row."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence

_GAP = "  "


def table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    width: int,
    right: Collection[int] = (),
    is_whole: bool = False,
) -> list[str]:
    """The lines of a table; `width` in columns; those numbered `right` end below each other.

    `is_whole`: in blocks, too, what is empty is shown.
    """
    lengths = [
        max(_columns(cell) for cell in column) for column in zip(headings, *rows, strict=True)
    ]
    if sum(lengths) + len(_GAP) * (len(lengths) - 1) > width:
        return _blocks(headings, rows, is_whole=is_whole)
    return [_line(cells, lengths, right) for cells in (headings, *rows)]


def facts(pairs: Sequence[tuple[str, str]], *, is_whole: bool = False) -> list[str]:
    """Lines of `name  value`, the values below each other; those without a value are left out,
    but for `is_whole`."""
    shown = [(name, value) for name, value in pairs if value or is_whole]
    length = max((_columns(name) for name, _ in shown), default=0)
    return [_line((name, value), (length, 0)) for name, value in shown]


def _line(cells: Sequence[str], lengths: Sequence[int], right: Collection[int] = ()) -> str:
    padded = []
    for number, (cell, length) in enumerate(zip(cells, lengths, strict=True)):
        room = " " * (length - _columns(cell))
        padded.append(room + cell if number in right else cell + room)
    return _GAP.join(padded).rstrip().replace("\n", "\\n")


def _blocks(headings: Sequence[str], rows: Sequence[Sequence[str]], *, is_whole: bool) -> list[str]:
    lines: list[str] = []
    for row in rows:
        if lines:
            lines.append("")
        lines += facts(list(zip(headings, row, strict=True)), is_whole=is_whole)
    return lines


def _columns(text: str) -> int:
    """How wide a terminal shows it: East Asian wide characters take two columns."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )
