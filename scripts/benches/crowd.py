"""Thousands of clients of one URL in one process: psycopg's would take it minutes to let in."""

from __future__ import annotations

import asyncio
import resource
import ssl
import struct
import time
from collections import Counter
from collections.abc import Iterable

from devdb.model import Endpoint
from devdb.wire import Refused, Scram

DEADLINE = 300
"""Seconds after which a crowd that is not in, or has no answer, has failed."""
_AT_ONCE = 200
"""Clients that log in at the same time; the listener's queue is 128 long."""
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)


def may_open(count: int) -> int:
    """Let this process have so many connections; how many of them it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 100
    if soft != resource.RLIM_INFINITY and soft < wanted:
        wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return min(count, wanted - 100)


class Client:
    """One client that is logged in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def log_in(cls, to: Endpoint, tls: ssl.SSLContext | None) -> Client:
        """Raises Refused, or OSError."""
        # Small buffers: it is the pooler's memory that is looked at.
        reader, writer = await asyncio.open_connection(to.host, to.port, limit=4096)
        client = cls(reader, writer)
        if tls is not None:
            writer.write(_SSL_REQUEST)
            if await reader.readexactly(1) != b"S":
                raise Refused("no TLS")
            await writer.start_tls(tls)
        words = b"".join(
            word.encode() + b"\0" for word in ("user", to.user, "database", to.database, "")
        )
        writer.write(struct.pack("!ii", len(words) + 8, 196608) + words)
        await client._prove(to.password)
        return client

    async def query(self, sql: str) -> None:
        """Run it and wait for its end; raises Refused, or OSError."""
        text = sql.encode() + b"\0"
        self._writer.write(b"Q" + struct.pack("!i", len(text) + 4) + text)
        await self._until(b"Z")

    def close(self) -> None:
        """Leave, without a word."""
        self._writer.transport.abort()

    async def _until(self, wanted: bytes) -> bytes:
        while True:
            head = await self._reader.readexactly(5)
            body = await self._reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)
            if head[:1] == b"E":
                parts = {part[:1]: part[1:] for part in body.split(b"\0") if part}
                raise Refused(parts.get(b"M", b"?").decode())
            if head[:1] == wanted:
                return body

    def _password(self, body: bytes) -> None:
        self._writer.write(b"p" + struct.pack("!i", len(body) + 4) + body)

    async def _prove(self, password: str) -> None:
        """Without looking at the server's own proof: this only makes load."""
        scram = Scram(password)
        await self._until(b"R")
        hello = scram.first()
        self._password(b"SCRAM-SHA-256\0" + struct.pack("!i", len(hello)) + hello)
        self._password(scram.answer((await self._until(b"R"))[4:]))
        await self._until(b"Z")


async def gather(
    to: Endpoint, count: int, *, tls: bool = False
) -> tuple[list[Client], Counter[str]]:
    """Let so many clients in; those that are, and what the others were told."""
    context = None
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    door, told, inside = asyncio.Semaphore(_AT_ONCE), Counter[str](), list[Client]()

    async def come() -> None:
        async with door:
            try:
                inside.append(await Client.log_in(to, context))
            except (Refused, OSError, EOFError) as error:
                told[str(error) or type(error).__name__] += 1

    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*(come() for _ in range(count)))
    return inside, told


async def ask(clients: Iterable[Client], sql: str) -> float:
    """Have all of them ask at once; seconds to the last answer."""
    begun = time.perf_counter()
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*(client.query(sql) for client in clients))
    return time.perf_counter() - begun


async def work(clients: Iterable[Client], sql: str, seconds: float) -> tuple[int, Counter[str]]:
    """Have each of them ask again and again; how many answers there were, and which errors."""
    end, done, told = time.monotonic() + seconds, 0, Counter[str]()

    async def go_on(client: Client) -> None:
        nonlocal done
        try:
            while time.monotonic() < end:
                await client.query(sql)
                done += 1
        except (Refused, OSError, EOFError) as error:
            told[str(error) or type(error).__name__] += 1

    async with asyncio.timeout(seconds + DEADLINE):
        await asyncio.gather(*(go_on(client) for client in clients))
    return done, told
