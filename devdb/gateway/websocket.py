"""Postgres over WebSocket: a client logs in as over TCP, and bytes go to and fro.

Drivers for the edge send their password before they are asked, in the clear, as they may to Neon's
proxy; the servers here take SCRAM alone. So a client is asked for its password, and the login
upstream is the gateway's. After that no byte is looked at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress

from aiohttp import WSCloseCode, WSMsgType, web

from devdb.gateway import opening
from devdb.gateway.bounds import Bounds, plain
from devdb.gateway.login import Denied, Link, cancel, log_in
from devdb.gateway.opening import Cancel, Encryption, Refusal, Startup
from devdb.gateway.target import Target
from devdb.wire import Stranger, framing

_CLOSING = 1.0
"""Seconds for a client to say goodbye in turn, and for a server to take a CancelRequest."""
_GOODBYE = 0.5
"""The same when the gateway ends, which must not take long."""
_CHUNK = 1 << 16


class _Left(Exception):
    """The client has gone, or may not stay: it was told why."""


class _Over(Exception):
    """The server has closed the connection."""


class Sockets:
    """The WebSockets that are open."""

    def __init__(self, target: Target, bounds: Bounds) -> None:
        self._target = target
        self._bounds = bounds
        self._open: set[asyncio.Task[object]] = set()
        self._left: set[asyncio.Task[None]] = set()
        """What is still to be done for those whose client has gone."""
        self._closing = False

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one, whatever its path, to its end."""
        # There is no heartbeat: over loopback a peer that is no more is known at once, and a
        # debugger that holds a program at a breakpoint must not cost it its connection.
        page = web.WebSocketResponse(
            compress=False, max_msg_size=self._bounds.body + 1, timeout=_CLOSING
        )
        page.headers["Server"] = "devdb"
        if not page.can_prepare(request):
            return plain(400, "devdb: this is no WebSocket handshake.", close=True)
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await page.prepare(request)
            code = await self._serve(_Client(page), request.query.getall("address", []))
            await page.close(code=code)
        except _Left:
            await page.close()
        except asyncio.CancelledError:
            if self._closing:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_GOODBYE):
                        await page.close(code=WSCloseCode.GOING_AWAY, drain=False)
            raise
        finally:
            self._open.discard(task)
        return page

    async def close(self) -> None:
        """End them all, their queries too; it takes some two seconds at most."""
        self._closing = True
        for task in self._open:
            task.cancel()
        for some in (self._open, self._left):
            if some:
                await asyncio.wait(some, timeout=_CLOSING)

    async def _serve(self, client: _Client, addresses: list[str]) -> int:
        """From the first byte to the last; the code to close with."""
        try:
            async with asyncio.timeout(self._bounds.patience):
                asked = await client.request()
            port = self._upstream(addresses)
            if isinstance(asked, Cancel):
                await asyncio.shield(self._start(_cancel(port, asked.key)))
                return WSCloseCode.OK
            async with asyncio.timeout(self._bounds.patience):
                await client.send(asked.answer + opening.ASK_FOR_PASSWORD)
                password = await client.password()
            link = await self._log_in(port, asked.parameters, password)
        except TimeoutError:
            return WSCloseCode.POLICY_VIOLATION
        except Refusal as refusal:
            await client.send(refusal.message)
            return WSCloseCode.POLICY_VIOLATION
        except Denied as denied:
            await client.send(denied.message)
            return WSCloseCode.OK
        await self._carry(_Session(client, link), link, port)
        return WSCloseCode.OK

    async def _carry(self, session: _Session, link: Link, port: int) -> None:
        over = False
        try:
            await session.run()
        except _Over:
            over = True
        finally:
            if over or session.said_goodbye:
                link.writer.close()
            else:
                self._start(_abandon(link, port))

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Begin what is to be done though the client's own task is cancelled, as it has left."""
        task = asyncio.create_task(work)
        self._left.add(task)
        task.add_done_callback(self._left.discard)
        return task

    def _upstream(self, addresses: list[str]) -> int:
        try:
            return self._target.upstream(opening.port(addresses))
        except LookupError as error:
            raise Refusal("08004", str(error)) from None

    async def _log_in(self, port: int, parameters: dict[str, str], password: str) -> Link:
        name = self._target.name
        look = f"Look at it: devdb status -n {name}"
        try:
            async with asyncio.timeout(self._bounds.login):
                return await log_in(port, parameters, password)
        except Denied as denied:
            if denied.fields.get("C") != framing.NOT_YET:
                raise
            raise Refusal(framing.NOT_YET, self._target.down) from None
        except Stranger:
            words = f"devdb: what listens on port {port} is not '{name}'. {look}"
            raise Refusal("08006", words) from None
        except TimeoutError:
            raise Refusal(framing.NOT_YET, f"devdb: '{name}' does not answer. {look}") from None
        except OSError:
            raise Refusal(framing.NOT_YET, self._target.down) from None


