"""A login and plain queries in Postgres' own protocol, for what must not wait for psycopg.

Importing psycopg takes longer than a Postgres takes to start. This speaks just enough of
https://www.postgresql.org/docs/current/protocol.html to log in with SCRAM-SHA-256 (RFC 7677),
both sides proving that they know the password, and to run simple queries. No TLS: it is for
servers on 127.0.0.1.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import socket
import struct
from collections.abc import Iterator
from types import TracebackType

from devdb.model import Endpoint

Row = tuple[str | None, ...]

_PROTOCOL = 196608
"""3.0: what every Postgres and PgBouncer of this century speaks."""
_SSL_REQUEST = 80877103
_OK, _SASL, _SASL_CONTINUE, _SASL_FINAL = 0, 10, 11, 12
_NOT_YET = "57P03"
"""What a server says that is starting, stopping or recovering."""


class Refused(Exception):
    """The server said no; `sqlstate` is its code: `28P01` is a wrong password."""

    def __init__(self, message: str, sqlstate: str = "") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


def offers_tls(host: str, port: int, *, timeout: float = 1) -> bool | None:
    """Whether the server there would speak TLS; None when nobody answers in time (seconds)."""
    try:
        with socket.create_connection((host, port), timeout=timeout) as asking:
            asking.sendall(struct.pack("!II", 8, _SSL_REQUEST))
            answer = asking.recv(1)
    except OSError:
        return None
    return answer == b"S" if answer else None


class Session:
    """A session that is logged in, for use in a `with`; of no use after an error."""

    def __init__(
        self, endpoint: Endpoint, *, database: str | None = None, timeout: float = 5
    ) -> None:
        """Log in. `timeout` is in seconds, for each answer of the server.

        Raises Refused, or OSError when nobody listens, answers in time or is up yet.
        """
        self._socket = socket.create_connection((endpoint.host, endpoint.port), timeout=timeout)
        self._stream = self._socket.makefile("rb")
        try:
            self._log_in(endpoint.user, endpoint.password, database or endpoint.database)
        except BaseException:
            self.close()
            raise

    def query(self, sql: str) -> list[Row]:
        """Run one or more statements, together one transaction; the rows of all, as text.

        Raises Refused, or OSError when there is no answer in time.
        """
        self._send(b"Q", sql.encode() + b"\0")
        return [_row(body) for kind, body in self._messages() if kind == b"D"]

    def close(self) -> None:
        """End the session."""
        self._stream.close()
        self._socket.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._send(b"X", b"")
        self.close()

    def _log_in(self, user: str, password: str, database: str) -> None:
        words = ("user", user, "database", database, "application_name", "devdb", "")
        text = b"".join(word.encode() + b"\0" for word in words)
        self._send(b"", struct.pack("!i", _PROTOCOL) + text)
        scram = _Scram(password)
        for kind, body in self._messages():
            if kind == b"R":
                (code,) = struct.unpack_from("!i", body)
                self._authenticate(scram, code, body[4:])
        if not scram.is_mutual:
            raise Refused("the server let us in without proving that it knows the password")

    def _authenticate(self, scram: _Scram, code: int, body: bytes) -> None:
        if code == _SASL and b"SCRAM-SHA-256\0" in body:
            first = scram.first()
            self._send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first)
        elif code == _SASL_CONTINUE:
            self._send(b"p", scram.answer(body))
        elif code == _SASL_FINAL:
            scram.verify(body)
        elif code != _OK:
            raise Refused("the server does not offer SCRAM-SHA-256")

    def _messages(self) -> Iterator[tuple[bytes, bytes]]:
        """Kind and content of each message up to the one that says: ready for a query."""
        while True:
            kind = self._receive(1)
            (length,) = struct.unpack("!i", self._receive(4))
            body = self._receive(length - 4)
            if kind == b"E":
                raise _refusal(body)
            if kind == b"Z":
                return
            yield kind, body

    def _send(self, kind: bytes, body: bytes) -> None:
        self._socket.sendall(kind + struct.pack("!i", len(body) + 4) + body)

    def _receive(self, count: int) -> bytes:
        data = self._stream.read(count)
        if len(data) < count:
            raise ConnectionResetError("the server closed the connection")
        return data


class _Scram:
    """The client's side of one SCRAM-SHA-256 exchange (RFC 5802, section 3)."""

    def __init__(self, password: str) -> None:
        self._password = password.encode()
        self._first = f"n=,r={secrets.token_urlsafe(18)}"
        self._expected = b""
        self.is_mutual = False
        """Whether the server has proved that it knows the password's verifier."""

    def first(self) -> bytes:
        return f"n,,{self._first}".encode()

    def answer(self, challenge: bytes) -> bytes:
        text = challenge.decode()
        nonce, salt, rounds = (part[2:] for part in text.split(",")[:3])
        if not nonce.startswith(self._first[5:]):
            raise Refused("the server answered somebody else's login")
        salted = hashlib.pbkdf2_hmac("sha256", self._password, base64.b64decode(salt), int(rounds))
        final = f"c=biws,r={nonce}"
        message = f"{self._first},{text},{final}".encode()
        key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        server_key = hmac.digest(salted, b"Server Key", "sha256")
        self._expected = base64.b64encode(hmac.digest(server_key, message, "sha256"))
        return f"{final},p={base64.b64encode(proof).decode()}".encode()

    def verify(self, final: bytes) -> None:
        if not hmac.compare_digest(final, b"v=" + self._expected):
            raise Refused("the server does not know the password")
        self.is_mutual = True


def _row(body: bytes) -> Row:
    (count,) = struct.unpack_from("!h", body)
    values: list[str | None] = []
    position = 2
    for _ in range(count):
        (length,) = struct.unpack_from("!i", body, position)
        position += 4
        if length < 0:
            values.append(None)
        else:
            values.append(body[position : position + length].decode())
            position += length
    return tuple(values)


def _refusal(body: bytes) -> Refused | ConnectionError:
    fields = {part[:1]: part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
    message, sqlstate = fields.get(b"M", "no reason given"), fields.get(b"C", "")
    return ConnectionError(message) if sqlstate == _NOT_YET else Refused(message, sqlstate)
