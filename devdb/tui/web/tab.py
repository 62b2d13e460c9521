"""The process behind one tab, as the server has it: keys in, what is to be drawn out."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress

PRELUDE = b"__GANGLION__\n"
"""What Textual's driver for the web begins with; before it may be anything."""
DATA, META = b"D", b"M"
LARGEST = {"width": 1000, "height": 500}
"""Columns and lines: what no screen has more of."""
PATIENCE = 5.0
"""Seconds for a process whose input has ended, before it is sent what a terminal's end sends."""
_LAST_LINES = 20

Size = dict[str, int]


def size(given: object) -> Size | None:
    """Width and height in cells, as a page tells them, within bounds; None where it tells none."""
    if not isinstance(given, Mapping):
        return None
    found = {}
    for key, most in LARGEST.items():
        try:
            found[key] = max(1, min(most, int(given[key])))
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
    return found


class Tab:
    """A dashboard of its own in a process of its own, which ends when its input does."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._complaint: deque[str] = deque(maxlen=_LAST_LINES)
        self._listening = asyncio.create_task(self._listen())
        self._ended = asyncio.create_task(self._wait())

    @classmethod
    async def open(cls, argv: Sequence[str], environment: Mapping[str, str], size: Size) -> Tab:
        """Start one; raises OSError."""
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**environment, "COLUMNS": str(size["width"]), "ROWS": str(size["height"])},
            # Ctrl-C in the terminal of the command is the command's.
            start_new_session=True,
        )
        return cls(process)

    @property
    def complaint(self) -> tuple[str, ...]:
        """The last lines it wrote to stderr."""
        return tuple(self._complaint)

    async def drawn(self) -> AsyncIterator[bytes]:
        """What its terminal is to be sent, until the process has ended or can say no more."""
        assert self._process.stdout is not None
        read = self._process.stdout
        broken = (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError)
        with suppress(*broken):
            await read.readuntil(PRELUDE)
            while True:
                kind = await read.readexactly(1)
                payload = await read.readexactly(int.from_bytes(await read.readexactly(4), "big"))
                # The rest is what Textual's own server does: deliver files, open other pages.
                if kind == DATA:
                    yield payload

    async def take(self, message: str) -> bool:
        """Hand on what the page sent; False for what no page of ours sends."""
        try:
            kind, *rest = json.loads(message)
        except (ValueError, TypeError, RecursionError):
            return False
        match kind, rest:
            case "stdin", [str(text)]:
                await self._send(DATA, text.encode("utf-8", "replace"))
            case "resize", [given] if wanted := size(given):
                await self._tell({"type": "resize", **wanted})
            case (("focus" | "blur"), []):
                await self._tell({"type": kind})
            case "ping", [_]:
                pass
            case _:
                return False
        return True

    def leave(self) -> None:
        """End its input: it ends as a dashboard does whose terminal is closed."""
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.close()
            asyncio.get_running_loop().call_later(PATIENCE, self._send_signal, signal.SIGHUP)

    def kill(self) -> None:
        """End it whatever it is at."""
        self._send_signal(signal.SIGKILL)

    async def ended(self) -> int:
        """Its exit code, when it has ended."""
        return await asyncio.shield(self._ended)

    async def _wait(self) -> int:
        code = await self._process.wait()
        # A process that it left behind may hold stderr open.
        await asyncio.wait([self._listening], timeout=1)
        self._listening.cancel()
        return code

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        with suppress(ValueError):  # a line without an end
            async for line in self._process.stderr:
                self._complaint.append(line.decode("utf-8", "replace").rstrip())

    async def _tell(self, what: Mapping[str, object]) -> None:
        await self._send(META, json.dumps(what).encode())

    async def _send(self, kind: bytes, payload: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(ConnectionError, RuntimeError):
            self._process.stdin.write(kind + len(payload).to_bytes(4, "big") + payload)
            await self._process.stdin.drain()

    def _send_signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)
