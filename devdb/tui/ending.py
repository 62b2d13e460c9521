"""How the dashboard ends: by a key, by a signal, or because its terminal is gone."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from devdb.errors import DevdbError, ExitCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What the dashboard leaves behind."""

    code: int = ExitCode.OK
    words: str = ""
    """For stderr, when the screen is gone."""
    error: DevdbError | None = None
    told: Collection[str] = ()
    """The instances that the words are about."""


def detached(name: str) -> Ending:
    """The instance is left running."""
    words = f"'{name}' runs on. devdb up comes back to it, devdb down {name} stops it."
    return Ending(words=words, told=(name,))


def stopped(name: str) -> Ending:
    """The instance is stopped."""
    words = f"'{name}' is stopped, its data is kept. devdb up starts it again."
    return Ending(words=words, told=(name,))


class Unfinished:
    """Counts the work that must be brought to its end before the process may go."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()

    @contextmanager
    def work(self) -> Iterator[None]:
        """Around such a piece of work, in the thread that does it."""
        with self._changed:
            self._count += 1
        try:
            yield
        finally:
            with self._changed:
                self._count -= 1
                self._changed.notify_all()

    def wait(self) -> None:
        """Return when none is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._count == 0)


class Interruptible(Protocol):
    """The app, as far as signals concern it."""

    def interrupt(self) -> None:
        """Ctrl-C."""

    def terminate(self) -> None:
        """Leave soon; stop nothing that is whole."""


@contextmanager
def leaving_at_signals(app: Interruptible, unfinished: Unfinished) -> Iterator[None]:
    """SIGINT is Ctrl-C, SIGTERM leaves, a hang-up ends the process when its work is done."""

    def hang_up(_number: int, _frame: FrameType | None) -> None:
        _without_terminal()
        threading.Thread(target=leave).start()

    def leave() -> None:
        unfinished.wait()
        # Not through the event loop: the thread that writes to the terminal may have died of
        # the hang-up, and whoever waits for it then waits forever.
        os._exit(128 + signal.SIGHUP)

    handlers = {
        "SIGINT": lambda _number, _frame: app.interrupt(),
        "SIGTERM": lambda _number, _frame: app.terminate(),
        "SIGHUP": hang_up,
    }
    known = {getattr(signal, name): handlers[name] for name in handlers if hasattr(signal, name)}
    before = {number: signal.signal(number, handler) for number, handler in known.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _without_terminal() -> None:
    """Point the standard streams nowhere: a terminal that hung up only has errors to give."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
