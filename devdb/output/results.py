"""What came of statements: a table for a person, lines for a script, JSON for a program."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from json.encoder import encode_basestring as quoted
from typing import Any, Protocol

from devdb.errors import UsageError
from devdb.masking import visible
from devdb.output import streams
from devdb.output.envelope import Written
from devdb.output.table import table
from devdb.wire import framing
from devdb.wire.framing import Column
from devdb.wording import count
from devdb.workspace.sql import Copied, Done, Heading, Notice, Row, Told

NULL = "NULL"
_NUMBERS = (20, 21, 23, 26, 700, 701, 790, 1700)
"""The oids of the types that are read from their end: numbers, money."""
_BLOCK = 1 << 16


class Reader(Protocol):
    """Takes what a script comes to, in its order."""

    def take(self, told: Told) -> None:
        """One piece of it."""


class Lines:
    """Rows as lines, the values as Postgres writes them with tabs between them; NULL is empty."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._size = 0

    def take(self, told: Told) -> None:
        """One piece; it is written when there is enough of them, or its statement is at its end."""
        if isinstance(told, list):
            self._add(b"\t".join([value or b"" for value in told]) + b"\n")
        elif isinstance(told, Copied):
            self._add(told.content)
        elif isinstance(told, Done):
            self._write()
        elif isinstance(told, Notice):
            _say(told)

    def _add(self, line: bytes) -> None:
        self._lines.append(line)
        self._size += len(line)
        if self._size > _BLOCK:
            self._write()

    def _write(self) -> None:
        if self._lines:
            streams.verbatim(b"".join(self._lines))
        self._lines, self._size = [], 0


class Tables:
    """Rows under the names of their columns, and how many; what other statements did."""

    def __init__(self) -> None:
        self._columns: list[Column] | None = None
        self._rows: list[list[str]] = []
        self._is_first = True

    def take(self, told: Told) -> None:
        """One piece; a table is shown when its statement is at its end."""
        if isinstance(told, list):
            self._rows.append([_cell(value) for value in told])
        elif isinstance(told, Heading):
            self._columns, self._rows = told.columns, []
        elif isinstance(told, Copied):
            streams.data(_text(told.content).removesuffix("\n"))
        elif isinstance(told, Done):
            self._show(told.tag)
        else:
            _say(told)

    def _show(self, tag: str) -> None:
        columns, self._columns = self._columns, None
        if columns is not None:
            right = {n for n, each in enumerate(columns) if each.type in _NUMBERS}
            names = [_cell(each.name.encode()) for each in columns]
            lines = table(names, self._rows, width=streams.width(), right=right, is_whole=True)
            streams.data("\n".join(lines if self._is_first else ["", *lines]))
            self._is_first = False
        command, rows = framing.tag(tag)
        if tag:
            streams.narrate(count(rows or 0, "row") if command == "SELECT" else tag)


class Objects:
    """Rows as JSON's objects, all at the end."""

    def __init__(self) -> None:
        self._results: list[_Result] = []
        self._result = _Result()

    def take(self, told: Told) -> None:
        """One piece; raises UsageError for the data of a COPY."""
        if isinstance(told, list):
            self._result.add(told)
        elif isinstance(told, Heading):
            self._result = _Result(told.columns)
        elif isinstance(told, Copied):
            raise UsageError("What COPY sends is no JSON.", "Without --json it goes to stdout.")
        elif isinstance(told, Done):
            if told.tag:
                self._results.append(self._result)
                self._result.tag = told.tag
            self._result = _Result()
        else:
            _say(told)

    def results(self, type_names: Callable[[Iterable[int]], dict[int, str]]) -> list[Any]:
        """An object for each statement."""
        types = type_names(each.type for result in self._results for each in result.columns)
        return [result.as_json(types) for result in self._results]


class _Result:
    def __init__(self, columns: Sequence[Column] = ()) -> None:
        from devdb.gateway.values import converting  # what only JSON needs

        self.columns = columns
        self.tag = ""
        self._keys = _keys([each.name for each in columns])
        self._converts = [converting(each.type, is_exact=True) for each in columns]
        names = [quoted(each).replace("%", "%%") for each in self._keys]
        self._template = "{" + ", ".join(f"{name}: %s" for name in names) + "}"
        self._rows: list[str] = []

    def add(self, row: Row) -> None:
        pairs = zip(self._converts, row, strict=True)
        self._rows.append(
            self._template
            % tuple("null" if value is None else make(_text(value)) for make, value in pairs)
        )

    def as_json(self, types: dict[int, str]) -> dict[str, Any]:
        pairs = zip(self._keys, self.columns, strict=True)
        columns = [{"name": name, "type": types[each.type]} for name, each in pairs]
        indented = ",\n          ".join(self._rows)
        rows = Written(f"[\n          {indented}\n        ]" if indented else "[]")
        _, number = framing.tag(self.tag)
        return {"tag": self.tag, "row_count": number, "columns": columns, "rows": rows}


def _keys(names: Sequence[str]) -> list[str]:
    """The names, each once: a number is put behind those that were there before."""
    keys: list[str] = []
    for name in names:
        key, number = name, 2
        while key in keys or (key != name and key in names):
            key, number = f"{name}_{number}", number + 1
        keys.append(key)
    return keys


def _say(notice: Notice) -> None:
    streams.narrate(f"{notice.severity.lower()}: {notice.text}")


def _cell(value: bytes | None) -> str:
    if value is None:
        return NULL
    text = visible(value.decode(errors="backslashreplace"))
    return text.replace("\n", "\\n").replace("\t", "\\t")


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
