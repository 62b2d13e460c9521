"""A login and plain queries in Postgres' own protocol: to Postgres and to PgBouncer.

It speaks just enough of https://www.postgresql.org/docs/current/protocol.html to log in with
SCRAM-SHA-256 (RFC 7677), both sides proving that they know the password, and to run simple
queries. It reads no environment and no file, and gives no password away: a server that asks for
one in another way is refused. No TLS: it is for servers on 127.0.0.1.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import hmac
import secrets
import selectors
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

from devdb.model import Endpoint

Row = tuple[Any, ...]
_Named = tuple[list[str], Row]
"""A row, and the names of its columns."""

_PROTOCOL = 196608
"""3.0: what every Postgres and PgBouncer of this century speaks."""
_SSL_REQUEST = 80877103
_CANCEL_REQUEST = 80877102
_OK, _SASL, _SASL_CONTINUE, _SASL_FINAL = 0, 10, 11, 12
_NOT_YET = "57P03"
"""What a server says that is starting, stopping or recovering."""
_MEANWHILE = 0.5
_LONGEST_BEFORE_LOGIN = 65536
"""Bytes of a message from whom we do not know yet; Postgres' own are a few hundred."""
_MOST_ROUNDS = 1_000_000
"""Of hashing that a stranger may ask for; Postgres' own default is 4096."""


class Refused(Exception):
    """The server said no; `sqlstate` is its code: `28P01` is a wrong password."""

    def __init__(self, message: str, sqlstate: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.sqlstate = sqlstate


class Stranger(Refused):
    """Whoever answers there did not prove that it knows the password: it is another server."""


FAILURES = (Refused, OSError)
"""All that a session raises: the server said no, or there is none (or none any more)."""


@dataclass(frozen=True, slots=True)
class Identifier:
    """The name of something in the database, as a value of `Session.query`."""

    name: str


def offers_tls(host: str, port: int, *, timeout: float = 1) -> bool | None:
    """Whether the server there would speak TLS; None when nobody answers in time (seconds)."""
    try:
        with _connected((host, port), timeout) as asking:
            asking.sendall(struct.pack("!II", 8, _SSL_REQUEST))
            answer = asking.recv(1)
    except OSError:
        return None
    return answer == b"S" if answer else None


def _connected(address: tuple[str, int], timeout: float | None) -> socket.socket:
    """A connection to there; raises OSError.

    A name as text would be looked up by way of IDNA, whose tables take 7 ms to load.
    """
    host: Any = address[0].encode("ascii")
    return socket.create_connection((host, address[1]), timeout=timeout)


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
        self._longest: int | None = _LONGEST_BEFORE_LOGIN
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

    def send(self, sql: str, *values: object) -> None:
        """Send a query and wait for nothing; `answers_within`, `receive` and `close` come next."""
        self._send(b"Q", _filled_in(sql, values).encode() + b"\0")

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
                names, types = _columns(body)
            elif kind == b"D":
                rows.append((names, _row(body, types)))
        return rows

    def _log_in(self, endpoint: Endpoint, parameters: Mapping[str, str]) -> None:
        first = {"user": endpoint.user, "database": endpoint.database, **parameters}
        words = [word for pair in first.items() for word in pair]
        text = b"".join(word.encode() + b"\0" for word in [*words, ""])
        self._send(b"", struct.pack("!i", _PROTOCOL) + text)
        scram = Scram(endpoint.password)
        for kind, body in self._messages():
            if kind == b"R":
                self._authenticate(scram, int.from_bytes(body[:4], "big"), body[4:])
            elif kind == b"K":
                self._cancel_key = body
        if not scram.is_mutual:
            raise Stranger("the server let us in without proving that it knows the password")

    def _authenticate(self, scram: Scram, code: int, body: bytes) -> None:
        if code == _SASL and b"SCRAM-SHA-256\0" in body:
            first = scram.first()
            self._send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first)
        elif code == _SASL_CONTINUE:
            self._send(b"p", scram.answer(body))
        elif code == _SASL_FINAL:
            scram.verify(body)
        elif code != _OK:
            raise Stranger("the server does not offer SCRAM-SHA-256")

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
            raise Stranger("what listens there does not speak Postgres' protocol")
        return head[:1], self._receive(length - 4)

    def _send(self, kind: bytes, body: bytes) -> None:
        self._socket.sendall(kind + struct.pack("!i", len(body) + 4) + body)

    def _receive(self, count: int) -> bytes:
        data = self._stream.read(count)
        if len(data) < count:
            raise ConnectionResetError("the server closed the connection")
        return data

    def _abandon(self) -> None:
        """Nobody waits for the answer any more: have the server stop working on it."""
        if self._cancel_key and not self.closed:
            with contextlib.suppress(OSError), _connected(self._address, 1) as cancelling:
                key = struct.pack("!i", _CANCEL_REQUEST) + self._cancel_key
                cancelling.sendall(struct.pack("!i", len(key) + 4) + key)
                cancelling.recv(1)  # it is closed when the request has been passed on
        self._drop()

    def _drop(self) -> None:
        self.closed = True
        self._stream.close()
        self._socket.close()


