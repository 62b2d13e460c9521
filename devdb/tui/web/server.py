"""The server of `devdb up --web`: a page, its files, and a WebSocket for each tab."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Mapping, Sequence
from functools import partial
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from string import Template
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from devdb.tui.web import Say, guard
from devdb.tui.web.guard import HOST, Guard
from devdb.tui.web.tab import Tab, size

TABS = 8
"""How many there can be: each is a process of some 60 MB."""
SEAT = 5.0
"""Seconds that a tab waits for the process of another one to end; a reload needs some of them."""
CLOSING = 10.0
"""Seconds for all processes to end with the command, some of which may be in the midst of work."""
MESSAGE = 1 << 16
"""Bytes of the largest message of a page: what somebody pastes."""
HEARTBEAT = 15.0

LEFT = "You left this tab. Reload it to come back."
FULL = f"{TABS} tabs are open, and there can be no more. Close one, then reload this one."
BROKEN = "This tab broke off. What was wrong is said where devdb up --web runs."
ENDED = "devdb up --web was ended. Started again, it prints a new address."

_OURS = files(__package__)
_THEIRS = files("textual_serve") / "static"
_FILES: dict[str, tuple[Traversable, str]] = {
    "page.css": (_OURS / "page.css", "text/css"),
    "page.js": (_OURS / "page.js", "text/javascript"),
    "terminal.css": (_THEIRS / "css" / "xterm.css", "text/css"),
    "terminal.js": (_THEIRS / "js" / "textual.js", "text/javascript"),
    "font.ttf": (_THEIRS / "fonts" / "RobotoMono-VariableFont_wght.ttf", "font/ttf"),
}
"""Each file of the page; there are no others."""

_QUIET = logging.Logger("devdb.web")
"""Of what aiohttp logs, most is what strangers send; and paths have the token in them."""
_QUIET.addHandler(logging.NullHandler())

SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


async def serve(
    name: str,
    tab: Sequence[str],
    environment: Mapping[str, str],
    *,
    publish: Say,
    narrate: Say,
    owned: bool,
) -> int:
    """Serve the dashboard of the instance until a signal comes; returns its number."""
    loop = asyncio.get_running_loop()
    came: asyncio.Queue[int] = asyncio.Queue()
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup's, a script's `&`
            loop.add_signal_handler(number, partial(came.put_nowait, number))
    with socket.create_server((HOST, 0)) as listening:
        server = Server(name, Guard(port=listening.getsockname()[1]), tab, environment, narrate)
        await server.start(listening)
        try:
            then = f"stops '{name}'" if owned else f"leaves '{name}' running, as it was"
            narrate(f"open this in a browser of this machine; Ctrl-C ends it and {then}")
            publish(server.guard.url)
            number = await came.get()
        finally:
            await server.close(came)
    return number


class Server:
    """Answers who comes from its own page, and nobody else."""

    def __init__(
        self,
        name: str,
        guard: Guard,
        tab: Sequence[str],
        environment: Mapping[str, str],
        narrate: Say,
    ) -> None:
        self.guard = guard
        self._name = name
        self._argv = tab
        self._environment = environment
        self._narrate = narrate
        self._page = Template((_OURS / "page.html").read_text(encoding="utf-8"))
        self._seats = asyncio.Semaphore(TABS)
        self._tabs: dict[Tab, asyncio.Task[None]] = {}
        self._closing = False
        self._runner = web.ServerRunner(
            web.Server(self._answer, access_log=None, logger=_QUIET, debug=False),
            handle_signals=False,
            shutdown_timeout=1,
        )

    async def start(self, listening: socket.socket) -> None:
        """Begin to answer."""
        await self._runner.setup()
        await web.SockSite(self._runner, listening).start()

    async def close(self, hurry: asyncio.Queue[int]) -> None:
        """End all tabs, then answer nobody; at once when `hurry` has something in it."""
        self._closing = True
        for tab in self._tabs:
            tab.leave()
        seen_off = list(self._tabs.values())
        if seen_off:
            insisted: asyncio.Future[Any] = asyncio.create_task(hurry.get())
            ended: asyncio.Future[Any] = asyncio.gather(*seen_off)
            first = asyncio.FIRST_COMPLETED
            await asyncio.wait([insisted, ended], timeout=CLOSING, return_when=first)
            insisted.cancel()
            for tab in self._tabs:
                tab.kill()
            await ended
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        hosts, origins = (request.headers.getall(name, []) for name in ("Host", "Origin"))
        wanted = self.guard.admits(request.raw_path, hosts, origins)
        if wanted is None or request.method != "GET":
            return _nothing()
        if wanted == "socket" and origins:
            return await self._of_socket(request)
        if request.query_string:
            return _nothing()  # terminal.js obeys some words there
        if wanted == "":
            return self._of_page(f"ws://{hosts[0]}/{self.guard.token}/socket")
        if wanted in _FILES:
            file, kind = _FILES[wanted]
            return web.Response(body=file.read_bytes(), content_type=kind, headers=guard.headers())
        return _nothing()

    def _of_page(self, address: str) -> web.Response:
        text = self._page.substitute(name=escape(self._name), socket=escape(address))
        return web.Response(
            text=text, content_type="text/html", headers=guard.headers(connect=address)
        )

    async def _of_socket(self, request: web.BaseRequest) -> web.StreamResponse:
        page = web.WebSocketResponse(heartbeat=HEARTBEAT, max_msg_size=MESSAGE, compress=False)
        first = size(request.query)
        if first is None or not page.can_prepare(request):
            return _nothing()
        await page.prepare(request)
        try:
            await asyncio.wait_for(self._seats.acquire(), SEAT)
        except TimeoutError:
            await page.close(code=WSCloseCode.TRY_AGAIN_LATER, message=FULL.encode())
            return page
        try:
            tab = await Tab.open(self._argv, self._environment, first)
        except OSError as error:
            self._seats.release()
            self._narrate(f"a tab could not be opened: {error}")
            await page.close(code=WSCloseCode.INTERNAL_ERROR, message=BROKEN.encode())
            return page
        self._tabs[tab] = asyncio.create_task(self._see_off(tab))
        drawing = asyncio.create_task(self._draw(tab, page))
        try:
            async for message in page:
                if message.type is not WSMsgType.TEXT or not await tab.take(message.data):
                    await page.close(code=WSCloseCode.UNSUPPORTED_DATA)
                    break
        finally:
            tab.leave()
            await drawing
        return page

    async def _draw(self, tab: Tab, page: web.WebSocketResponse) -> None:
        async for data in tab.drawn():
            if not page.closed:
                try:
                    await page.send_bytes(data)
                except ConnectionError:
                    tab.leave()
        tab.leave()
        words = ENDED if self._closing else LEFT if await tab.ended() == 0 else BROKEN
        await page.close(code=WSCloseCode.OK, message=words.encode())

    async def _see_off(self, tab: Tab) -> None:
        code = await tab.ended()
        del self._tabs[tab]
        self._seats.release()
        if (code == -signal.SIGKILL and self._closing) or code in (0, 128 + signal.SIGHUP):
            return
        for line in tab.complaint or [f"ended with {code}"]:
            self._narrate(f"tab: {line}")


def _nothing() -> web.Response:
    return web.Response(status=404, text="404: Not Found", headers=guard.headers())
