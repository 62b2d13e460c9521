"""A real browser without a window: Chromium, told what to do by its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shutil
import signal
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

PROGRAM = "chromium-headless-shell"
PATIENCE = 30.0
ARGUMENTS = [
    "--no-sandbox",  # root's tests have none to give
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
]
_INTERRUPTED = "net::ERR_NETWORK_CHANGED"
"""The machine got or lost an address, as other tests' containers do: Chromium then gives up all
that it is just connecting to."""
_ESCAPES = re.compile(r"\x1b(\[[0-9;?<>$]*[a-zA-Z]|\][^\x07]*\x07)")


class Page:
    """A tab: what it asked for, what came through its WebSockets, and what one can do with it."""

    def __init__(self, browser: Browser, target: str, session: str) -> None:
        self.target = target
        self._browser = browser
        self._session = session
        self.requests: list[str] = []
        """The address of each request and WebSocket."""
        self.sent: list[str] = []
        """The messages to the server."""
        self.complaints: list[str] = []
        """What its console has of errors: scripts', and what the page's policy forbids."""
        self._address = "about:blank"
        self._drawn = ""
        self._loads = 0

    async def go(self, address: str) -> None:
        """Have it show what is at that address, and all that belongs to it."""
        before = self._loads
        self._address = address
        await self._navigate()
        await self.until(lambda: self._loads > before, f"{address} is loaded")

    async def _navigate(self) -> None:
        while error := (await self.do("Page.navigate", url=self._address)).get("errorText"):
            assert error == _INTERRUPTED

    async def do(self, method: str, **parameters: Any) -> Any:
        return await self._browser.call(method, parameters, session=self._session)

    async def value(self, script: str) -> Any:
        """What a script in the page returns, or its promise."""
        done = await self.do(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    async def press(self, text: str) -> None:
        for character in text:
            code = {"\r": "Enter"}.get(character, character)
            await self.do("Input.dispatchKeyEvent", type="keyDown", key=code, text=character)
            await self.do("Input.dispatchKeyEvent", type="keyUp", key=code)

    async def resize(self, width: int, height: int) -> None:
        """Make its window so many pixels large."""
        await self.do(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    async def is_whole(self) -> bool:
        return bool(await self.value("document.readyState") == "complete")

    def drawn(self) -> str:
        """All text that was sent to be drawn, without what moves and colours it."""
        return _ESCAPES.sub("", self._drawn)

    def forget(self) -> None:
        self._drawn = ""

    async def sees(self, words: str) -> None:
        await self.until(lambda: words in self.drawn(), f"{words!r} is drawn")

    async def says(self, words: str) -> None:
        """Wait until the page itself shows that, not its terminal."""

        async def shown() -> bool:
            return words in str(await self.value("document.body?.innerText"))

        await self.until(shown, f"{words!r} on the page")

    async def until(self, condition: Callable[[], bool | Awaitable[bool]], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            met = condition()
            if met if isinstance(met, bool) else await met:
                return
            if any(_INTERRUPTED in each for each in self.complaints):
                self.complaints = [each for each in self.complaints if _INTERRUPTED not in each]
                await self._navigate()
            asked = "\n".join([*self.requests, *self.complaints])
            late = f"never: {what}\n{asked}\n{self.drawn()[-3000:]}"
            assert time.monotonic() < deadline, late
            await asyncio.sleep(0.05)

    async def picture(self) -> bytes:
        """The page as a PNG."""
        return base64.b64decode((await self.do("Page.captureScreenshot"))["data"])

    async def pictured(self, condition: Callable[[bytes], bool], what: str) -> bytes:
        """The first picture of which that is true."""
        found = await self.picture()

        async def is_so() -> bool:
            nonlocal found
            found = await self.picture()
            return condition(found)

        await self.until(is_so, what)
        return found

    def take(self, method: str, told: Any) -> None:
        """Note what the browser tells of it."""
        if method == "Page.loadEventFired":
            self._loads += 1
        elif method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Network.webSocketCreated":
            self.requests.append(told["url"])
        elif method == "Network.webSocketFrameSent":
            self.sent.append(told["response"]["payloadData"])
        elif method == "Network.webSocketFrameReceived" and told["response"]["opcode"] == 2:
            self._drawn += base64.b64decode(told["response"]["payloadData"]).decode()
        elif method == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.complaints.append(told["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(told["exceptionDetails"]))


class Browser:
    """The program, once it listens."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, log: Path) -> None:
        self._socket = socket
        self._log = log
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._pages: dict[str, Page] = {}
        self.reading = asyncio.create_task(self._read())

    async def call(self, method: str, parameters: Any = None, session: str | None = None) -> Any:
        number = len(self._answers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": parameters or {}}
        await self._socket.send_json(message | ({"sessionId": session} if session else {}))
        async with asyncio.timeout(PATIENCE):
            return await self._answers[number]

    async def page(self) -> Page:
        """A new tab with nothing in it."""
        target = (await self.call("Target.createTarget", {"url": "about:blank"}))["targetId"]
        attach = {"targetId": target, "flatten": True}
        session = (await self.call("Target.attachToTarget", attach))["sessionId"]
        page = self._pages[session] = Page(self, target, session)
        for domain in ("Page", "Network", "Log", "Runtime"):
            await page.do(f"{domain}.enable")
        # It goes nowhere while it is still about to show nothing.
        await page.until(page.is_whole, "the new tab is there")
        return page

    async def allow(self, origin: str, *permissions: str) -> None:
        await self.call(
            "Browser.grantPermissions", {"origin": origin, "permissions": list(permissions)}
        )

    def connections(self) -> set[str]:
        """Each address that it tried to connect to, for a page or by itself; when it has ended."""
        log = json.loads(self._log.read_text())
        kind = log["constants"]["logEventTypes"]["TCP_CONNECT_ATTEMPT"]
        events = [event.get("params", {}) for event in log["events"] if event["type"] == kind]
        return {event["address"] for event in events if "address" in event}

    def names(self) -> set[str]:
        """Each name whose address it looked for; when it has ended."""
        return set(re.findall(r'"host":"(?:\w+://)?([^":/]+)', self._log.read_text()))

    async def _read(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told:
                answer = self._answers[told["id"]]
                if "error" in told:
                    answer.set_exception(AssertionError(told["error"]))
                else:
                    answer.set_result(told["result"])
            elif page := self._pages.get(told.get("sessionId")):
                page.take(told["method"], told["params"])


@asynccontextmanager
async def browsing(directory: Path, *arguments: str) -> AsyncIterator[Browser]:
    """A browser with a profile of its own in that directory; it ends with the block."""
    log = directory / "net-log.json"
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        *ARGUMENTS,
        f"--user-data-dir={directory}",
        f"--log-net-log={log}",
        *arguments,
        "about:blank",
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(PATIENCE):
            while not (found := re.search(rb"ws://\S+", line := await process.stderr.readline())):
                assert line, f"{PROGRAM} ended"
        listening = asyncio.create_task(process.stderr.read())
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(found[0].decode(), max_msg_size=0) as socket,
        ):
            browser = Browser(socket, log)
            try:
                yield browser
                await browser.call("Browser.close")
            finally:
                browser.reading.cancel()
        async with asyncio.timeout(PATIENCE):
            await process.wait()
            await listening
    finally:
        # What it has started holds its stderr, too, and is in its session.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def why_not() -> str | None:
    """Why no browser can be had; None where one is here."""
    return None if shutil.which(PROGRAM) else f"needs {PROGRAM}"


def painted(picture: bytes) -> float:
    """How much of a PNG differs from what is left of it or above it: 0 for an empty page."""
    at, rows = 8, b""
    while at < len(picture):
        length = int.from_bytes(picture[at : at + 4], "big")
        if picture[at + 4 : at + 8] == b"IDAT":
            rows += picture[at + 8 : at + 8 + length]
        at += length + 12
    raw = zlib.decompress(rows)
    return 1 - raw.count(0) / len(raw)
