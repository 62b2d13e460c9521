"""Slow calls in threads of their own: what every engine, and who asks several, waits with."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")


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
