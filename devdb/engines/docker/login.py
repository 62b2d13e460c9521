"""The logins that make an instance ready: first ones into new data, then one by each URL."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any

from devdb import postgres
from devdb.engines.docker.background import begin
from devdb.engines.docker.blueprint import bootstrap_password
from devdb.model import DATABASE, MAINTENANCE_DATABASE, USER, Endpoint, Spec

if TYPE_CHECKING:
    import psycopg

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
        import psycopg  # noqa: F401 - takes its 0.2 s while the container starts

        wait([started])
        version = None
        while not given_up.is_set():
            version = self.settle()
            if version is not None:
                break
            given_up.wait(_PAUSE)
        settling = begin(settled)
        while not given_up.is_set():
            direct = begin(partial(postgres.probe, self.spec.direct))
            pooled = postgres.probe(self.spec.pooled)
            if direct.result() is None:
                _make_database(self.spec.direct)
            elif pooled is not None:
                settling.result()
                return version or ""
            given_up.wait(_PAUSE)
        return ""

    def settle(self) -> str | None:
        """Put what is devdb's into the data; the server's version, None: nobody gets in yet."""
        if self.is_unsettled:
            self._set_password()
        return postgres.set_up(self.spec, lookup_everywhere=self.lookup_everywhere)

    def _set_password(self) -> None:
        """Replace the password that the data was made with, if it still has that one."""
        from psycopg import sql

        made_with = replace(self.spec.direct, password=bootstrap_password(self.spec))
        with suppress(*_refused()), _connect(made_with) as connection:
            _make_database(made_with, connection)
            connection.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                    sql.Identifier(USER), sql.Literal(postgres.verifier(self.spec.password))
                )
            )


def _make_database(
    endpoint: Endpoint, connection: psycopg.Connection[tuple[Any, ...]] | None = None
) -> None:
    """Make the instance's database if it is not there: new data, or somebody dropped it."""
    from psycopg import sql

    if connection is None:
        with suppress(*_refused()), _connect(endpoint) as connection:
            _make_database(endpoint, connection)
        return
    found = connection.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,))
    if found.fetchone() is None:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _connect(endpoint: Endpoint) -> psycopg.Connection[tuple[Any, ...]]:
    # The user's settings may log every statement; a verifier is nobody's business.
    quiet = "-c log_statement=none -c log_min_duration_statement=-1"
    return postgres.connect(endpoint, database=MAINTENANCE_DATABASE, options=quiet)


def _refused() -> tuple[type[Exception], ...]:
    import psycopg

    return (psycopg.OperationalError,)
