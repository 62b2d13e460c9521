"""Looks at a running instance about once a second, in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from textual.message import Message

from devdb import marker
from devdb.engines.vitals import Health
from devdb.errors import DevdbError
from devdb.model import LogLine, PartState, Spec
from devdb.tui.messages import Looked
from devdb.workspace import gateway, instances
from devdb.workspace.databases import Database, Databases
from devdb.workspace.envwatch import EnvWatch
from devdb.workspace.instances import Instance
from devdb.workspace.pulse import Pulse

INTERVAL = 1.0
DATABASES_EVERY = 5.0
"""Seconds; their countdowns run by themselves."""
OWN_SESSIONS = 2
"""The look's, and the one that is asked for databases."""
LAST_WORDS = 60
"""Log lines that are asked for; of them those are shown that were written since the start."""


class Watch:
    """Posts a Looked for each look, but no second one before the first was taken.

    The thread is a daemon: an engine that hangs must not keep the user from leaving.
    """

    def __init__(
        self, spec: Spec, post: Callable[[Message], object], env: EnvWatch | None = None
    ) -> None:
        self._spec = spec
        self._ways_in = _ways_in(spec)
        self._env = env
        self._post = post
        self._pulse = Pulse(spec)
        self._stopped = False
        self._wake = threading.Event()
        self._taken = threading.Event()
        self._taken.set()
        self._down: frozenset[str] = frozenset()
        self._last_words: tuple[LogLine, ...] = ()
        self._listing = Databases(spec)
        self._databases: tuple[Database, ...] | None = None
        self._databases_due = 0.0

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
        self._databases_due = 0.0
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
            self._listing.close()

    def _look(self) -> Looked:
        instance, health, look = self._pulse.look()
        is_ready = health is not None and health.ready
        marked = self._marked()
        if marked is not None:
            spec = replace(instance.spec, http_port=marked.http_port)
            instance = replace(instance, spec=spec, gateway=gateway.part(spec))
        if marked is None and instance.server is None and instance.trouble is None:
            instance = replace(instance, is_marked=False)
        return Looked(
            instance=instance,
            health=health,
            look=look,
            last_words=self._ask_last_words(instance),
            databases=self._ask_databases(health),
            env=self._env.look(running=is_ready) if self._env is not None else None,
            moved=marked if marked is not None and _ways_in(marked) != self._ways_in else None,
        )

    def _marked(self) -> Spec | None:
        """What the marker says now; as it was where it cannot be read."""
        try:
            return marker.load(self._spec.name)
        except DevdbError:
            return self._spec

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

    def _ask_databases(self, health: Health | None) -> tuple[Database, ...] | None:
        if health is None or health.postgres is None:
            self._databases_due = 0.0
            return None
        if health.postgres.connections + OWN_SESSIONS >= health.postgres.max_connections:
            # The last one is an app's; what there is is known from before.
            self._listing.close()
            return self._databases
        now = time.monotonic()
        if now >= self._databases_due:
            self._databases_due = now + DATABASES_EVERY
            try:
                self._databases = self._listing.every()
            except DevdbError:
                self._databases = None
        return self._databases


def _ways_in(spec: Spec) -> tuple[int, int, str]:
    return spec.port, spec.pool_port, spec.password