class Scram:
    """The client's side of one SCRAM-SHA-256 exchange (RFC 5802, section 3); sends nothing."""

    def __init__(self, password: str) -> None:
        self._password = password.encode()
        self._first = f"n=,r={secrets.token_urlsafe(18)}"
        self._expected = b""
        self.is_mutual = False
        """Whether the server has proved that it knows the password's verifier."""

    def first(self) -> bytes:
        """The client's first message."""
        return f"n,,{self._first}".encode()

    def answer(self, challenge: bytes) -> bytes:
        """The answer to the server's first message; raises Stranger."""
        try:
            text = challenge.decode()
            nonce, salt64, count = (part[2:] for part in text.split(",")[:3])
            salt, rounds = base64.b64decode(salt64), int(count)
        except ValueError:
            raise Stranger("what the server sends is no SCRAM") from None
        if not nonce.startswith(self._first[5:]):
            raise Stranger("the server answered somebody else's login")
        if not 0 < rounds <= _MOST_ROUNDS:
            raise Stranger(f"the server asks for {rounds} rounds of hashing")
        key, server_key = scram_keys(self._password, salt, rounds)
        final = f"c=biws,r={nonce}"
        message = f"{self._first},{text},{final}".encode()
        signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        self._expected = base64.b64encode(hmac.digest(server_key, message, "sha256"))
        return f"{final},p={base64.b64encode(proof).decode()}".encode()

    def verify(self, final: bytes) -> None:
        """Look at the server's last message; raises Stranger when it proves nothing."""
        # Before a challenge nothing is expected, and nothing proves anything.
        if not self._expected or not hmac.compare_digest(final, b"v=" + self._expected):
            raise Stranger("the server does not know the password")
        self.is_mutual = True


@functools.lru_cache(maxsize=32)
def scram_keys(password: bytes, salt: bytes, rounds: int) -> tuple[bytes, bytes]:
    """ClientKey and ServerKey of RFC 5802, section 3, with SHA-256.

    Kept, as the RFC allows: a role's salt stays, and most of a login's time goes into this.
    """
    salted = hashlib.pbkdf2_hmac("sha256", password, salt, rounds)
    client = hmac.digest(salted, b"Client Key", "sha256")
    server = hmac.digest(salted, b"Server Key", "sha256")
    return client, server


def _columns(body: bytes) -> tuple[list[str], list[int]]:
    """Names and types (oids) in a description of rows."""
    (count,) = struct.unpack_from("!h", body)
    names, types = [], []
    position = 2
    for _ in range(count):
        end = body.index(b"\0", position)
        names.append(body[position:end].decode(errors="replace"))
        types.append(struct.unpack_from("!i", body, end + 7)[0])
        position = end + 19
    return names, types


def _row(body: bytes, types: list[int]) -> Row:
    values: list[Any] = []
    position = 2
    for type_ in types:
        (length,) = struct.unpack_from("!i", body, position)
        position += 4
        if length < 0:
            values.append(None)
        else:
            text = body[position : position + length].decode(errors="replace")
            values.append(_READ.get(type_, str)(text))
            position += length
    return tuple(values)


def _moment(text: str) -> datetime | None:
    return None if text.endswith("infinity") else datetime.fromisoformat(text)


# By the types' oids, which are the same in every Postgres (pg_type.dat).
_READ: dict[int, Callable[[str], Any]] = {
    16: lambda text: text == "t",
    **dict.fromkeys((20, 21, 23, 26), int),
    **dict.fromkeys((700, 701), float),
    1184: _moment,
}


def _filled_in(sql: str, values: tuple[object, ...]) -> str:
    return sql.format(*map(quoted, values)) if values else sql


def quoted(value: object) -> str:
    """The value as it stands in SQL, where strings conform to the standard and are UTF-8.

    Raises ValueError for text with a NUL, which no database takes.
    """
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, timedelta):
        return f"interval '{value // timedelta(microseconds=1)} microseconds'"
    if isinstance(value, list | tuple):
        return f"ARRAY[{', '.join(map(quoted, value))}]::text[]"
    is_name = isinstance(value, Identifier)
    text = value.name if isinstance(value, Identifier) else str(value)
    if "\0" in text:
        raise ValueError(f"{text!r} has a NUL in it")
    mark = '"' if is_name else "'"
    return f"{mark}{text.replace(mark, mark * 2)}{mark}"


def _refusal(body: bytes) -> Refused | ConnectionError:
    fields = {part[:1]: part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
    message, sqlstate = fields.get(b"M", "no reason given"), fields.get(b"C", "")
    return ConnectionError(message) if sqlstate == _NOT_YET else Refused(message, sqlstate)
