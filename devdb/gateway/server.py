"""The gateway's server: who may ask, what is where, and when it ends."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
import resource
import signal
import socket
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from aiohttp import web

from devdb import __version__
from devdb.errors import DevdbError, PortInUse
from devdb.gateway import createdb, privileges, websocket
from devdb.gateway.bounds import Bounds, Request, Server, plain
from devdb.gateway.createdb import CreateDb, Offer
from devdb.gateway.sql import Sql
from devdb.gateway.target import Target
from devdb.gateway.watch import Watch
from devdb.listeners import owner
from devdb.model import HOST

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""What ends a gateway."""
_LOOK = 1.0
"""Seconds between two looks at the marker."""
_ENDING = 0.5
"""Seconds for requests that are at work when the end comes; aiohttp waits for them twice."""
_OTHER_FILES = 64
"""Files that are open beside the connections, and more than there are."""
_OURS = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)


class Gateway:
    """Answers who asks for something of the instance over HTTP or WebSocket."""

    def __init__(self, target: Target, *, offer: Offer | None = None, bounds: Bounds) -> None:
        self._target = target
        self._bounds = bounds
        self._sql = Sql(target)
        self._create_db = CreateDb(offer)
        self._sockets = websocket.Sockets(target, bounds)
        self._manager = Server(self._answer, bounds)
        self._listening: asyncio.Server | None = None

    async def start(self, bound: socket.socket) -> None:
        """Listen there, and begin to answer; raises OSError."""
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(self._manager, sock=bound, backlog=1024)

    async def close(self) -> None:
        """Take nobody any more, end all WebSockets, and requests that are not done at once."""
        if self._listening is not None:
            self._listening.close()
        self._manager.pre_shutdown()
        await self._sockets.close()
        await self._sql.close()  # each query has its client told so
        await self._manager.shutdown(_ENDING)
        self._create_db.close()

    async def _answer(self, request: Request) -> web.StreamResponse:
        try:
            response = await self._routed(request)
        except web.HTTPRequestEntityTooLarge:
            most = f"devdb: a request may have {request.client_max_size >> 20} MiB."
            response = web.json_response({"message": most}, status=413)
            response.headers["Access-Control-Allow-Origin"] = "*"
            response.force_close()
        except web.HTTPRequestTimeout:
            response = plain(408, "devdb: the rest of the request did not come.", close=True)
        except web.RequestPayloadError:
            response = plain(400, "devdb: the body is not what its head says.", close=True)
        except ConnectionError:
            raise  # the client has left
        except Exception as error:  # noqa: BLE001 - a bug: one request's, not all the others'
            response = plain(500, f"devdb: the gateway broke off: {_where(error)}", close=True)
        if not response.prepared:
            response.headers["Server"] = "devdb"
        return response

    async def _routed(self, request: Request) -> web.StreamResponse:
        if request.head > self._bounds.head:
            return plain(431, self._bounds.too_long, close=True)
        hosts = request.headers.getall("Host", [])
        # A page that has got its own name to lead here (DNS rebinding) has that name in Host.
        if len(hosts) != 1 or not _OURS.fullmatch(hosts[0]):
            return plain(403, "devdb: this is for 127.0.0.1 and localhost alone.", close=True)
        # Origin is looked at by create-db alone: elsewhere nobody gets anything without a password.
        # Java's client asks for HTTP/2 by an Upgrade, too.
        if "websocket" in request.headers.get("Upgrade", "").lower():
            return await self._sockets.answer(request)
        path, reads = request.path, request.method in ("GET", "HEAD")
        if path == "/sql":
            return await self._sql.answer(request)
        if path in createdb.PATHS:
            return await self._create_db.answer(request)
        if path == "/health" and reads:
            return web.json_response(self._health())
        if path == "/" and reads:
            return plain(200, _about(self._target))
        if reads:
            return plain(404, f"devdb: nothing is here. {_about(self._target)}")
        return web.json_response({"message": "query is not supported"}, status=400)

    def _health(self) -> dict[str, str | int]:
        target = self._target
        return {
            "devdb": __version__,
            "instance": target.name,
            "pid": os.getpid(),
            "port": target.port,
            "direct": target.direct,
            "pooled": target.pooled,
        }


async def serve(
    target: Target,
    *,
    user: tuple[int, int] | None,
    offer: Offer | None = None,
    ready: Callable[[], None],
    bounds: Bounds | None = None,
) -> bool:
    """Serve the instance until its marker is gone or a signal comes; whether it is gone.

    As root, `user` is whom it goes on as: uid and gid. `ready` is called when connections are
    accepted. Raises PortInUse, or DevdbError where it may not listen or cannot see the instance.
    """
    _hush()
    bounds = bounds or Bounds()
    bounds = replace(bounds, connections=_seats(bounds.connections))
    ended = asyncio.Event()
    _at_a_signal(ended.set)
    with _bound(target.port) as bound, Watch(target.name, target.directory) as watch:
        # The port is bound already: only root may have one below 1024.
        if user is not None:
            if offer is not None:
                offer.prepare()
            privileges.drop(*user)
        gateway = Gateway(target, offer=offer, bounds=bounds)
        try:
            try:
                await gateway.start(bound)
            except OSError as error:
                raise _refused(target.port, error) from None
            ready()
            while not ended.is_set():
                if watch.is_gone():
                    return True
                with suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), _LOOK)
            return False
        finally:
            await gateway.close()


def _at_a_signal(call: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup's wish, and a shell's
            loop.add_signal_handler(number, call)
    # More than the loop's pipe holds (some 280) are a warning on stderr each. One is enough.
    signal.set_wakeup_fd(signal.set_wakeup_fd(-1), warn_on_full_buffer=False)


def _seats(most: int) -> int:
    """How many connections there may be, by the files that we may have open; we ask for enough."""
    needed = 2 * most + _OTHER_FILES  # each may have one to a server
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return most
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft < allowed:
        # All that is allowed would be too much for macOS.
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        soft = allowed
    return max(1, min(most, (soft - _OTHER_FILES) // 2))


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, port))
    except OSError as error:
        bound.close()
        raise _refused(port, error) from None
    return bound


def _refused(port: int, error: OSError) -> DevdbError:
    if error.errno == errno.EADDRINUSE:
        return PortInUse(
            f"Port {port} is in use by {owner(port)}.", "Stop that, or choose another --http-port."
        )
    return DevdbError(
        f"Nothing can listen on port {port}: {error.strerror or error}.",
        "Choose another --http-port, from 1024 upward.",
    )


def _about(target: Target) -> str:
    return (
        f"devdb: this is '{target.name}' for serverless drivers, POST /sql and WebSocket /v2. "
        "How to use it: devdb url --http --help"
    )


def _where(error: Exception) -> str:
    """What broke, for a report; nothing of its text, which may be what was sent."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {os.path.basename(last.filename)}:{last.lineno}"  # noqa: PTH119


def _hush() -> None:
    """What the libraries log may be what strangers send."""
    for name in ("aiohttp", "asyncio"):
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.addHandler(logging.NullHandler())
