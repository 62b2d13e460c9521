"""A session: logged in, and asked by simple queries; it blocks."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any

from devdb.model import HOST, Endpoint
from devdb.wire import framing
from devdb.wire.quoting import filled_in
from devdb.wire.refusal import Refused, Stranger
from devdb.wire.scram import Scram

Row = tuple[Any, ...]
_Named = tuple[list[str], Row]
"""A row, and the names of its columns."""

_MEANWHILE = 0.5
_TIMES = 4
"""That a server is told to stop working."""
_READY = b"Z\0\0\0\5"
"""The last message of an answer, but for its last byte."""


def offers_tls(host: str, port: int, *, timeout: float = 1) -> bool | None:
    """Whether the server there would speak TLS; None when nobody answers in time (seconds)."""
    try:
        with _connected((host, port), timeout) as asking:
            asking.sendall(framing.request(framing.SSL_REQUEST))
            answer = asking.recv(1)
    except OSError:
        return None
    return answer == b"S" if answer else None


def _connected(address: tuple[str, int], timeout: float | None) -> socket.socket:
    """A connection to there; raises OSError.

    A name as text would be looked up by way of IDNA, whose tables take 7 ms to load.
    """
    if address[0] != HOST:
        host: Any = address[0].encode("ascii")
        return socket.create_connection((host, address[1]), timeout=timeout)
    own = _own_class()
    connected = own(socket.AF_INET, socket.SOCK_STREAM)
    try:
        connected.settimeout(timeout)
        super(own, connected).connect(address)
    except BaseException:
        connected.close()
        raise
    return connected


def _own_class() -> type[socket.socket]:
    """Python's own: for tests that are to reach nobody another one is put in its place, or another
    `connect` (pytest-socket does both), and devdb's work is none of theirs."""
    above = getattr(socket.socket, "__mro__", ())
    return next((each for each in above if each.__module__ == "socket"), socket.socket)


