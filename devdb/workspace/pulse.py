"""How an instance is, asked again and again: cheaper than `find` and `health` each time."""

from __future__ import annotations

import time

from devdb.engines import Engine
from devdb.engines.vitals import Health, Vitals
from devdb.errors import DevdbError
from devdb.model import Spec
from devdb.workspace.instances import Instance, engine_of

LOGIN_EVERY = 10.0
"""Seconds from one new login through each URL to the next."""
FIND_EVERY = 3.0
"""Seconds from one question to the engine to the next, while both servers answer."""


class Pulse:
    """Keeps the engine and what asks the servers; for one thread."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._engine: Engine | None = None
        self._vitals: Vitals | None = None
        self._logged_in = 0.0
        self._found: Instance | None = None
        self._found_at = 0.0

    def look(self) -> tuple[Instance, Health | None]:
        """As `find` and `health`; no health where not both servers run.

        Servers that answer over connections that were kept have not died: then the engine is
        asked less often.
        """
        if self._found is not None and time.monotonic() - self._found_at < FIND_EVERY:
            health = self._ask(self._found)
            if health is not None and health.ready:
                return self._found, health
        self._found, self._found_at = self._find(), time.monotonic()
        return self._found, self._ask(self._found)

    def _find(self) -> Instance:
        try:
            self._engine = self._engine or engine_of(self.spec)
            self._vitals = self._vitals or self._engine.vitals(self.spec)
            return Instance(spec=self.spec, server=self._engine.find(self.spec.name))
        except DevdbError as error:
            self._engine = None
            return Instance(spec=self.spec, server=None, trouble=error)

    def _ask(self, instance: Instance) -> Health | None:
        if self._vitals is None or instance.server is None or not instance.server.serving:
            self.close()
            return None
        if time.monotonic() - self._logged_in > LOGIN_EVERY:
            self.close()
            self._logged_in = time.monotonic()
        return self._vitals.ask()

    def close(self) -> None:
        """Let go of the connections."""
        if self._vitals is not None:
            self._vitals.close()
