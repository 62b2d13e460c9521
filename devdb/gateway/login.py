"""Logging in upstream, with the credentials of whoever came."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from devdb.model import HOST
from devdb.wire import Scram, framing
from devdb.wire.refusal import Stranger

_CHUNK = 1 << 16


class Denied(Exception):
    """The server let nobody in; `fields` are its own words, by the letters of the protocol."""

    def __init__(self, message: bytes) -> None:
        super().__init__("denied")  # never the words: they may hold what was sent
        self.message = message
        """The whole ErrorResponse."""

    @property
    def fields(self) -> dict[str, str]:
        """E.g. `M`, the text, and `C`, the SQLSTATE."""
        return framing.fields(self.message[5:])


@dataclass(slots=True)
class Link:
    """A connection that is logged in; what comes after `greeting` is still to be read."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    greeting: bytes
    """All that the server said from AuthenticationOk to its first ReadyForQuery, as it came."""
    key: bytes
    """What a CancelRequest has to carry."""


async def log_in(port: int, parameters: Mapping[str, str], password: str) -> Link:
    """Connect to that port of this machine and log in as `parameters["user"]`.

    Raises Denied with the server's no, wire.Stranger where it does not prove that it knows the
    password, OSError where nobody listens. It sets no time: the caller does.
    """
    reader, writer = await asyncio.open_connection(HOST, port, limit=_CHUNK)
    try:
        writer.write(framing.startup(parameters))
        return await _authenticated(reader, writer, Scram(password))
    except asyncio.IncompleteReadError:
        writer.transport.abort()
        raise ConnectionResetError("the server closed the connection") from None
    except BaseException:
        writer.transport.abort()
        raise


async def _authenticated(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, scram: Scram
) -> Link:
    greeting, key = bytearray(), b""
    while True:
        head = await reader.readexactly(5)
        length = int.from_bytes(head[1:], "big")
        if not 4 <= length <= framing.LONGEST_BEFORE_LOGIN:
            raise Stranger(framing.NOT_THE_PROTOCOL)
        body = await reader.readexactly(length - 4)
        kind = head[:1]
        if kind == b"E":
            raise Denied(head + body)
        if kind == b"R" and int.from_bytes(body[:4], "big"):
            if answer := scram.respond(body):
                writer.write(answer)
            continue
        scram.require_proof()
        greeting += head + body
        if kind == b"K":
            key = body
        elif kind == b"Z":
            return Link(reader, writer, bytes(greeting), key)


async def cancel(port: int, key: bytes) -> None:
    """Have the server stop working on the query of the session with that key; says nothing."""
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return
    try:
        writer.write(framing.request(framing.CANCEL_REQUEST, key))
        await reader.read(1)  # it is closed when the request has been passed on
    except OSError:
        return
    finally:
        writer.transport.abort()