class _Client:
    """The other end of a WebSocket, as the stream of bytes that it stands for."""

    def __init__(self, page: web.WebSocketResponse) -> None:
        self._page = page
        self._unread = bytearray()

    async def request(self) -> Startup | Cancel:
        """What it wants first. Raises Refusal, _Left."""
        for again in (True, True, False):  # it may ask for TLS, and for GSSAPI
            count = opening.length(await self._exactly(4), least=8)
            asked = opening.request(await self._exactly(count))
            if not isinstance(asked, Encryption):
                return asked
            if again:
                await self.send(opening.NO_ENCRYPTION)
        raise Refusal("08P01", "devdb: there is no encryption here")

    async def password(self) -> str:
        """The password that it sends. Raises Refusal, _Left."""
        if await self._exactly(1) != b"p":
            raise Refusal("08P01", "expected password response")
        return opening.password(
            await self._exactly(opening.length(await self._exactly(4), least=5))
        )

    async def read(self) -> bytes:
        """The next bytes that it sends. Raises _Left."""
        if not self._unread:
            return await self._frame()
        data, self._unread = bytes(self._unread), bytearray()
        return data

    async def send(self, data: bytes) -> None:
        """Send it those; returns when there is room for more. Raises _Left."""
        try:
            await self._page.send_bytes(data)
        except ConnectionError:
            raise _Left from None

    async def _exactly(self, count: int) -> bytes:
        while len(self._unread) < count:
            self._unread += await self._frame()
        data = bytes(self._unread[:count])
        del self._unread[:count]
        return data

    async def _frame(self) -> bytes:
        message = await self._page.receive()
        if message.type is WSMsgType.BINARY:
            return bytes(message.data)
        if message.type is WSMsgType.TEXT:
            await self._page.close(code=WSCloseCode.UNSUPPORTED_DATA)
        raise _Left


class _Session:
    """A client that is logged in."""

    def __init__(self, client: _Client, link: Link) -> None:
        self._client = client
        self._link = link
        self.said_goodbye = False
        """Whether the client's last word was that it needs the server no more."""

    async def run(self) -> None:
        """Carry bytes to and fro until one side has no more. Raises _Left, _Over."""
        await self._client.send(self._link.greeting)
        both = asyncio.create_task(self._upward()), asyncio.create_task(self._downward())
        try:
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
        for task in done:
            task.result()

    async def _upward(self) -> None:
        writer = self._link.writer
        with suppress(ConnectionError):  # the server's last words may still be on their way
            while True:
                data = await self._client.read()
                self.said_goodbye = data.endswith(opening.TERMINATE)
                writer.write(data)
                await writer.drain()

    async def _downward(self) -> None:
        with suppress(ConnectionError):
            while data := await self._link.reader.read(_CHUNK):
                await self._client.send(data)
        raise _Over


async def _abandon(link: Link, port: int) -> None:
    """Let go of a server that may be at work for a client that is no more."""
    try:
        # What it was sent may end in the midst of a message: nothing more may be sent there.
        await _cancel(port, link.key)
    finally:
        link.writer.transport.abort()


async def _cancel(port: int, key: bytes) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_CLOSING):
            await cancel(port, key)
