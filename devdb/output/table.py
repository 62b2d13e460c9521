"""Rows under headings; on a terminal too narrow for them, one block a row."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

_GAP = "  "


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, width: int) -> list[str]:
    """The lines of a table; `width` in columns."""
    lengths = [
        max(_columns(cell) for cell in column) for column in zip(headings, *rows, strict=True)
    ]
    if sum(lengths) + len(_GAP) * (len(lengths) - 1) > width:
        return _blocks(headings, rows)
    return [_line(cells, lengths) for cells in (headings, *rows)]


def facts(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Lines of `name  value`, the values below each other; those without a value are left out."""
    shown = [(name, value) for name, value in pairs if value]
    length = max((_columns(name) for name, _ in shown), default=0)
    return [_line((name, value), (length, 0)) for name, value in shown]


def _line(cells: Sequence[str], lengths: Sequence[int]) -> str:
    padded = (cell + " " * (n - _columns(cell)) for cell, n in zip(cells, lengths, strict=True))
    return _GAP.join(padded).rstrip().replace("\n", "\\n")


def _blocks(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines: list[str] = []
    for row in rows:
        if lines:
            lines.append("")
        lines += facts(list(zip(headings, row, strict=True)))
    return lines


def _columns(text: str) -> int:
    """How wide a terminal shows it: East Asian wide characters take two columns."""
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )
