"""What a Postgres client begins with, before anybody has let it in; no input and no output.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from devdb.wire import framing

ASK_FOR_PASSWORD = framing.message(b"R", (3).to_bytes(4, "big"))
"""AuthenticationCleartextPassword: what drivers count on that send theirs unasked."""
NO_ENCRYPTION = b"N"
TERMINATE = framing.message(b"X", b"")
_LONGEST_KEY = 4 + 256
"""Bytes of the process' number and of the secret, which version 3.2 lets grow."""
_ADDRESS = re.compile(r"(?:\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]{0,5}))?")


class Refusal(Exception):
    """What is said to somebody who is not let in."""

    def __init__(self, sqlstate: str, text: str) -> None:
        super().__init__(sqlstate)
        parts = (f"{letter}{word}\0" for letter, word in _said(sqlstate, text))
        self.message = framing.message(b"E", "".join(parts).encode() + b"\0")
        """An ErrorResponse."""


def _said(sqlstate: str, text: str) -> list[tuple[str, str]]:
    return [("S", "FATAL"), ("V", "FATAL"), ("C", sqlstate), ("M", text)]


@dataclass(frozen=True, slots=True)
class Startup:
    """Who wants in, where, and with which settings."""

    parameters: dict[str, str]
    answer: bytes
    """What has to be said to it at once: that it asked for more than version 3.0."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Somebody wants a query to be cancelled."""

    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Encryption:
    """Somebody wants it encrypted, before anything else."""


def length(head: bytes, *, least: int) -> int:
    """The bytes that come after those four, which count themselves. Raises Refusal."""
    count = int.from_bytes(head, "big")
    if not least <= count <= framing.LONGEST_BEFORE_LOGIN:
        raise _no_postgres()
    return count - 4


def request(body: bytes) -> Startup | Cancel | Encryption:
    """What a first message asks for, by its content. Raises Refusal."""
    code, rest = int.from_bytes(body[:4], "big"), body[4:]
    if code in (framing.SSL_REQUEST, framing.GSS_REQUEST):
        return Encryption()
    if code == framing.CANCEL_REQUEST and 8 <= len(rest) <= _LONGEST_KEY:
        return Cancel(rest)
    if code >> 16 != framing.PROTOCOL >> 16:
        raise _no_postgres()
    return _startup(code, rest)


def _startup(version: int, text: bytes) -> Startup:
    *words, end, after = text.split(b"\0") if text.count(b"\0") else (b"?", b"?")
    if end or after or len(words) % 2:
        raise Refusal("08P01", "invalid startup packet layout")
    try:
        names = [word.decode() for word in words]
    except UnicodeDecodeError:
        raise Refusal("22021", "devdb: user, database and settings have to be UTF-8") from None
    given = dict(zip(names[::2], names[1::2], strict=True))
    if not given.get("user"):
        raise Refusal("28000", "no PostgreSQL user name specified in startup packet")
    unknown = [name for name in given if name.startswith("_pq_.")]
    kept = {name: value for name, value in given.items() if name not in unknown}
    if version == framing.PROTOCOL and not unknown:
        return Startup(kept, b"")
    counts = framing.PROTOCOL.to_bytes(4, "big") + len(unknown).to_bytes(4, "big")
    listed = b"".join(name.encode() + b"\0" for name in unknown)
    return Startup(kept, framing.message(b"v", counts + listed))


def password(body: bytes) -> str:
    """The password in the content of a PasswordMessage. Raises Refusal."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Refusal("22021", "devdb: the password has to be UTF-8") from None
    if not text.endswith("\0") or text.count("\0") > 1:
        raise Refusal("08P01", "invalid password packet size")
    if text == "\0":
        raise Refusal("28P01", "empty password returned by client")
    return text[:-1]


def port(addresses: list[str]) -> int | None:
    """The port of the one address that was asked for, where it has one. Raises LookupError.

    The host is nobody's business: no address leads anywhere but to this instance.
    """
    if not addresses:
        return None
    found = _ADDRESS.fullmatch(addresses[0])
    if found is None or len(addresses) > 1:
        raise LookupError("devdb: the address has to be HOST:PORT, and one")
    return int(found[1]) if found[1] else None


def _no_postgres() -> Refusal:
    return Refusal("08P01", "devdb: this is no client of Postgres, protocol version 3")
