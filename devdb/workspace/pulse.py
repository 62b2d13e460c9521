"""How an instance is, asked again and again: cheaper than `find` and `health` each time."""

from __future__ import annotations

import time

from devdb import pgbouncer, postgres, sessions, wire
from devdb.engines import Engine
from devdb.engines.fake import FakeEngine
from devdb.errors import DevdbError
from devdb.model import Spec
from devdb.wire import Session
from devdb.workspace.instances import Health, Instance, engine_of, health

LOGIN_EVERY = 10.0
"""Seconds from one new login through each URL to the next."""
FIND_EVERY = 3.0
"""Seconds from one question to the engine to the next, while both servers answer."""


class Pulse:
    """Keeps the engine and one connection to each server; for one thread.

    A login costs some ms of CPU on both sides; a question over a connection 0.2 ms.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._engine: Engine | None = None
        self._postgres: Session | None = None
        self._pgbouncer: Session | None = None
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
            return Instance(spec=self.spec, server=self._engine.find(self.spec.name))
        except DevdbError as error:
            self._engine = None
            return Instance(spec=self.spec, server=None, trouble=error)

    def _ask(self, instance: Instance) -> Health | None:
        if instance.server is None or not instance.server.serving:
            self.close()
            return None
        if self.spec.engine == FakeEngine.name:
            return health(self.spec)
        if time.monotonic() - self._logged_in > LOGIN_EVERY:
            self.close()
            self._logged_in = time.monotonic()
        vitals = self._ask_postgres()
        # Without Postgres a login through the pooler waits for its query_wait_timeout.
        return Health(postgres=vitals, pgbouncer=self._ask_pgbouncer() if vitals else None)

    def close(self) -> None:
        """Let go of the connections."""
        for connection in (self._postgres, self._pgbouncer):
            if connection is not None:
                connection.close()
        self._postgres = self._pgbouncer = None

    def _ask_postgres(self) -> postgres.Vitals | None:
        kept = self._postgres
        try:
            if self._postgres is None:
                self._postgres = sessions.direct(self.spec.direct, timeout=2, patience=2)
            return postgres.ask(self._postgres)
        except wire.FAILURES:
            self.close()
        # What was kept may have ended with a server that is back already.
        return self._ask_postgres() if kept is not None else None

    def _ask_pgbouncer(self) -> pgbouncer.Vitals | None:
        kept = self._pgbouncer
        try:
            if self._pgbouncer is None:
                self._pgbouncer = pgbouncer.console(self.spec)
                pgbouncer.log_in(self.spec, self._pgbouncer)
            return pgbouncer.ask(self._pgbouncer)
        except wire.FAILURES:
            self.close()
        return self._ask_pgbouncer() if kept is not None else None
