"""Looks at a running instance about once a second, in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from textual.message import Message

from devdb import temporary
from devdb.engines.vitals import Health
from devdb.errors import DevdbError
from devdb.model import LogLine, PartState, Spec
from devdb.temporary import TemporaryDatabase
from devdb.tui.messages import Looked
from devdb.workspace import instances
from devdb.workspace.instances import Instance
from devdb.workspace.pulse import Pulse

INTERVAL = 1.0
TEMPORARIES_EVERY = 5.0
"""Seconds; asking for them takes a login, and their countdowns run by themselves."""
LAST_WORDS = 8


class Watch:
    """Posts a Looked for each look, but no second one before the first was taken.

    The thread is a daemon: an engine that hangs must not keep the user from leaving.
    """

    def __init__(self, spec: Spec, post: Callable[[Message], object]) -> None:
        self._spec = spec
        self._post = post
        self._pulse = Pulse(spec)
        self._stopped = False
        self._wake = threading.Event()
        self._taken = threading.Event()
        self._taken.set()
        self._down: frozenset[str] = frozenset()
        self._last_words: tuple[LogLine, ...] = ()
        self._temporaries: tuple[TemporaryDatabase, ...] | None = None
        self._temporaries_due = 0.0

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._keep_looking, name="devdb-watch", daemon=True).start()

    def stop(self) -> None:
        """Look no more; a look that is under way is not waited for."""
        self._stopped = True
        self._wake.set()

    def taken(self) -> None:
        """The last Looked was dealt with; the next one may come."""
        self._taken.set()

    def hurry(self) -> None:
        """Look at once, at everything: something was changed."""
        self._temporaries_due = 0.0
        self._wake.set()

    def _keep_looking(self) -> None:
        try:
            while not self._stopped:
                self._wake.clear()
                seen = self._look()
                if self._taken.is_set() and not self._stopped:
                    self._taken.clear()
                    self._post(seen)
                self._wake.wait(INTERVAL)
        finally:
            # Also when the app that it posts to has ended meanwhile.
            self._pulse.close()

    def _look(self) -> Looked:
        instance, health = self._pulse.look()
        return Looked(
            instance=instance,
            health=health,
            last_words=self._ask_last_words(instance),
            temporaries=self._ask_temporaries(health),
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
            said = instances.logs(self._spec, tail=LAST_WORDS, follow=False)
            return [line for line in said if line is not None]
        except DevdbError as error:
            return [LogLine(part=part, text=error.message) for part in self._down]

    def _ask_temporaries(self, health: Health | None) -> tuple[TemporaryDatabase, ...] | None:
        if health is None or health.postgres is None:
            self._temporaries_due = 0.0
            return None
        now = time.monotonic()
        if now >= self._temporaries_due:
            self._temporaries_due = now + TEMPORARIES_EVERY
            try:
                self._temporaries = tuple(temporary.every(self._spec))
            except DevdbError:
                self._temporaries = None
        return self._temporaries
