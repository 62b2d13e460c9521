"""`devdb up --web` as a process, and tabs of it without a browser."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import psutil
import world

UP = [sys.executable, "-m", "devdb", "up", "--web"]
PATIENCE = 30
ESCAPES = re.compile(r"\x1b(\[[0-9;?<>$]*[a-zA-Z]|\][^\x07]*\x07)")
"""What moves and colours the text of a terminal."""
MOVES = re.compile(r"\x1b\[\d+;\d+H|\r?\n")
"""What begins a line."""


class Serving:
    """The command, once it has printed its address."""

    def __init__(self, project: Path, env: dict[str, str]) -> None:
        self._narration = project.parent / "narration"
        with self._narration.open("w") as stderr:
            self.process = subprocess.Popen(
                UP,
                cwd=project,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,
            )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().rstrip("\n")
        parts = urlsplit(self.url)
        assert parts.port, self.narration()
        self.port, self.token = parts.port, parts.path.strip("/")

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def narration(self) -> str:
        return self._narration.read_text()

    def tabs(self) -> list[psutil.Process]:
        """The processes of its tabs: each is the same command."""
        found = []
        for each in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error):  # it has just ended
                found += [each] if each.cmdline()[-2:] == UP[-2:] else []
        return found

    def ended(self) -> int:
        """Its exit code, when it has ended."""
        code = self.process.wait(timeout=PATIENCE)
        assert self.process.stdout is not None
        assert self.process.stdout.read() == "", "the address is all there is on stdout"
        return code

    def close(self) -> None:
        self.process.kill()
        self.process.wait(timeout=PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()


class Tab:
    """What the page's script has of a tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.text = ""
        """All that was drawn."""
        self.words: str | None = None
        """Why the server closed it."""

    async def send(self, *message: object) -> None:
        await self.socket.send_str(json.dumps(message))

    async def type(self, keys: str) -> None:
        await self.send("stdin", keys)

    async def sees(self, words: str) -> None:
        await self.until(lambda: words in ESCAPES.sub("", self.text), f"{words!r} is drawn")

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        while not condition():
            assert await self._take(), f"closed before {what}: {self.words}\n{self.text}"

    def widest(self) -> int:
        """Columns of the longest line that was drawn whole."""
        return max(len(ESCAPES.sub("", line)) for line in re.split(MOVES, self.text))

    async def closed(self) -> str | None:
        """Why it was closed; waits until it is."""
        while await self._take():
            pass
        return self.words

    async def _take(self) -> bool:
        message = await self.socket.receive(timeout=PATIENCE)
        if message.type is aiohttp.WSMsgType.BINARY:
            self.text += message.data.decode()
            return True
        self.words = message.extra
        return False


@asynccontextmanager
async def opened(url: str, columns: int = 80, lines: int = 24) -> AsyncIterator[Tab]:
    """A tab, which is closed with the block."""
    parts = urlsplit(url)
    address = f"ws://{parts.netloc}{parts.path}socket?width={columns}&height={lines}"
    origin = f"http://{parts.netloc}"
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(address, origin=origin, max_msg_size=0) as socket,
    ):
        yield Tab(socket)


def answer(port: int, *lines: str) -> bytes:
    """What comes back for a request of those lines, but for the date and who ends it."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as asking:
        asking.sendall("\r\n".join([*lines, "", ""]).encode())
        found = b""
        while piece := asking.recv(1 << 16):
            found += piece
    return re.sub(rb"\r\n(Date|Connection): [^\r]*", b"", found)


def none_is_left(processes: list[psutil.Process]) -> None:
    """Wait until they have ended."""
    world.eventually(lambda: all(map(world.has_ended, processes)), "the end of the tabs")
