"""The rows of an answer as JSON: the text of Postgres' values made into JSON's."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from json import JSONEncoder
from json.encoder import encode_basestring as quoted

from devdb.wire.framing import Column


@dataclass(frozen=True, slots=True)
class Mode:
    """How rows are wanted."""

    is_raw: bool
    """Each value as Postgres' own text, in a string; else some become JSON's own kinds."""
    is_array: bool
    """Each row as an array; else as an object, in which the last of equal names counts."""


Convert = Callable[[str], str]
"""From a value as Postgres spells it to JSON."""


Row = list[str | None]
"""The values of a row, as Postgres spells them."""


def read(data: bytes | bytearray, position: int, count: int) -> tuple[list[Row], int]:
    """The rows of so many values whose messages stand there, whole and one behind the other, and
    the position behind them."""
    columns = range(count)
    end = len(data)
    rows = []
    while position + 5 <= end:
        kind, length = _HEAD(data, position)
        following = position + 1 + length
        if kind != ROW or length < 4 or following > end:
            break
        position += 7  # what kind it is, its length, and the number of values, which we know
        values: Row = []
        for _ in columns:
            (size,) = _LENGTH(data, position)
            position += 4
            if size < 0:
                values.append(None)
            else:
                values.append(data[position : position + size].decode("utf-8", "replace"))
                position += size
        rows.append(values)
        position = following
    return rows, position


ROW = b"D"
"""The kind of the message that brings a row."""
_HEAD = struct.Struct("!ci").unpack_from
_LENGTH = struct.Struct("!i").unpack_from


def writer(columns: Sequence[Column], mode: Mode) -> Callable[[list[Row]], str]:
    """Makes what writes rows with these columns as JSON, with commas between them."""
    if mode.is_raw and mode.is_array:  # as drivers ask for all
        return lambda rows: _AS_THEY_ARE(rows)[1:-1]
    converts = [quoted if mode.is_raw else converting(each.type) for each in columns]
    if mode.is_array:
        template = f"[{','.join(['%s'] * len(columns))}]"
    else:
        names = [quoted(each.name).replace("%", "%%") for each in columns]
        template = "{" + ",".join(f"{name}:%s" for name in names) + "}"

    def written(row: Row) -> str:
        pairs = zip(converts, row, strict=True)
        return template % tuple("null" if text is None else make(text) for make, text in pairs)

    return lambda rows: ",".join(map(written, rows))


_AS_THEY_ARE = JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


def converting(oid: int, *, is_exact: bool = False) -> Convert:
    """What makes JSON of a value of the type with that oid.

    Booleans, numbers that JSON's readers hold exactly, JSON and arrays become what they are there;
    all the rest stays text, and so do NaN and the infinities. int8, oid and numeric stay it, too,
    but with `is_exact`: they are numbers, to the last digit, for readers who see to that.
    """
    if oid in _SCALARS:
        return _SCALARS[oid]
    if is_exact and oid in _LONG:
        return _float
    if oid in _ARRAYS:
        element = converting(_ARRAYS[oid], is_exact=is_exact)
        delimiter = ";" if oid == _BOXES else ","
        return lambda text: _array(text, element, delimiter)
    return quoted


def _boolean(text: str) -> str:
    return "true" if text == "t" else "false"


def _as_it_is(text: str) -> str:
    return text


def _float(text: str) -> str:
    return quoted(text) if text[-1] in "Ny" else text  # NaN, Infinity, -Infinity


# By the types' oids, which are the same in every Postgres (pg_type.dat).
_SCALARS: dict[int, Convert] = {
    16: _boolean,
    **dict.fromkeys((21, 23), _as_it_is),
    **dict.fromkeys((700, 701), _float),
    **dict.fromkeys((114, 3802), _as_it_is),
}

_LONG = (20, 26, 1700)
"""Numbers that may have more digits than JavaScript's."""

_TEXT = 25
_TEXT_ARRAYS = """
    143 271 629 651 719 775 791 1001 1002 1003 1006 1008 1009 1010 1011 1012 1013 1014 1015
    1017 1018 1019 1020 1027 1034 1040 1041 1115 1182 1183 1185 1187 1263 1270
    1561 1563 2201 2207 2208 2209 2210 2211 2287 2949 2951 3221 3643 3644 3645 3735 3770 3905
    3907 3909 3911 3913 3927 4073 4090 4097 4192 5039 6150 6151 6152 6153 6155 6157 8327
"""
"""Arrays whose elements stay text. int2vector and oidvector are none: no braces are around them."""
_ARRAYS = {
    **dict.fromkeys(map(int, _TEXT_ARRAYS.split()), _TEXT),
    **{1000: 16, 1005: 21, 1007: 23, 1021: 700, 1022: 701, 199: 114, 3807: 3802},
    **{1016: 20, 1028: 26, 1231: 1700},
}
"""The types that are arrays, and the types of their elements."""
_BOXES = 1020
"""box[], whose elements a semicolon separates."""


def _array(text: str, element: Convert, delimiter: str) -> str:
    """The JSON of an array's text; https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO.

    Bounds have no place in JSON and are left out.
    """
    pieces: list[str] = []
    for part in _parts(text, delimiter):
        first = part[0]
        if first in "{}":
            pieces.append("[" if first == "{" else "]")
        elif first == delimiter:
            pieces.append(",")
        elif first == '"':
            pieces.append(element(_ESCAPED.sub(r"\1", part[1:-1])))
        else:
            pieces.append("null" if part == "NULL" else element(part))
    return "".join(pieces)


def _parts(text: str, delimiter: str) -> Iterator[str]:
    start = text.index("{")  # behind the bounds, where it has some
    return (found[0] for found in _PART[delimiter].finditer(text, start))


_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PART = {
    each: re.compile(rf'[{{}}{each}]|"[^"\\]*(?:\\.[^"\\]*)*"|[^{{}}"{each}]+', re.DOTALL)
    for each in ",;"
}
"""A brace, a delimiter, a quoted element, one that is not quoted."""
