"""What the server says to the statements of a request: its messages, gathered into results."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from json.encoder import encode_basestring as quoted

from devdb.gateway.values import ROW, Mode, Row, read, writer
from devdb.wire import Stranger, framing
from devdb.wire.framing import Column

LARGEST = 64 << 20
"""Bytes of an answer: more than that is nothing to be read in one piece."""


class TooLarge(Exception):
    """An answer, or a single message of it, is larger than `LARGEST`."""


class Result:
    """What one statement came to, as pieces of JSON."""

    def __init__(self, mode: Mode) -> None:
        self.columns: list[Column] = []
        self.tag = ""
        """What the server says that it did, e.g. `INSERT 0 1`; empty where there was nothing."""
        self.rows: list[bytes] = []
        """Each piece has whole rows, with commas between them."""
        self._mode = mode

    @property
    def json(self) -> list[bytes]:
        """The pieces of its object, whose last key is `rowAsArray`."""
        command, count = framing.tag(self.tag)
        pieces = [b'{"fields":%s,"rows":[' % _fields(self.columns)]
        for number, piece in enumerate(self.rows):
            pieces += (b",", piece) if number else (piece,)
        said = quoted(command) if command else "null"
        end = f'],"command":{said},"rowCount":{"null" if count is None else count}'
        mode = "true" if self._mode.is_array else "false"
        pieces.append(f'{end},"rowAsArray":{mode}}}'.encode())
        return pieces


def _fields(columns: Sequence[Column]) -> bytes:
    return json.dumps(
        [
            {
                "name": each.name,
                "dataTypeID": each.type,
                "tableID": each.table,
                "columnID": each.number,
                "dataTypeSize": each.size,
                "dataTypeModifier": each.modifier,
                "format": "text",
            }
            for each in columns
        ],
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()


class Answers:
    """Reads what the server says from one request of ours to the end of its answer."""

    def __init__(self, modes: Sequence[Mode | None], *, ready: int) -> None:
        """`modes` has one for each statement, in their order; None: of its result nothing is kept.

        It is at its end when the server has said `ready` times that it is; with 0, where it was
        not asked to: after the last statement, an error or the beginning of a copy.
        """
        self.results: list[Result] = []
        self.error: dict[str, str] = {}
        """What the server refused the statements with, by the letters of the protocol."""
        self.is_copying = False
        """Whether it waits for the data of a COPY, or sends some; there is nothing after that."""
        self.has_begun = False
        """Whether it has taken up a statement."""
        self.has_set = False
        """Whether a statement changed a setting of the session that the server tells of."""
        self.statuses = b""
        """What it was each time when it was ready: `I` outside of a transaction block."""
        self.is_clean = True
        """Whether nothing was refused of what came behind the statements."""
        self._modes = modes
        self._open = len(modes)
        self._ready = ready
        self._result: Result | None = None
        self._written = writer((), Mode(is_raw=True, is_array=True))
        self._size = 0

    @property
    def is_complete(self) -> bool:
        """Whether all has come."""
        if self._ready:
            return len(self.statuses) >= self._ready or self.is_copying
        return not self._open or bool(self.error) or self.is_copying

    @property
    def is_last_word(self) -> bool:
        """Whether the server said no to everything, and closes the connection with it."""
        severity = self.error.get("V") or self.error.get("S")  # `S` is in the server's language
        return severity in ("FATAL", "PANIC")

    def take(self, data: bytes | bytearray) -> tuple[int, int]:
        """Read whole messages: how many bytes they were, and how many are needed to go on.

        Raises TooLarge, and Stranger for what is none of the protocol.
        """
        position, end = 0, len(data)
        while position + 5 <= end:
            kind, length = _HEAD.unpack_from(data, position)
            if not 4 <= length <= LARGEST:
                if length < 4:
                    raise Stranger(framing.NOT_THE_PROTOCOL)
                raise TooLarge
            following = position + 1 + length
            if following > end:
                return position, 1 + length
            if kind == ROW and self._result is not None:
                rows, position = read(data, position, len(self._result.columns))
                self._add(self._result, rows)
                continue
            if kind != ROW:
                self._hear(kind, bytes(data[position + 5 : following]))
            position = following
        return position, 5

    def _add(self, result: Result, rows: list[Row]) -> None:
        piece = self._written(rows).encode()
        self._size += len(piece) + 1
        if self._size > LARGEST:
            raise TooLarge
        result.rows.append(piece)

    def _hear(self, kind: bytes, body: bytes) -> None:
        if kind == b"1":
            self.has_begun = True
        elif kind == b"T":
            self._describe(framing.columns(body))
        elif kind == b"n":
            self._describe([])
        elif kind in b"CI":
            self._finish(body[:-1].decode("utf-8", "replace"))
        elif kind == b"E":
            if self.statuses:
                self.is_clean = False
            elif not self.error:
                self.error = framing.fields(body)
        elif kind == b"S":
            self.has_set |= not self.statuses
        elif kind == b"Z":
            self.statuses += body
        elif kind in b"GHW":
            self.is_copying = True
        elif kind not in b"2NAdc":
            raise Stranger(framing.NOT_THE_PROTOCOL)

    def _describe(self, columns: list[Column]) -> None:
        if not self._open:
            return
        mode = self._modes[-self._open]
        if mode is None:
            self._result = None
            return
        self._result = Result(mode)
        self._result.columns = columns
        self._written = writer(columns, mode)

    def _finish(self, tag: str) -> None:
        if not self._open:
            return
        self._open -= 1
        if self._result is not None:
            self._result.tag = tag
            self.results.append(self._result)
            self._result = None


_HEAD = struct.Struct("!ci")
