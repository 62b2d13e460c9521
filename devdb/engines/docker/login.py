"""The logins that make an instance ready: first ones into new data, then one by each URL."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from functools import partial
from threading import Event

from devdb import postgres, wire
from devdb.engines.docker.background import begin
from devdb.engines.docker.blueprint import bootstrap_password
from devdb.errors import DataMismatch
from devdb.model import DATABASE, MAINTENANCE_DATABASE, Endpoint, Spec

_PAUSE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Logs in to an instance until it is ready or given up."""

    spec: Spec
    is_unsettled: bool
    """Whether the data may not have the instance's password, database and roles yet."""
    lookup_everywhere: bool
    """Whether PgBouncer is one that asks its question in the database a client wants."""

    def until_ready(
        self, started: Future[None], given_up: Event, settled: Callable[[], object]
    ) -> str:
        """Try until both URLs work; the server's version, or "" when it is given up.

        `started` is the start of the Postgres container: a connection that is tried while its
        network is being made loses a packet, and a second with it. `settled` is called, once,
        as soon as the data has all it needs.
        """
        wait([started])
        while (version := self.settle()) is None:
            if given_up.wait(_PAUSE):
                return ""
        settling = begin(settled)
        while not given_up.is_set():
            direct = begin(partial(postgres.probe, self.spec.direct))
            pooled = postgres.probe(self.spec.pooled)
            if direct.result() is None:
                _make_database(self.spec.direct)
            elif pooled is not None:
                settling.result()
                return version
            given_up.wait(_PAUSE)
        return ""

    def settle(self) -> str | None:
        """Put what is devdb's into the data; the server's version, None: nobody gets in yet.

        Raises DataMismatch when the data has a password that is none of the instance's.
        """
        made_with = replace(self.spec.direct, password=bootstrap_password(self.spec))
        if self.is_unsettled and _make_database(made_with):
            postgres.set_password(made_with, self.spec.password)
        version = postgres.set_up(self.spec, lookup_everywhere=self.lookup_everywhere)
        if version is None and self._is_another_s(made_with):
            raise DataMismatch(
                f"The data of '{self.spec.name}' has another password than its marker.",
                f"The marker was lost or replaced: put it back, or devdb rm {self.spec.name}",
            )
        return version

    def _is_another_s(self, made_with: Endpoint) -> bool:
        known = postgres.knows_password(self.spec.direct)
        return not known and not (self.is_unsettled and postgres.knows_password(made_with))


def _make_database(endpoint: Endpoint) -> bool:
    """Make the instance's database if it is not there: new data, or somebody dropped it.

    Returns whether anybody could be asked.
    """
    try:
        with wire.Session(endpoint, database=MAINTENANCE_DATABASE) as session:
            if not session.query(f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'"):
                session.query(f"CREATE DATABASE {DATABASE}")
    except (wire.Refused, OSError):
        return False
    return True
