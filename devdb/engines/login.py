"""The logins that make an instance ready: first ones into new data, then one by each URL."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

from devdb import pgbouncer, postgres, sessions, wire
from devdb.engines.refusal import Refusals, is_crowded, other_password
from devdb.engines.waiting import begin
from devdb.essentials import NO_DATABASE
from devdb.model import DATABASE, Endpoint, Spec
from devdb.postgres import SetUp

if TYPE_CHECKING:
    from concurrent.futures import Future

_PAUSE = 0.005
_LONG_PAUSE = 0.02
"""Seconds between attempts; initdb takes a second of work that many attempts would take from."""
_POOLER_PATIENCE = 2
"""Seconds; PgBouncer tries again to reach Postgres every second."""
_LOGIN_TIMEOUT = 2
_STATEMENT_TIMEOUT = 60
_NO = (wire.Refused, TimeoutError)
"""What a server that has no room answers with, or keeps who asks waiting for."""


class Login:
    """Logs in to one instance until it is ready, or given up."""

    def __init__(
        self,
        spec: Spec,
        *,
        first_password: str | None,
        looks_up_everywhere: bool,
        is_initdb_at_work: bool = False,
    ) -> None:
        """`first_password` is the superuser's in data that may not have the instance's yet; None:
        it has.

        `looks_up_everywhere`: PgBouncer asks its question in the database that a client wants.
        `is_initdb_at_work`: or was a moment ago, so that there is no database of the instance's.
        """
        self._spec = spec
        self._first = (
            replace(spec.direct, password=first_password) if first_password is not None else None
        )
        self._is_new = self._first is not None
        self._looks_up_everywhere = looks_up_everywhere
        self._is_initdb_at_work = is_initdb_at_work
        self._by_postgres = Refusals.of_postgres(spec)
        self._by_pooler = Refusals.of_pooler(spec)

    def until_set_up(self, given_up: Event) -> SetUp | None:
        """Try until the data has all that is devdb's; None when it is given up.

        Raises DataMismatch when the data has a password that is none of the instance's, and
        LetsNobodyIn when Postgres keeps saying no.
        """
        while (done := self._set_up_unless_refused()) is None:
            if given_up.wait(_LONG_PAUSE if self._is_initdb_at_work else _PAUSE):
                return None
        return done

    def until_ready(
        self,
        done: SetUp,
        given_up: Event,
        *,
        pooler_ran: bool,
        revive: Callable[[], object] | None = None,
    ) -> SetUp | None:
        """Try until both URLs work; what was set up by then, None when it is given up.

        `pooler_ran`: since before, so that apps may be in its pool. `revive` is called, once, where
        PgBouncer does not get to a Postgres that lets us in. That an app has all connections, or
        all of the pool's, is no fault of the servers: it is ready.

        Raises LetsNobodyIn when a server keeps saying no, DataMismatch as `until_set_up` does.
        """
        in_pool = partial(sessions.version, self._spec.pooled, timeout=_LOGIN_TIMEOUT)
        visit = partial(pgbouncer.visit, self._spec) if pooler_ran else in_pool
        ask = partial(sessions.version, self._spec.direct, timeout=_LOGIN_TIMEOUT)
        revive_at = time.monotonic() + _POOLER_PATIENCE
        is_in = False
        while not given_up.is_set():
            asking = None if is_in else begin(partial(_failure, ask))
            pooled, direct = _failure(visit), asking.result() if asking is not None else None
            is_in = direct is None
            if direct is not None:
                if isinstance(direct, _NO) and is_crowded(self._spec):
                    return done
                done = self._after(direct, done)
            elif pooled is None or pgbouncer.is_full(pooled):
                return done
            else:
                is_late = revive is not None and time.monotonic() > revive_at
                if (is_late or isinstance(pooled, _NO)) and is_crowded(self._spec):
                    return done
                if revive is not None and is_late:
                    revive()
                    revive = None
                elif isinstance(pooled, wire.Refused):
                    self._by_pooler.take(pooled)
            given_up.wait(_PAUSE)
        return None

    def _after(self, error: Exception, done: SetUp) -> SetUp:
        """What is set up after Postgres did not let us in, which it did before."""
        if not isinstance(error, wire.Refused):
            return done
        if error.sqlstate == NO_DATABASE:
            # Dropped since it was looked for; what is not made anew by that is damaged.
            again = self._set_up_unless_refused()
            if again is not None and again.notes:
                return replace(done, notes=(*done.notes, *again.notes))
        self._by_postgres.take(error)
        return done

    def _set_up_unless_refused(self) -> SetUp | None:
        try:
            return self.set_up()
        except wire.Refused as refused:
            self._by_postgres.take(refused)
            return None

    def set_up(self) -> SetUp | None:
        """Put what is devdb's into the data; None: nobody gets in yet.

        Raises DataMismatch when the data has a password that is none of the instance's, and
        wire.Refused with any other no of the server.
        """
        try:
            making = self._begin_main() if self._is_initdb_at_work else None
        except OSError:
            return None  # an engine's proxy accepts before there is a server
        try:
            if self._first is not None and not self._replace_password(self._first):
                return None
            done = postgres.set_up(
                self._spec,
                lookup_everywhere=self._looks_up_everywhere,
                makes_main=making is None,
            )
            # Of new data nothing was gone.
            return replace(done, notes=()) if done is not None and self._is_new else done
        except wire.Refused:
            if not self._is_anothers():
                raise
            raise other_password(self._spec) from None
        finally:
            if making is not None:
                making.exception()

    def _replace_password(self, first: Endpoint) -> bool:
        """Give the superuser the instance's own password, once; False: nobody gets in yet."""
        try:
            if not postgres.set_password(first, self._spec):
                return False
        except wire.Refused as refused:
            if refused.sqlstate != sessions.INVALID_PASSWORD:
                raise
            # It has the instance's already, or another's.
        self._first = None  # each further try would be an alarm in the log
        return True

    def _is_anothers(self) -> bool:
        known = [self._spec.direct, *([self._first] if self._first is not None else [])]
        return not any(postgres.knows_password(endpoint) for endpoint in known)

    def _begin_main(self) -> Future[None] | None:
        """Begin to make the instance's database; None when the server does not let us in.

        Raises OSError when there is no server.
        """
        try:
            session = sessions.direct(self._first or self._spec.direct, patience=_STATEMENT_TIMEOUT)
        except wire.Refused:
            return None
        making = begin(partial(_make_main, session))
        if self._looks_up_everywhere:
            making.exception()  # its function goes into every database, so into this one too
        return making


def _make_main(session: wire.Session) -> None:
    with suppress(*wire.FAILURES), session:
        if not session.query(f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'"):
            session.query(f"CREATE DATABASE {DATABASE}")


def _failure(ask: Callable[[], object]) -> Exception | None:
    """What came of asking in place of an answer."""
    try:
        ask()
    except wire.FAILURES as error:
        return error
    return None
