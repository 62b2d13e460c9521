"""Messages of the protocol as bytes: made, and taken apart; no input and no output.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PROTOCOL = 196608
"""3.0: what every Postgres and PgBouncer of this century speaks."""
SSL_REQUEST = 80877103
GSS_REQUEST = 80877104
CANCEL_REQUEST = 80877102
LONGEST_BEFORE_LOGIN = 65536
"""Bytes of a message from whom we do not know yet; Postgres' own are a few hundred."""
NOT_THE_PROTOCOL = "what listens there does not speak Postgres' protocol"
NOT_YET = "57P03"
"""What a server says that is starting, stopping or recovering."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an answer, as a RowDescription tells of it."""

    name: str
    table: int
    """Its table's oid, 0 where it is none's; `number`: which of its columns."""
    number: int
    type: int
    """The oid of its type."""
    size: int
    """Bytes of a value, negative where that varies."""
    modifier: int


def message(kind: bytes, body: bytes) -> bytes:
    """A message, or with an empty `kind` one of those that begin a connection."""
    return kind + struct.pack("!i", len(body) + 4) + body


def startup(parameters: Mapping[str, str]) -> bytes:
    """The first message: who comes, to which database, with which settings of the session."""
    words = [word for pair in parameters.items() for word in pair]
    text = b"".join(word.encode() + b"\0" for word in [*words, ""])
    return message(b"", struct.pack("!i", PROTOCOL) + text)


def request(code: int, rest: bytes = b"") -> bytes:
    """The first message of somebody who wants something else: TLS, or a query to be cancelled."""
    return message(b"", struct.pack("!i", code) + rest)


def statement(query: bytes, values: Sequence[bytes | None]) -> bytes:
    """One statement of the extended query, unnamed: parsed, bound, described, run.

    Its values are text whose types the server infers, `None` is NULL, and so is all that comes
    back text; up to `MOST_VALUES`. SYNC, or FLUSH and later SYNC, come behind it.
    """
    bound = [b"\0\0\0\0", _COUNT.pack(len(values))]
    for value in values:
        if value is None:
            bound.append(_NULL)
        else:
            bound += (_LENGTH.pack(len(value)), value)
    bound.append(b"\0\0")
    parse = message(b"P", b"\0" + query + b"\0\0\0")
    return parse + message(b"B", b"".join(bound)) + _DESCRIBE_AND_RUN


MOST_VALUES = 65535
"""Of one statement: their number has 16 bits, without a sign."""
SYNC = message(b"S", b"")
"""Ends a transaction without a block, and has the server say that it is ready."""
FLUSH = message(b"H", b"")
"""Has the server say what it has to say, and ends nothing."""
TERMINATE = message(b"X", b"")
_DESCRIBE_AND_RUN = message(b"D", b"P\0") + message(b"E", b"\0\0\0\0\0")
_COUNT = struct.Struct("!H")
_LENGTH = struct.Struct("!i")
_NULL = _LENGTH.pack(-1)


def simple(query: bytes) -> bytes:
    """A simple query."""
    return message(b"Q", query + b"\0")


def fields(body: bytes) -> dict[str, str]:
    """What an error or a notice says, by the letters of
    https://www.postgresql.org/docs/current/protocol-error-fields.html, e.g. `M` and `C`."""
    parts = (part for part in body.split(b"\0") if part)
    return {chr(part[0]): part[1:].decode(errors="replace") for part in parts}


def columns(body: bytes) -> list[Column]:
    """What a RowDescription says."""
    (count,) = struct.unpack_from("!H", body)
    found, position = [], 2
    for _ in range(count):
        end = body.index(b"\0", position)
        name = body[position:end].decode(errors="replace")
        table, number, type_, size, modifier, _format = _COLUMN.unpack_from(body, end + 1)
        found.append(Column(name, table, number, type_, size, modifier))
        position = end + 1 + _COLUMN.size
    return found


def values(body: bytes) -> list[bytes | None]:
    """The values of a DataRow; None: NULL."""
    (count,) = struct.unpack_from("!H", body)
    found: list[bytes | None] = []
    position = 2
    for _ in range(count):
        (length,) = _LENGTH.unpack_from(body, position)
        position += 4
        if length < 0:
            found.append(None)
        else:
            found.append(body[position : position + length])
            position += length
    return found


def tag(text: str) -> tuple[str, int | None]:
    """The first word of a CommandComplete's tag, and the number of rows where it has one.

    https://www.postgresql.org/docs/current/protocol-message-formats.html: an INSERT's has an oid
    before it.
    """
    words = text.split(" ")
    last = words[-1]
    return words[0], int(last) if len(words) > 1 and last.isdecimal() else None


_COLUMN = struct.Struct("!IhIhih")
