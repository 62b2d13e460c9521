"""Saying on the terminal what is waited for, when that takes long; pytest captures all else."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PATIENCE = float(os.environ.get("_DEVDB_NOTICE", "60"))
"""Seconds after which it is said, and again after as many more."""


class Terminal:
    """The stderr that pytest itself has: to be made while nothing is captured."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        with suppress(OSError):
            self._descriptor = os.dup(2)

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Say, from time to time, that the body still waits for that."""
        done = threading.Event()

        def say() -> None:
            passed = 0.0
            while not done.wait(PATIENCE):
                passed += PATIENCE
                if self._descriptor is not None:
                    with suppress(OSError):
                        text = f"\ndevdb: waiting for {what} since {passed:g} s; Ctrl-C ends it\n"
                        os.write(self._descriptor, text.encode())

        thread = threading.Thread(target=say, name="devdb-notice", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