class Session:
    """A session that is logged in, for use in a `with`; an error of a query leaves it usable."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        timeout: float | None = 5,
        patience: float | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        """Log in; `parameters` are settings of the session, in its first message.

        `timeout` is in seconds, for each answer of the server until we are in; `patience` for each
        answer to a query, None: as long as it takes. Raises Refused (Stranger where the server
        does not prove that it is ours), or OSError when nobody listens, answers in time or is up
        yet.
        """
        self.closed = False
        self.said: dict[str, str] = {}
        """What the server reports of itself, e.g. `server_version`."""
        self.meanwhile: Callable[[], None] | None = None
        """Called again and again while a query has no answer, every half second."""
        self.once_more: Callable[[Refused, float], bool] | None = None
        """Asked of a query that was refused outside of a transaction block, and the seconds that
        it took in all: run it again?"""
        self._address = (endpoint.host, endpoint.port)
        self._cancel_key = b""
        self._in_block = False
        self._longest: int | None = framing.LONGEST_BEFORE_LOGIN
        self._socket = _connected(self._address, timeout)
        self._stream = self._socket.makefile("rb")
        try:
            self._log_in(endpoint, parameters or {})
            self._socket.settimeout(patience)
        except BaseException:
            self._drop()
            raise
        self._longest = None

    @property
    def version(self) -> str:
        """The server's version, e.g. `17.6`."""
        words = self.said.get("server_version", "").split()
        return words[0] if words else ""

    @property
    def major(self) -> int:
        """The server's major version, e.g. 17."""
        return int(self.version.split(".")[0].split("beta")[0].split("rc")[0].split("devel")[0])

    @property
    def is_in_block(self) -> bool:
        """Whether the last query left a transaction block open."""
        return self._in_block

    @property
    def pid(self) -> int:
        """The server's process that serves this session."""
        return int.from_bytes(self._cancel_key[:4], "big")

    def query(self, sql: str, *values: object) -> list[Row]:
        """Run one or more statements, together one transaction; the rows of all.

        Each `{}` of the text stands for the next value, quoted: text, number, bool, None,
        timedelta, list of texts, Identifier. Whole numbers, booleans, floats and times
        (timestamptz) come back as such, all else as text. Raises Refused, or OSError when there
        is no answer in time; then, or interrupted, the query is cancelled and the session closed.
        """
        return [row for _, row in self._run(sql, values)]

    def records(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """As `query`, each row by the names of its columns."""
        return [dict(zip(names, row, strict=True)) for names, row in self._run(sql, values)]

    def answers(self, sql: str) -> Generator[tuple[bytes, bytes], None, None]:
        """Run it as `query` does; kind and content of each message of the answer, as it comes.

        A COPY that wants data from here is told that there is none. Raises as `query` does. Left
        before its end, too, the query is cancelled and the session closed.
        """
        if self.closed:
            raise ConnectionResetError("the session is closed")
        try:
            self.send(sql)
            for kind, body in self._messages():
                if kind == b"G":
                    self._send(b"f", b"nothing is copied from here\0")
                yield kind, body
        except Refused:
            raise
        except BaseException:
            self._abandon()
            raise

    def send(self, sql: str, *values: object) -> None:
        """Send a query and wait for nothing; `answers_within`, `receive` and `close` come next."""
        self._send(b"Q", filled_in(sql, values).encode() + b"\0")

    def answers_within(self, seconds: float) -> bool:
        """Whether the server begins to answer what was sent, in that time."""
        with selectors.DefaultSelector() as selector:  # select() takes no descriptor above 1023
            selector.register(self._socket, selectors.EVENT_READ)
            return bool(selector.select(seconds))

    def receive(self) -> list[Row]:
        """The rows that answer what was sent; raises as `query` does."""
        return [row for _, row in self._answer()]

    def close(self) -> None:
        """End the session."""
        if not self.closed:
            with contextlib.suppress(OSError):
                self._send(b"X", b"")
        self._drop()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, sql: str, values: tuple[object, ...]) -> list[_Named]:
        if self.closed:
            raise ConnectionResetError("the session is closed")
        begun = time.monotonic()
        while True:
            try:
                return self._ask(sql, values)
            except Refused as refused:
                took = time.monotonic() - begun
                if self._in_block or self.once_more is None or not self.once_more(refused, took):
                    raise
            except BaseException:
                self._abandon()
                raise

    def _ask(self, sql: str, values: tuple[object, ...]) -> list[_Named]:
        self.send(sql, *values)
        while self.meanwhile is not None and not self.answers_within(_MEANWHILE):
            self.meanwhile()
        return self._answer()

    def _answer(self) -> list[_Named]:
        names: list[str] = []
        types: list[int] = []
        rows: list[_Named] = []
        for kind, body in self._messages():
            if kind == b"T":
                names, types = _described(body)
            elif kind == b"D":
                rows.append((names, _row(body, types)))
        return rows

    def _log_in(self, endpoint: Endpoint, parameters: Mapping[str, str]) -> None:
        first = {"user": endpoint.user, "database": endpoint.database, **parameters}
        self._socket.sendall(framing.startup(first))
        scram = Scram(endpoint.password)
        for kind, body in self._messages():
            if kind == b"R":
                if answer := scram.respond(body):
                    self._socket.sendall(answer)
            elif kind == b"K":
                self._cancel_key = body
        scram.require_proof()

    def _messages(self) -> Iterator[tuple[bytes, bytes]]:
        """Kind and content of each message up to the one that says: ready for a query.

        An error is raised when all has come that comes after it.
        """
        error: Refused | ConnectionError | None = None
        while True:
            try:
                kind, body = self._message()
            except (OSError, Stranger):
                if error is None:
                    raise
                self._drop()  # it was the server's last word
                raise error from None
            if kind == b"E":
                error = _refusal(body)
            elif kind == b"S":
                name, _, value = body.decode(errors="replace").rstrip("\0").partition("\0")
                self.said[name] = value
            elif kind == b"Z":
                self._in_block = body != b"I"
                if error is not None:
                    raise error
                return
            else:
                yield kind, body

    def _message(self) -> tuple[bytes, bytes]:
        head = self._receive(5)
        (length,) = struct.unpack_from("!i", head, 1)
        if length < 4 or (self._longest is not None and length > self._longest):
            raise Stranger(framing.NOT_THE_PROTOCOL)
        return head[:1], self._receive(length - 4)

    def _send(self, kind: bytes, body: bytes) -> None:
        self._socket.sendall(framing.message(kind, body))

    def _receive(self, count: int) -> bytes:
        data = self._stream.read(count)
        if len(data) < count:
            raise ConnectionResetError("the server closed the connection")
        return data

    def _abandon(self) -> None:
        """Nobody waits for the answer any more: have the server stop working on it.

        A query that has not begun yet does not hear of it: it is told until it comes to an end.
        """
        if self._cancel_key and not self.closed:
            with contextlib.suppress(OSError):
                received = self._received()
                for _ in range(_TIMES):
                    with _connected(self._address, 1) as cancelling:
                        cancelling.sendall(
                            framing.request(framing.CANCEL_REQUEST, self._cancel_key)
                        )
                        cancelling.recv(1)  # it is closed when the request has been passed on
                    if self._has_ended(received):
                        break
        self._drop()

    def _received(self) -> bytes:
        """What has come of the answer and was not read."""
        self._socket.settimeout(0)
        try:
            return self._stream.peek()
        except OSError:  # it was given up for want of an answer
            return b""

    def _has_ended(self, received: bytes) -> bool:
        """Whether the answer comes to its end soon; what was half read is not taken apart."""
        deadline = time.monotonic() + _MEANWHILE
        last = received
        while not last[-len(_READY) - 1 :].startswith(_READY):
            if (left := deadline - time.monotonic()) <= 0:
                return False
            self._socket.settimeout(left)
            try:
                piece = self._socket.recv(65536)
            except TimeoutError:
                return False
            if not piece:
                return True
            last = last[-len(_READY) :] + piece
        return True

    def _drop(self) -> None:
        self.closed = True
        self._stream.close()
        self._socket.close()


def _described(body: bytes) -> tuple[list[str], list[int]]:
    """Names and types (oids) in a description of rows."""
    columns = framing.columns(body)
    return [each.name for each in columns], [each.type for each in columns]


def _row(body: bytes, types: list[int]) -> Row:
    pairs = zip(framing.values(body), types, strict=True)
    return tuple(
        None if value is None else _READ.get(type_, str)(value.decode(errors="replace"))
        for value, type_ in pairs
    )


def _moment(text: str) -> datetime | None:
    return None if text.endswith("infinity") else datetime.fromisoformat(text)


# By the types' oids, which are the same in every Postgres (pg_type.dat).
_READ: dict[int, Callable[[str], Any]] = {
    16: lambda text: text == "t",
    **dict.fromkeys((20, 21, 23, 26), int),
    **dict.fromkeys((700, 701), float),
    1184: _moment,
}


def _refusal(body: bytes) -> Refused | ConnectionError:
    fields = framing.fields(body)
    message, sqlstate = fields.get("M", "no reason given"), fields.get("C", "")
    if sqlstate == framing.NOT_YET:
        return ConnectionError(message)
    return Refused(message, sqlstate, fields)
