"""Signals while an instance starts: noted, to be looked at between two steps."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_PATIENCE = 3


class Noted:
    """In its block SIGINT, SIGTERM and SIGHUP are counted; the third raises KeyboardInterrupt.

    That is for a step that hangs. A signal that was ignored before (nohup) stays ignored.
    """

    def __init__(self) -> None:
        self._count = 0
        self._before: dict[signal.Signals, Any] = {}

    def came(self) -> bool:
        """Whether somebody wants it to end."""
        return self._count > 0

    def insisted(self) -> bool:
        """Whether they did so until not even the undo was waited for."""
        return self._count >= _PATIENCE

    def __enter__(self) -> Noted:
        self._before = {each: signal.getsignal(each) for each in _SIGNALS}
        for each, handler in self._before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(each, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: object, trace: TracebackType | None
    ) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        self._count += 1
        if self.insisted():
            raise KeyboardInterrupt
