"""Slow work, waited for by generators that give a heartbeat meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from devdb.model import Progress

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")
HEARTBEAT = 0.15
"""Seconds; the protocol allows 0.3, and a loaded machine wakes threads late."""
Beats = Generator[None, None, T]
"""What takes a while: yields at least every `HEARTBEAT` seconds, then returns its result."""

Work = Generator[str | None, None, T]
"""The same of what takes minutes: it also yields, in a few words, what it is at now."""


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


def result(future: Future[T]) -> Beats[T]:
    """What comes of it; abandoned, it is left to itself."""
    from concurrent.futures import wait

    while not wait([future], timeout=HEARTBEAT).done:
        yield
    return future.result()


def beside(function: Callable[[], T]) -> Beats[T]:
    """Call it in a thread; abandoned, it is waited for all the same: nothing is left half done."""
    from concurrent.futures import wait

    future = begin(function)
    try:
        return (yield from result(future))
    finally:
        wait([future])


def told(progress: Progress | None, beats: Work[T]) -> Generator[Progress, None, T]:
    """The result of `beats`, each of which is told as this progress; None: there is none yet.

    What they say they are at is its detail from then on.
    """
    try:
        while True:
            at = next(beats)
            if progress is not None:
                progress = replace(progress, detail=at) if at else progress
                yield progress
    except StopIteration as done:
        value: T = done.value
        return value
    finally:
        beats.close()


def attend(future: Future[T], progress: Progress | None) -> Generator[Progress, None, T]:
    """What comes of it, told as this progress until then."""
    return told(progress, result(future))


def finished(beats: Generator[object, None, T]) -> T:
    """The result of `beats`, where nobody is to be told."""
    while True:
        try:
            next(beats)
        except StopIteration as done:
            value: T = done.value
            return value


def together(*functions: Callable[[], object]) -> None:
    """Call them side by side; raises the first one's error that failed, after all have ended."""
    from concurrent.futures import wait

    futures = [begin(function) for function in functions]
    wait(futures)
    for future in futures:
        future.result()
