"""Looks at a running instance about once a second, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

from textual.message import Message

from devdb import workspace
from devdb.errors import DevdbError
from devdb.model import LogLine, PartState, Spec
from devdb.tui.messages import Seen
from devdb.workspace import Instance, State
from devdb.workspace.instances import engine_of

INTERVAL = 1.0
LAST_WORDS = 8


class Watch:
    """Posts a Seen for each look, but no second one before the first was taken.

    The thread is a daemon: an engine that hangs must not keep the user from leaving.
    """

    def __init__(self, spec: Spec, post: Callable[[Message], object]) -> None:
        self._spec = spec
        self._post = post
        self._stopped = threading.Event()
        self._taken = threading.Event()
        self._taken.set()
        self._down: frozenset[str] = frozenset()
        self._last_words: tuple[LogLine, ...] = ()

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._run, name="devdb-watch", daemon=True).start()

    def stop(self) -> None:
        """Look no more; a look that is under way is not waited for."""
        self._stopped.set()

    def taken(self) -> None:
        """The last Seen was dealt with; the next one may come."""
        self._taken.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            seen = self._look()
            if self._taken.is_set() and not self._stopped.is_set():
                self._taken.clear()
                self._post(seen)
            self._stopped.wait(INTERVAL)

    def _look(self) -> Seen:
        instance = workspace.find(self._spec)
        running = instance.state == State.RUNNING
        return Seen(
            instance=instance,
            health=workspace.health(self._spec) if running else None,
            last_words=self._ask_last_words(instance),
        )

    def _ask_last_words(self, instance: Instance) -> tuple[LogLine, ...]:
        """The last log lines of the parts that died; asked once for each death."""
        parts = instance.server.parts if instance.server else ()
        down = frozenset(part.name for part in parts if part.state == PartState.DEAD)
        if down != self._down:
            self._down = down
            self._last_words = tuple(line for line in self._logs() if line.part in down)
        return self._last_words

    def _logs(self) -> list[LogLine]:
        try:
            engine = engine_of(self._spec)
            return list(engine.logs(self._spec.name, tail=LAST_WORDS, follow=False))
        except DevdbError as error:
            return [LogLine(part=part, text=error.message) for part in self._down]
