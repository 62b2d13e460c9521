"""Clients of Postgres over WebSocket, byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from gateway.serving import PATIENCE

from devdb.gateway.target import Target
from devdb.model import Spec
from devdb.wire import framing

SSL = framing.request(framing.SSL_REQUEST)
GSS = framing.request(framing.GSS_REQUEST)
TERMINATE = framing.message(b"X", b"")
ASKED = framing.message(b"R", (3).to_bytes(4, "big"))


DEVDB = {"user": "devdb", "database": "main"}


def startup(**parameters: str) -> bytes:
    """What a client says first."""
    return framing.startup(parameters)


def password(text: str) -> bytes:
    return framing.message(b"p", text.encode() + b"\0")


def query(sql: str) -> bytes:
    return framing.message(b"Q", sql.encode() + b"\0")


class Client:
    """One WebSocket; what comes is a stream of messages, whatever the frames."""

    def __init__(self, page: aiohttp.ClientWebSocketResponse) -> None:
        self.page = page
        self._unread = b""

    async def send(self, data: bytes) -> None:
        await self.page.send_bytes(data)

    async def enter(self, spec: Spec, sql: str = "", **changes: str) -> list[tuple[bytes, bytes]]:
        """Log in as Neon's driver does, password and query unasked in the first frame."""
        first = startup(**DEVDB | changes) + password(spec.password)
        await self.send(first + (query(sql) if sql else b""))
        assert await self.message() == (b"R", (3).to_bytes(4, "big"))
        greeting = await self.until(b"Z")
        assert greeting[0] == (b"R", bytes(4))
        return await self.until(b"Z") if sql else greeting

    async def ask(self, sql: str) -> list[list[str | None]]:
        """The rows that answer a query."""
        await self.send(query(sql))
        return rows(await self.until(b"Z"))

    async def message(self) -> tuple[bytes, bytes]:
        """Kind and content of the next message; an empty kind where there is none."""
        if not await self._fill(5):
            return b"", self._unread
        length = 1 + int.from_bytes(self._unread[1:5], "big")
        assert await self._fill(length)
        kind, body = self._unread[:1], self._unread[5:length]
        self._unread = self._unread[length:]
        return kind, body

    async def byte(self) -> bytes:
        """The next byte."""
        await self._fill(1)
        byte, self._unread = self._unread[:1], self._unread[1:]
        return byte

    async def until(self, kind: bytes) -> list[tuple[bytes, bytes]]:
        """The messages up to one of that kind, or the last one."""
        found = []
        while (message := await self.message())[0] not in (kind, b""):
            found.append(message)
        return [*found, message]

    async def refused(self) -> dict[str, str]:
        """The error that is the next message, and the last."""
        kind, body = await self.message()
        assert kind == b"E", (kind, body)
        assert await self.message() == (b"", b"")
        return framing.fields(body)

    def cut_off(self) -> None:
        """Leave without a word, as a process that is killed does."""
        connection = self.page._response.connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.abort()

    async def _fill(self, count: int) -> bool:
        while len(self._unread) < count:
            message = await asyncio.wait_for(self.page.receive(), PATIENCE)
            if message.type is not aiohttp.WSMsgType.BINARY:
                return False
            self._unread += message.data
        return True


@asynccontextmanager
async def opened(target: Target, path: str = "/v2", **options: Any) -> AsyncIterator[Client]:
    """A client at that path of the gateway."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            f"http://127.0.0.1:{target.port}{path}", max_msg_size=0, **options
        ) as page,
    ):
        yield Client(page)


def rows(messages: Iterable[tuple[bytes, bytes]]) -> list[list[str | None]]:
    """The values in the rows among those messages; fails when an error is."""
    found = []
    for kind, body in messages:
        assert kind != b"E", framing.fields(body)
        if kind == b"D":
            found.append(_values(body))
    return found


def _values(body: bytes) -> list[str | None]:
    values: list[str | None] = []
    position = 2
    for _ in range(int.from_bytes(body[:2], "big")):
        length = int.from_bytes(body[position : position + 4], "big", signed=True)
        position += 4
        values.append(body[position : position + length].decode() if length >= 0 else None)
        position += max(0, length)
    return values


def run(test: Coroutine[Any, Any, Any]) -> Any:
    """Run it in a loop of its own."""
    return asyncio.run(test)
