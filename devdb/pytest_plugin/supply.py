"""Clones of one template, made ahead: the next one while a test runs; threads of their own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from devdb.databases.cloning import Clone
from devdb.errors import DevdbError, DiskFull, EngineUnavailable

_POLL = 0.05
_TRIES = 300
"""Not a time by the clock: tests set that (freezegun)."""
_PAUSE = threading.Event()
"""Never set: waiting for it is a pause, whatever tests make of `time.sleep`."""


class Maker(Protocol):
    """What makes clones and does away with them; for one thread."""

    def make(self) -> Clone: ...  # noqa: D102
    def end_sessions(self, clone: Clone, *, pooled: bool) -> None: ...  # noqa: D102
    def keep(self, clone: Clone) -> None: ...  # noqa: D102
    def release(self, clones: Sequence[Clone]) -> None: ...  # noqa: D102
    def drop(self, clones: Sequence[Clone]) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class Supply:
    """Hands out clones, and takes them back.

    What was handed back stays there up to `room` bytes in all: dropping takes as long as making,
    and nobody waits for it.
    """

    def __init__(
        self,
        begin: Callable[[], Maker],
        *,
        threads: int,
        room: int,
        is_short: Callable[[], bool],
        relieve: Callable[[], None],
    ) -> None:
        """`is_short` tells whether there is no room, whatever was thought before; `relieve` frees
        what is needed to drop something where no byte is left."""
        self._begin = begin
        self._room = room
        self._is_short_of_room = is_short
        self._relieve = relieve
        self._has_no_room = False
        self._changed = threading.Condition()
        self._ready: deque[Clone] = deque()
        self._making = 0
        self._wanted = threads
        self._takers = 0
        self._failed: DevdbError | None = None
        """Why the last one could not be made; nothing is made ahead until somebody asks again."""
        self._jobs: deque[Callable[[Maker], None]] = deque()
        self._left: deque[Clone] = deque()
        self._kept: set[str] = set()
        self._closing = False
        self._tries = _TRIES
        """That are left to find a server that went away back again."""
        self._threads = [
            threading.Thread(target=self._work, name=f"devdb-clones-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def take(self) -> Clone:
        """A clone that nobody had; waits for it where none is ready. Raises DevdbError."""
        with self._changed:
            if not self._ready:
                self._failed = None
                self._takers += 1
                try:
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._ready or self._failed)
                finally:
                    self._takers -= 1
            if not self._ready:
                assert self._failed is not None
                raise self._failed
            clone = self._ready.popleft()
            self._changed.notify_all()
            return clone

    def leave(self, clone: Clone, *, pooled: bool) -> None:
        """The test is done with it: its sessions end, and it goes when there is no room for it."""

        def end(maker: Maker) -> None:
            # Its sessions would be in the way of dropping it, too.
            maker.end_sessions(clone, pooled=pooled)
            self._has_no_room = self._is_short_of_room()
            with self._changed:
                if clone.name not in self._kept:
                    self._left.append(clone)

        self._do(end)

    def keep(self, clone: Clone) -> None:
        """Nothing drops this one before its time."""
        self._kept.add(clone.name)
        self._do(lambda maker: maker.keep(clone))

    def close(self) -> None:
        """Do what is left to be done, and end the threads. The clones that nobody keeps are due."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _do(self, job: Callable[[Maker], None]) -> None:
        with self._changed:
            self._jobs.append(job)
            self._changed.notify_all()

    def _work(self) -> None:
        maker = self._begin()
        try:
            while self._step(maker):
                pass
        finally:
            maker.close()

    def _step(self, maker: Maker) -> bool:
        """Do what is to be done first; whether there may be more."""
        with self._changed:
            self._changed.wait_for(self._has_work)
            makes = self._is_short() and (self._takers > 0 or not self._jobs)
            job = self._jobs.popleft() if not makes and self._jobs else None
            dropped = [] if makes or job is not None else self._too_many()
            if makes:
                self._making += 1
        if makes:
            self._make(maker)
        elif job is not None:
            with suppress(DevdbError):
                job(maker)
        elif dropped:
            with suppress(DevdbError):
                maker.drop(dropped)
        else:
            self._release(maker)
            return False
        return True

    def _has_work(self) -> bool:
        return self._closing or bool(self._jobs) or self._is_short() or self._is_full()

    def _is_short(self) -> bool:
        ahead = len(self._ready) + self._making
        return not self._closing and self._failed is None and ahead < self._wanted

    def _is_full(self) -> bool:
        size = sum(clone.size for clone in self._left)
        return bool(self._left) and (self._has_no_room or size > self._room)

    def _too_many(self) -> list[Clone]:
        """The oldest one that is too much, taken off the list."""
        return [self._left.popleft()] if self._is_full() else []

    def _make(self, maker: Maker) -> None:
        clone, failed = None, None
        try:
            clone = self._made(maker)
        except DevdbError as error:
            failed = error
        except BaseException as error:  # noqa: BLE001 - a thread's end must not leave a test waiting
            failed = DevdbError(f"A database could not be made: {error!r}.", "Run the tests again.")
        with self._changed:
            self._making -= 1
            self._failed = failed
            if clone is not None:
                self._ready.append(clone)
            self._changed.notify_all()

    def _made(self, maker: Maker) -> Clone:
        """A new one, waited for where the server is about to come back: one that a test made crash
        has a second of work to do."""
        while True:
            try:
                clone = self._made_in_room(maker)
            except EngineUnavailable:
                self._tries -= 1
                if self._tries <= 0 or self._closing:
                    raise
                _PAUSE.wait(_POLL)
            else:
                self._tries = _TRIES
                return clone

    def _made_in_room(self, maker: Maker) -> Clone:
        try:
            return maker.make()
        except DiskFull:
            with self._changed:
                left = list(self._left)
                self._left.clear()
            if not left:
                raise
            self._relieve()
            maker.drop(left)
            return maker.make()

    def _release(self, maker: Maker) -> None:
        """What was made and is not kept: the instance's reaper drops it, where there is room."""
        with self._changed:
            due = [*self._ready, *self._left]
            self._ready.clear()
            self._left.clear()
        if due:
            with suppress(DevdbError):
                if self._is_short_of_room():
                    maker.drop(due)
                else:
                    maker.release(due)
