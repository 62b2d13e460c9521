"""The logins that make an instance ready: first ones into new data, then one by each URL."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Event

from devdb import pgbouncer, postgres, sessions, wire
from devdb.engines.refusal import Refusals, is_crowded, other_password
from devdb.engines.waiting import begin
from devdb.essentials import NO_DATABASE
from devdb.model import DATABASE, Endpoint, Spec
from devdb.postgres import SetUp

_PAUSE = 0.005
_LONG_PAUSE = 0.02
"""Seconds between attempts; new data takes a second of work that many attempts would take from."""
_POOLER_PATIENCE = 2
"""Seconds; PgBouncer tries again to reach Postgres every second."""
_STATEMENT_TIMEOUT = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Logs in to an instance until it is ready or given up."""

    spec: Spec
    made_with: str
    """The password that new data is made with."""
    is_unsettled: bool
    """Whether the data may not have the instance's password, database and roles yet."""
    lookup_everywhere: bool
    """Whether PgBouncer is one that asks its question in the database a client wants."""

    def until_ready(
        self,
        starts: tuple[Future[None], Future[None]],
        given_up: Event,
        settled: Callable[[], object],
        revive: Callable[[], object],
        *,
        pooler_ran: bool,
    ) -> SetUp | None:
        """Try until both URLs work; how the server was set up, None when it is given up.

        `starts` are those of the Postgres and the PgBouncer container: a connection that is tried
        while a network is being made loses a packet, and a second with it. `settled` is called,
        once, as soon as the data has all it needs; `revive`, once, where PgBouncer does not get to
        a Postgres that lets us in. `pooler_ran`: since before, so that apps may be in its pool.
        Raises LetsNobodyIn when a server keeps saying no.
        """
        by_postgres, by_pooler = Refusals.of_postgres(self.spec), Refusals.of_pooler(self.spec)
        wait(starts[:1])
        while (done := self._settled(by_postgres)) is None:
            if given_up.wait(_LONG_PAUSE if self.is_unsettled else _PAUSE):
                return None
        settling = begin(settled)
        wait(starts)
        revived, revive_at = False, time.monotonic() + _POOLER_PATIENCE
        while not given_up.is_set():
            asking = begin(partial(_ask, self.spec.direct))
            pooled, direct = self._ask_pooler(visits=pooler_ran), asking.result()
            if isinstance(direct, wire.Refused) and is_crowded(self.spec):
                settling.result()
                return done
            if not isinstance(direct, str):
                if direct is not None and direct.sqlstate == NO_DATABASE:
                    # Dropped since it was looked for; what is not made anew by that is damaged.
                    again = self._settled(by_postgres)
                    if again is not None and again.notes:
                        done, direct = replace(done, notes=(*done.notes, *again.notes)), None
                if direct is not None:
                    by_postgres.take(direct)
            elif pooled is True or pgbouncer.is_full(pooled):
                settling.result()
                return done
            elif not revived and time.monotonic() > revive_at:
                if is_crowded(self.spec):
                    settling.result()
                    return done
                revive()
                revived = True
            elif isinstance(pooled, wire.Refused):
                by_pooler.take(pooled)
            given_up.wait(_PAUSE)
        return None

    def _ask_pooler(self, *, visits: bool) -> bool | wire.Refused:
        """Whether it lets us in, or its no."""
        try:
            if visits:
                pgbouncer.visit(self.spec)
            else:
                sessions.version(self.spec.pooled)
        except wire.Refused as refused:
            return refused
        except OSError:
            return False
        return True

    def _settled(self, refusals: Refusals) -> SetUp | None:
        try:
            return self.settle()
        except wire.Refused as refused:
            refusals.take(refused)
            return None

    def settle(self) -> SetUp | None:
        """Put what is devdb's into the data; None: nobody gets in yet.

        Raises DataMismatch when the data has a password that is none of the instance's, and
        wire.Refused with any other no of the server.
        """
        made_with = replace(self.spec.direct, password=self.made_with)
        try:
            making = _begin_database(made_with) if self.is_unsettled else None
        except OSError:
            return None  # an engine's proxy accepts before there is a server
        if making is not None:
            if self.lookup_everywhere:
                wait([making])  # its function goes into every database, so into this one too
            postgres.set_password(made_with, self.spec.password)
        try:
            done = postgres.set_up(
                self.spec, lookup_everywhere=self.lookup_everywhere, makes_main=making is None
            )
            return replace(done, notes=()) if done is not None and self.is_unsettled else done
        except wire.Refused:
            if not self._is_another_s(made_with):
                raise
            raise other_password(self.spec) from None
        finally:
            if making is not None:
                wait([making])

    def _is_another_s(self, made_with: Endpoint) -> bool:
        known = postgres.knows_password(self.spec.direct)
        return not known and not (self.is_unsettled and postgres.knows_password(made_with))


def _ask(endpoint: Endpoint) -> str | wire.Refused | None:
    """The server's version, or its no; None when there is no answer."""
    try:
        return sessions.version(endpoint)
    except wire.Refused as refused:
        return refused
    except OSError:
        return None


def _begin_database(endpoint: Endpoint) -> Future[None] | None:
    """Begin to make the instance's database; None when the server does not let us in.

    Raises OSError when there is no server.
    """
    try:
        session = sessions.direct(endpoint, patience=_STATEMENT_TIMEOUT)
    except wire.Refused:
        return None
    return begin(partial(_make_database, session))


def _make_database(session: wire.Session) -> None:
    """Make the instance's database if it is not there: new data, or somebody dropped it."""
    with suppress(*wire.FAILURES), session:
        if not session.query(f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'"):
            session.query(f"CREATE DATABASE {DATABASE}")
