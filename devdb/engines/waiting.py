"""Slow calls in threads of their own, while the generator that waits for them gives heartbeats."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, TypeVar

from devdb.model import Progress

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")
HEARTBEAT = 0.15
"""Seconds; the protocol allows 0.3, and a loaded machine wakes threads late."""


def begin(function: Callable[[], T]) -> Future[T]:
    """Call it in a thread that does not keep the process alive: a hung engine may never answer."""
    from concurrent.futures import Future  # it imports logging, for who waits for nothing

    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def attend(future: Future[T], beat: Progress | None) -> Generator[Progress, None, T]:
    """The future's result; meanwhile `beat` again and again, where there is something to say."""
    from concurrent.futures import wait

    while not wait([future], timeout=HEARTBEAT).done:
        if beat is not None:
            yield beat
    return future.result()


def together(*functions: Callable[[], object]) -> None:
    """Call them side by side; raises the first one's error that failed, after all have ended."""
    from concurrent.futures import wait

    futures = [begin(function) for function in functions]
    wait(futures)
    for future in futures:
        future.result()
