"""How an instance is, asked again and again: cheaper than `find` and `health` each time."""

from __future__ import annotations

import time

from devdb.engines import Engine
from devdb.engines.vitals import Health, Vitals
from devdb.errors import DevdbError
from devdb.model import Spec
from devdb.monitor.look import NOTHING, Look
from devdb.workspace.instances import Instance, engine_of

FIND_EVERY = 3.0
"""Seconds from one question to the engine to the next, while both servers answer."""


class Pulse:
    """Keeps the engine and what asks the servers; for one thread."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._engine: Engine | None = None
        self._vitals: Vitals | None = None
        self._found: Instance | None = None
        self._found_at = 0.0

    def look(self) -> tuple[Instance, Health | None, Look]:
        """As `find` and `health`, and what goes on; no health where not both servers run.

        Servers that answer over connections that were kept have not died: then the engine is
        asked less often.
        """
        before, answer = self._found, None
        if before is not None and time.monotonic() - self._found_at < FIND_EVERY:
            answer = self._ask(before)
            if answer[1].has_both:
                return before, *answer
        found = self._found = self._find()
        self._found_at = time.monotonic()
        return found, *(answer if answer and found == before else self._ask(found))

    def _find(self) -> Instance:
        try:
            self._engine = self._engine or engine_of(self.spec)
            self._vitals = self._vitals or self._engine.vitals(self.spec)
            return Instance(spec=self.spec, server=self._engine.find(self.spec.name))
        except DevdbError as error:
            self._engine = None
            return Instance(spec=self.spec, server=None, trouble=error)

    def _ask(self, instance: Instance) -> tuple[Health | None, Look]:
        if self._vitals is None or instance.server is None or not instance.server.serving:
            self.close()
            return None, NOTHING
        return self._vitals.look()

    def close(self) -> None:
        """Let go of the connections."""
        if self._vitals is not None:
            self._vitals.close()
