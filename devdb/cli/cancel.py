"""Cancelling a start: a signal is honoured between two steps, so that the undo is never cut."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Generic, TypeVar

T = TypeVar("T")

_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_PATIENCE = 3


class Watched(Generic[T]):
    """Items to iterate, and the signals that came meanwhile."""

    def __init__(self, items: Iterator[T], is_last_chance: Callable[[T], bool]) -> None:
        self._items = items
        self._is_last_chance = is_last_chance
        self._caught = 0

    @property
    def cancelled(self) -> bool:
        """Whether somebody wants it to end."""
        return self._caught > 0

    @property
    def cut_short(self) -> bool:
        """Whether they insisted, so that not even the undo was waited for."""
        return self._caught >= _PATIENCE

    def take(self, _number: int, _frame: FrameType | None) -> None:
        """A signal came."""
        self._caught += 1
        if self.cut_short:
            raise KeyboardInterrupt

    def __iter__(self) -> Iterator[T]:
        """The items; raises KeyboardInterrupt after one that a signal came before."""
        is_late = False
        for item in self._items:
            yield item
            is_late = is_late or self._is_last_chance(item)
            if self.cancelled and not is_late:
                raise KeyboardInterrupt


@contextmanager
def cancellable(items: Iterator[T], *, is_last_chance: Callable[[T], bool]) -> Iterator[Watched[T]]:
    """Iterate `items` inside; SIGINT, SIGTERM or SIGHUP closes it and raises KeyboardInterrupt.

    From the item on for which `is_last_chance` holds it is too late for that: then `cancelled` is
    for the block to look at, to whose end signals only are noted. The iterator yields at least
    every 0.3 s, so that is how long a signal waits for its step. A second signal does not cut the
    undo short; the third one does, for a step that hangs. A signal that was ignored before (nohup)
    stays ignored.
    """
    watched = Watched(items, is_last_chance)
    before = {each: signal.getsignal(each) for each in _SIGNALS}
    for each, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(each, watched.take)
    try:
        yield watched
    finally:
        try:
            close = getattr(items, "close", None)
            if close is not None:
                close()
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)
