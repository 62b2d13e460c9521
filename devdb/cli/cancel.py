"""Cancelling a start: a signal is honoured between two steps, so that the undo is never cut."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_PATIENCE = 3


@contextmanager
def cancellable(items: Iterator[T]) -> Iterator[Iterator[T]]:
    """Iterate `items` inside; SIGINT, SIGTERM or SIGHUP closes it and raises KeyboardInterrupt.

    The iterator yields at least every 0.3 s, so that is how long a signal waits for its step.
    A second signal does not cut the undo short; the third one does, for a step that hangs.
    A signal that was ignored before (nohup) stays ignored.
    """
    caught: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        caught.append(number)
        if len(caught) >= _PATIENCE:
            raise KeyboardInterrupt

    def watched() -> Iterator[T]:
        for item in items:
            yield item
            if caught:
                raise KeyboardInterrupt

    before = {each: signal.getsignal(each) for each in _SIGNALS}
    for each, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(each, remember)
    try:
        yield watched()
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()
        for each, handler in before.items():
            signal.signal(each, handler)
