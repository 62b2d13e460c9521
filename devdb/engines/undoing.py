"""When an attempt to start an instance is taken back, in engines that keep what they started."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from devdb.engines.refusal import LetsNobodyIn
from devdb.errors import TimedOut


class Undoable(Protocol):
    """An attempt that can be taken back."""

    is_ready: bool

    def take_back(self, *, stop_started: bool) -> None:
        """Undo what is new, stop what was started; the error that led here is the one to tell."""


@contextmanager
def unless_ready(attempt: Undoable) -> Iterator[None]:
    """Take it back where it ends, or is closed, before it is ready."""
    try:
        yield
    except (TimedOut, LetsNobodyIn):
        # Slow is not broken: a long crash recovery would only begin anew. And who is refused can
        # mend that only while the server runs.
        attempt.take_back(stop_started=False)
        raise
    except BaseException:
        if not attempt.is_ready:
            attempt.take_back(stop_started=True)
        raise
