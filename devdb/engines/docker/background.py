"""Slow calls in threads of their own, while the generator that waits for them gives heartbeats."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future, wait
from typing import TypeVar

from devdb.engines.waiting import begin as begin
from devdb.model import Progress

T = TypeVar("T")
HEARTBEAT = 0.15
"""Seconds; the protocol allows 0.3, and a loaded machine wakes threads late."""


def attend(future: Future[T], beat: Progress | None) -> Generator[Progress, None, T]:
    """The future's result; meanwhile `beat` again and again, where there is something to say."""
    while not wait([future], timeout=HEARTBEAT).done:
        if beat is not None:
            yield beat
    return future.result()


def together(*functions: Callable[[], object]) -> None:
    """Call them side by side; raises the first one's error that failed, after all have ended."""
    futures = [begin(function) for function in functions]
    wait(futures)
    for future in futures:
        future.result()
