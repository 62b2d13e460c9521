"""An attempt to start an instance, taken back in engines that keep what they started."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from threading import Event
from typing import Any, TypeVar

from devdb.engines.refusal import LetsNobodyIn
from devdb.engines.waiting import begin
from devdb.errors import TimedOut
from devdb.model import Progress

T = TypeVar("T")
_PATIENCE = 60
"""Seconds to wait for calls under way before their results are removed."""


class Undoable(ABC):
    """One that is undone where it ends, or is closed, before it is ready."""

    def __init__(self) -> None:
        self._is_ready = False
        self._given_up = Event()
        self._work: list[Future[Any]] = []

    def run(self) -> Iterator[Progress]:
        """All steps from PREPARE to READY."""
        try:
            yield from self._to_ready()
        except BaseException as error:
            if not self._is_ready:
                self._give_up()
                # Slow is not broken: a long crash recovery would only begin anew. And who is
                # refused can mend that only while the server runs.
                self._take_back(stop_started=not isinstance(error, (TimedOut, LetsNobodyIn)))
            raise
        finally:
            # What goes on after READY goes on no longer than this process.
            self._give_up()

    def _begin(self, function: Callable[[], T]) -> Future[T]:
        """Call it in a thread; what it makes is waited for before anything is undone."""
        future = begin(function)
        self._work.append(future)
        return future

    def _give_up(self) -> None:
        self._given_up.set()
        wait(self._work, timeout=_PATIENCE)

    @abstractmethod
    def _to_ready(self) -> Iterator[Progress]:
        """Those steps; sets `_is_ready` before the last."""

    @abstractmethod
    def _take_back(self, *, stop_started: bool) -> None:
        """Undo what is new, stop what was started; the error that led here is the one to tell."""
