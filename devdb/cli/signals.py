"""Signals while devdb is at work: noted between two steps, or an end that is tidied up."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_PATIENCE = 3
_TIDY_SECONDS = 5.0
_OWN = ("KILL", "STOP", "ILL", "TRAP", "ABRT", "BUS", "FPE", "SEGV", "SYS")
"""What no process can wait for, and what it does to itself."""


def from_others() -> set[signal.Signals | int]:
    """The signals by which somebody may want something; none that was ignored before (nohup)."""
    own = {getattr(signal, f"SIG{name}", None) for name in _OWN}
    return {
        each
        for each in signal.valid_signals() - own
        if signal.getsignal(each) is not signal.SIG_IGN or each == signal.SIGCHLD
    }


def no_action(_number: int, _frame: FrameType | None) -> None:
    """A handler, where any is better than none."""


class _Handled:
    """Signals whose handlers are as they were after its block.

    One that was ignored before (nohup) stays ignored.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}

    def _handle(self, signals: Iterable[int], handler: Any) -> None:
        for each in signals:
            if signal.getsignal(each) is not signal.SIG_IGN:
                before = signal.signal(each, handler)
                self._before.setdefault(each, before)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: object, trace: TracebackType | None
    ) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)


class Noted(_Handled):
    """In its block SIGINT, SIGTERM and SIGHUP are counted; the third raises KeyboardInterrupt.

    That is for a step that hangs.
    """

    def __init__(self) -> None:
        super().__init__()
        self._count = 0

    def came(self) -> bool:
        """Whether somebody wants it to end."""
        return self._count > 0

    def insisted(self) -> bool:
        """Whether they did so until not even the undo was waited for."""
        return self._count >= _PATIENCE

    def __enter__(self) -> Self:
        self._handle(_SIGNALS, self._take)
        return self

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        self._count += 1
        if self.insisted():
            raise KeyboardInterrupt


class Ending(_Handled):
    """In its block the first SIGINT, SIGTERM or SIGHUP raises KeyboardInterrupt.

    While something is taken back after that, or since `tidy`, more of them do nothing for some
    seconds, and then cut it short; other signals do nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self._tidying: float | None = None

    def tidy(self) -> None:
        """From now on something is taken back."""
        self._tidying = time.monotonic()
        # Not those that stop a job: who writes from the background is asked again and again then.
        stopping = {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
        others = from_others() - self._before.keys() - stopping
        self._handle([each for each in others if _is_default(each)], no_action)

    def __enter__(self) -> Self:
        self._handle(_SIGNALS, self._take)
        return self

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        if self._tidying is None:
            self.tidy()
        elif time.monotonic() - self._tidying < _TIDY_SECONDS:
            return
        raise KeyboardInterrupt


class Closing(_Handled):
    """In its block SIGTERM and SIGHUP end the process as an exception does: what is open is closed.

    The exit code is a shell's for them, 128 and the number.
    """

    def __enter__(self) -> Self:
        self._handle([each for each in _SIGNALS if each != signal.SIGINT], self._take)
        return self

    def _take(self, number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)


def _is_default(number: int) -> bool:
    return signal.getsignal(number) is signal.SIG_DFL
