"""The connections of an instance's HTTP requests: how many there are, and which are kept."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

from devdb.gateway.answers import Result
from devdb.gateway.login import cancel, log_in
from devdb.gateway.parameters import Login, Statement
from devdb.gateway.target import Target
from devdb.gateway.upstream import Failed, Gone, Unstarted, Upstream
from devdb.model import HOST, USER, PoolMode
from devdb.wire import framing

MOST = 20
"""Connections, or half of what the server takes where that is less: who ends one that it had has
not always gone when the next one comes."""
IDLE = 2.0
"""Seconds that a connection is kept for a next request, twice as long at most. `DROP DATABASE`, and
whatever else wants a database for itself, waits 5 s for others to leave."""
AGE = 60.0
"""Seconds after which a connection is not kept any more, however busy: it goes by what it found at
its login, such as a role's settings and its password."""
LOGIN = 20.0
"""Seconds for a login. PgBouncer lets somebody wait 15 s for a connection to Postgres."""
CANCEL = 5.0
"""Seconds for a server to take note that a query is to end; `CLOSE`: for all of them together."""
CLOSE = 1.0
_LOOK = 1.0

_RESET = framing.simple(b"DISCARD ALL")


@dataclass(frozen=True, slots=True)
class _Key:
    port: int
    login: Login


@dataclass(slots=True, eq=False)
class _Connection:
    upstream: Upstream
    opened: float
    since: float = 0.0
    """When it was last given back; both by the monotonic clock, in seconds."""


class Unreachable(Exception):
    """Nobody listens, or who did has gone before we were in."""


class Silent(Exception):
    """We were not let in in time."""


class Closed(Exception):
    """The gateway ends, and the query with it."""


class Pool:
    """Runs requests, as many at once as the instance can bear; the others wait in their order.

    Connections are kept for the instance's own role alone: what lets others in may end, and has to
    be asked each time. They are kept by name *and password*: who has a wrong one finds none.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._most = max(1, min(MOST, target.max_connections // 2))
        self._gate = asyncio.Semaphore(self._most)
        self._running = 0
        self._has_ended = asyncio.Event()
        self._busy: set[Upstream] = set()
        self._kept: dict[_Key, list[_Connection]] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def run(
        self, login: Login, port: int, statements: Sequence[Statement], begin: bytes | None
    ) -> list[Result]:
        """Run them on a connection to that port of the instance.

        Raises what Upstream.run() raises; Denied, Unreachable, Silent and wire.Stranger where there
        is no login; Closed. Whoever is cancelled has the query cancelled.
        """
        key = _Key(port, login)
        await self._gate.acquire()
        self._running += 1
        connection = None
        is_left = False
        try:
            if connection := self._take(key):
                try:
                    return await self._ask(key, connection, statements, begin)
                except Unstarted:
                    # It ended on the way there. Of what PgBouncer says one cannot know that: it
                    # may have passed the request on.
                    if port != self._target.direct:
                        raise
                    connection.upstream.close()
                    connection = None
            connection = await self._open(key)
            return await self._ask(key, connection, statements, begin)
        except (Failed, Gone):
            raise
        except BaseException:
            is_left = connection is not None
            raise
        finally:
            if connection is not None and is_left:
                leaving = asyncio.create_task(self._leave(key, connection))
                self._leaving.add(leaving)
                leaving.add_done_callback(self._leaving.discard)
            else:
                if connection is not None:
                    self._give_back(key, connection)
                self._release()

    async def is_down(self) -> bool:
        """Whether nobody listens where Postgres should."""
        try:
            async with asyncio.timeout(_LOOK):
                _, writer = await asyncio.open_connection(HOST, self._target.direct)
        except TimeoutError:
            return False
        except OSError:
            return True
        writer.transport.abort()
        return False

    async def close(self) -> None:
        """End what runs and what is kept, in a second or two; nothing is run after that."""
        self._is_closed = True
        for upstream in self._busy:
            upstream.fail(Closed())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE):
                while self._running:
                    self._has_ended.clear()
                    await self._has_ended.wait()
        for leaving in self._leaving:
            leaving.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection in self._oldest_first():
            connection.upstream.close()
        self._kept.clear()

    async def _ask(
        self,
        key: _Key,
        connection: _Connection,
        statements: Sequence[Statement],
        begin: bytes | None,
    ) -> list[Result]:
        upstream = connection.upstream
        if self._is_closed:
            raise Closed
        self._busy.add(upstream)
        try:
            is_own = key.port == self._target.direct and self._keeps(key)
            reset = _RESET if is_own else b""
            return await upstream.run(statements, begin=begin, reset=reset)
        finally:
            self._busy.remove(upstream)

    def _keeps(self, key: _Key) -> bool:
        """Whether a connection like that is kept.

        Where PgBouncer pools sessions, a client that it has is one less for all others.
        """
        return key.login.user == USER and (
            key.port == self._target.direct or self._target.pool_mode == PoolMode.TRANSACTION
        )

    def _take(self, key: _Key) -> _Connection | None:
        kept = self._kept.get(key, [])
        while kept:
            connection = kept.pop()
            if not kept:
                del self._kept[key]
            if connection.upstream.is_quiet:
                return connection
            connection.upstream.close()
        return None

    async def _open(self, key: _Key) -> _Connection:
        kept = self._oldest_first()
        for connection in kept[: max(0, self._running + len(kept) - self._most)]:
            connection.upstream.close()
            self._forget(connection)
        try:
            async with asyncio.timeout(LOGIN):
                link = await log_in(key.port, key.login.parameters, key.login.password)
        except TimeoutError:
            raise Silent from None
        except OSError:
            raise Unreachable from None
        return _Connection(await Upstream.over(link), time.monotonic())

    def _give_back(self, key: _Key, connection: _Connection) -> None:
        now = time.monotonic()
        is_good = connection.upstream.is_reusable and now - connection.opened < AGE
        if self._is_closed or not is_good or not self._keeps(key):
            connection.upstream.close()
            return
        connection.since = now
        self._kept.setdefault(key, []).append(connection)
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(IDLE, self._sweep)

    def _sweep(self) -> None:
        """Close what was kept for long enough; comes again as long as anything is kept."""
        latest = time.monotonic() - IDLE
        for connection in self._oldest_first():
            if connection.since <= latest or not connection.upstream.is_quiet:
                connection.upstream.close()
                self._forget(connection)
        self._sweeping = None
        if self._kept:
            self._sweeping = asyncio.get_running_loop().call_later(IDLE, self._sweep)

    def _oldest_first(self) -> list[_Connection]:
        kept = (connection for each in self._kept.values() for connection in each)
        return sorted(kept, key=lambda connection: connection.since)

    def _forget(self, gone: _Connection) -> None:
        for key, kept in list(self._kept.items()):
            if gone in kept:
                kept.remove(gone)
                if not kept:
                    del self._kept[key]

    async def _leave(self, key: _Key, connection: _Connection) -> None:
        """Have the server stop, then close; its place is taken until then."""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CANCEL):
                    await cancel(key.port, connection.upstream.key)
        finally:
            connection.upstream.close()
            self._release()

    def _release(self) -> None:
        self._running -= 1
        self._gate.release()
        self._has_ended.set()
