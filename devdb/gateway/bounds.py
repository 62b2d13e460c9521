"""What a client may take: bytes, seconds, connections; where aiohttp sets no bound, ours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

QUIET = logging.Logger("devdb.gateway")
"""What aiohttp logs is what strangers send."""
QUIET.addHandler(logging.NullHandler())

_CHUNK = 1 << 18
"""Bytes that asyncio reads at once."""
_TOLD = 16
"""How many are waited for at once that were told there is no room; they have files open, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Bytes, seconds, and how many."""

    head: int = 1 << 16
    """Bytes of a request's first line and headers."""
    body: int = 1 << 26
    """Bytes of a request's body, and of a message over WebSocket."""
    patience: float = 30
    """Seconds for a head, for a body, and for what a Postgres client begins with."""
    login: float = 70
    """Seconds for the servers to let somebody in; their own patience with a login is 60."""
    idle: float = 300
    """Seconds that a connection is kept open between two requests."""
    lingering: float = 5
    """Seconds that what is left of a refused body is read and thrown away, so that who sends it
    gets to read the answer."""
    connections: int = 1000

    @property
    def too_long(self) -> str:
        """What is said of a head."""
        return f"devdb: the head of a request may have {self.head} bytes."


class Request(web.BaseRequest):
    """A request whose body is read within bounds."""

    def __init__(self, bounds: Bounds, *given: Any) -> None:
        super().__init__(*given, client_max_size=bounds.body)
        self._bounds = bounds

    @property
    def head(self) -> int:
        """The bytes of its head."""
        message = self._message
        lines = sum(len(name) + len(value) + 4 for name, value in message.raw_headers)
        return len(message.method) + len(message.path) + len("  HTTP/1.1\r\n\r\n") + lines

    async def read(self) -> bytes:
        """The body. Raises HTTPRequestEntityTooLarge, before it is read where it says so itself,
        and HTTPRequestTimeout."""
        if (self.content_length or 0) > self._bounds.body:
            raise web.HTTPRequestEntityTooLarge(self._bounds.body, self.content_length or 0)
        if self.headers.get("Expect", "").lower() == "100-continue" and self.version >= (1, 1):
            await self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.writer.output_size = 0  # of the answer itself nothing is sent yet
        try:
            async with asyncio.timeout(self._bounds.patience):
                return await super().read()
        except TimeoutError:
            raise web.HTTPRequestTimeout from None


class Connection(RequestHandler):
    """A client's connection; what it begins to send has to become a request in time."""

    __slots__ = ("_bounds", "_busy", "_received", "_timer")

    def __init__(self, manager: Server, bounds: Bounds, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            manager,
            loop=loop,
            keepalive_timeout=bounds.idle,
            logger=QUIET,
            access_log=None,  # type: ignore[arg-type] # aiohttp takes it, and looks for it
            debug=False,
            max_line_size=bounds.head,
            max_field_size=bounds.head,
            max_headers=bounds.head,
            lingering_time=bounds.lingering,
            auto_decompress=False,
        )
        self._bounds = bounds
        self._busy = False
        self._received = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, unless it is a head without an end."""
        if data and not self._busy:  # aiohttp gives nothing, too, when it goes on reading
            if self._timer is None:
                self._wait_for_head()
            self._received += len(data)
            # A chunk may have the head's end in it, and much of the body.
            if self._received > self._bounds.head + _CHUNK:
                self._refuse(431, "Request Header Fields Too Large", self._bounds.too_long)
                return
        super().data_received(data)

    def head_came(self) -> None:
        """A head is whole: its request is at work now."""
        self._stop_waiting()
        self._busy = True

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer; what comes after the request's body begins with a head again."""
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            if request.content.is_eof():
                self._expect_head()
            else:  # the rest of a body that was refused is read and thrown away: it is no head
                request.content.on_eof(self._expect_head)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it has what was sent in it
    ) -> web.StreamResponse:
        """The answer to what is no HTTP; it says nothing of what was sent, and closes."""
        if request.writer.output_size > 0:
            raise ConnectionError("half of an answer is sent already")
        if isinstance(exc, LineTooLong):
            status, text = 431, self._bounds.too_long
        elif status < 500:
            text = "devdb: this is no HTTP request."
        else:
            text = "devdb: the gateway broke off."
        return plain(status, text, close=True)

    def _expect_head(self) -> None:
        self._busy = False
        self._received = 0

    def _wait_for_head(self) -> None:
        self._timer = self._loop.call_later(self._bounds.patience, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if not self._received:
            self.force_close()
            return
        words = f"devdb: no whole request came within {self._bounds.patience:g} seconds."
        self._refuse(408, "Request Timeout", words)

    def _refuse(self, status: int, reason: str, text: str) -> None:
        self._stop_waiting()
        if self.transport is not None:
            self.transport.write(raw(status, reason, text))
        self.force_close()


class _Crowded(asyncio.Protocol):
    """Tells one that comes when all places are taken so, and closes."""

    def __init__(self, most: int, told: set[asyncio.Transport]) -> None:
        self._most = most
        self._told = told

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        text = f"devdb: {self._most} connections are open, and there can be no more."
        transport.write(raw(503, "Service Unavailable", text))
        if len(self._told) >= _TOLD:
            transport.close()
            return
        # Closed at once, before its request is read, it might not get to read the answer.
        transport.write_eof()
        self._told.add(transport)
        self._timer = asyncio.get_running_loop().call_later(1, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own
        if self._transport in self._told:
            self._told.discard(self._transport)
            self._timer.cancel()


class Server(web.Server):
    """Makes the connections, so many and no more."""

    def __init__(
        self,
        answer: Callable[[Request], Awaitable[web.StreamResponse]],
        bounds: Bounds,
    ) -> None:
        # Without `handler_cancellation` nobody tells a query's task that its client has left.
        super().__init__(
            answer,  # type: ignore[arg-type] # it gets what `_requested` makes
            request_factory=self._requested,
            handler_cancellation=True,
        )
        self._bounds = bounds
        self._told: set[asyncio.Transport] = set()

    def __call__(self) -> Any:
        """The protocol of a new connection."""
        if len(self._connections) >= self._bounds.connections:
            return _Crowded(self._bounds.connections, self._told)
        return Connection(self, self._bounds, self._loop)

    def _requested(self, message: Any, payload: Any, protocol: Any, *rest: Any) -> Request:
        protocol.head_came()
        return Request(self._bounds, message, payload, protocol, *rest, self._loop)


def plain(status: int, text: str, *, close: bool = False) -> web.Response:
    """An answer for people: one line."""
    response = web.Response(status=status, text=f"{text}\n", headers={"Server": "devdb"})
    if close:
        response.force_close()
    return response


def raw(status: int, reason: str, text: str) -> bytes:
    """The same as bytes, for who has sent no request that could be answered."""
    body = f"{text}\n".encode()
    head = (
        f"HTTP/1.1 {status} {reason}\r\nServer: devdb\r\nContent-Type: text/plain; charset=utf-8"
        f"\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
