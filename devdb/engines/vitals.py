"""How an instance's two servers are, and what goes on in them, by what they say of themselves."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import TracebackType

from devdb import connections, pgbouncer, sessions, wire
from devdb.model import Spec
from devdb.monitor import backends
from devdb.monitor.backends import Activity
from devdb.monitor.look import Look
from devdb.monitor.pools import Counts, Records, backend_pids, counts, pools
from devdb.pgbouncer import Limits, PgBouncerHealth
from devdb.postgres import PostgresHealth
from devdb.wire import Session

LOGIN_EVERY = 10.0
"""Seconds from one new login through each URL to the next."""
_REFUSED_EVERY = 3.0
"""Seconds from one try to the next where Postgres has no slot left."""
_HOLDERS_EVERY = 5.0
"""Seconds; it looks at every connection of the machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What the two servers said."""

    postgres: PostgresHealth | None
    """None: no login through the direct URL."""
    pgbouncer: PgBouncerHealth | None
    """None: no login through the pooled URL, or none was tried, as there is none to Postgres.

    Where the whole pool is at work for clients its console answers for it.
    """

    @property
    def ready(self) -> bool:
        """Whether both URLs can be used."""
        both = (self.postgres, self.pgbouncer)
        return all(one is not None and not one.full for one in both)


class Vitals:
    """Asks both servers of an instance, over connections that it keeps; for one thread.

    A login costs some ms of CPU on both sides, a question over a connection 0.2 ms. A look is one
    statement to Postgres, with its very first login two, and at most four SHOWs to the console.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._direct = _Direct(spec)
        self._console = _Console(spec)
        self._pooled: frozenset[int] = frozenset()
        self._holders: tuple[str, ...] = ()
        self._holders_due = 0.0

    def ask(self) -> Health:
        """How they are now; takes a few milliseconds when all is well."""
        return self.look(stays=False)[0]

    def look(self, *, stays: bool = True) -> tuple[Health, Look]:
        """How they are, and what goes on in them, devdb's own doings left out.

        `stays`: who asks will ask again, so the place that its connection takes is a client's.
        """
        activity = self._direct.look(stays=stays)
        postgres = _health(activity, stays=stays) if activity else None
        answer = self._console.look(
            may_log_in=postgres is not None,
            can_open=postgres is not None and not postgres.full,
            wants_pids=activity is not None and bool(activity.rows),
        )
        pooler = answer.health(stays=stays) if answer else None
        if activity:
            # What PgBouncer closes between the two questions has been in a look before.
            self._pooled = activity.pids & self._pooled | (answer.pids if answer else frozenset())
        clients = activity.backends(self._pooled) if activity else None
        if postgres and clients is not None:
            postgres = replace(postgres, connections=len(clients))
        is_taken = postgres.full if postgres else self._direct.is_refused
        return (
            Health(postgres=postgres, pgbouncer=pooler if answer and answer.lets_in else None),
            Look(
                pools=pools(answer.pools, answer.limits, answer.rates) if answer else None,
                backends=clients,
                max_connections=connections.most(self.spec),
                holders=self._who_holds(pooler.servers if pooler else 0) if is_taken else None,
                max_clients=answer.limits.clients if answer else 0,
                is_pooler_full=pooler is not None and pooler.full,
            ),
        )

    def _who_holds(self, pooled: int) -> tuple[str, ...]:
        now = time.monotonic()
        if now >= self._holders_due:
            self._holders, self._holders_due = connections.holders(self.spec, pooled), now
            self._holders_due += _HOLDERS_EVERY
        return self._holders

    def close(self) -> None:
        """Let go of the connections; who asks again logs in again."""
        self._direct.close()
        self._console.close()

    def __enter__(self) -> Vitals:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _health(activity: Activity, *, stays: bool) -> PostgresHealth:
    others = len(activity.rows)
    return PostgresHealth(
        version=activity.version,
        started=activity.started,
        connections=others,
        max_connections=activity.max_connections,
        full=others + (stays and not activity.is_beside) >= activity.max_connections,
    )


class _Direct:
    """The session in Postgres."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._session: Session | None = None
        self._due = 0.0
        self._major: int | None = None
        self._has_to_stay = False
        self.is_refused = False
        """Whether Postgres had no slot of any kind the last time that it was asked."""

    def look(self, *, stays: bool) -> Activity | None:
        """What its clients do; None where nobody gets in."""
        if time.monotonic() >= self._due:
            self._leave()
        elif self.is_refused:
            return None
        kept = self._session is not None
        try:
            session = self._session = self._session or self._log_in()
            activity = backends.ask(session)
        except wire.FAILURES as error:
            self.close()
            # What was kept may have ended with a server that is back already.
            if kept:
                return self.look(stays=stays)
            self.is_refused = getattr(error, "sqlstate", "") == sessions.TOO_MANY
            # Each try is a line in the log that people look into.
            self._due = time.monotonic() + _REFUSED_EVERY if self.is_refused else 0.0
            return None
        self.is_refused = False
        is_last = len(activity.rows) + 1 >= activity.max_connections and not activity.is_beside
        return self._make_room(activity) if stays and is_last else activity

    def _log_in(self) -> Session:
        session = sessions.direct(self._spec.direct, timeout=2, patience=2, major=self._major)
        self._major = session.major
        self._due = time.monotonic() + LOGIN_EVERY
        self._has_to_stay = False
        return session

    def _make_room(self, activity: Activity) -> Activity:
        """Leave the last connection to an app, if there is another way to be in."""
        if self._has_to_stay:
            return activity
        try:
            beside = sessions.direct(
                self._spec.direct, timeout=2, patience=2, major=self._major, beside=True
            )
        except wire.FAILURES:
            self._has_to_stay = True  # until the next login: it need not be tried each second
            return activity
        self._leave()
        self._session = beside
        return replace(activity, is_beside=True)

    def close(self) -> None:
        """Let go of it; the next look logs in, at whatever server is there then."""
        self._leave()
        self._major, self._due, self.is_refused = None, 0.0, False

    def _leave(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What PgBouncer's console said."""

    session: Session
    pools: Records
    limits: Limits
    rates: Mapping[str, float]
    pids: frozenset[int]
    lets_in: bool
    """Whether one gets to Postgres by the pooled URL."""

    def health(self, *, stays: bool) -> PgBouncerHealth:
        return pgbouncer.health(self.session, self.pools, self.limits, stays=stays)


class _Console:
    """The session on the console."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._session: Session | None = None
        self._limits: Limits | None = None
        self._limits_due = 0.0
        self._counts: Counts | None = None
        self._due = 0.0
        self._lets_in = False

    def look(self, *, may_log_in: bool, can_open: bool, wants_pids: bool) -> _Answer | None:
        """What it says; None where it does not answer.

        `may_log_in`: there is a Postgres to log in to; `can_open`: it has room for one more.
        `wants_pids`: there are sessions in it which may be PgBouncer's.
        """
        kept = self._session is not None
        try:
            self._session = self._session or pgbouncer.console(self._spec)
            return self._look(self._session, may_log_in, can_open, wants_pids)
        except wire.FAILURES:
            self.close()
        return (
            self.look(may_log_in=may_log_in, can_open=can_open, wants_pids=wants_pids)
            if kept
            else None
        )

    def _look(
        self, session: Session, may_log_in: bool, can_open: bool, wants_pids: bool
    ) -> _Answer:
        limits = self._limits
        if limits is None or time.monotonic() >= self._limits_due:
            limits = self._limits = pgbouncer.limits(session)
            self._limits_due = time.monotonic() + LOGIN_EVERY
        shown = session.records("SHOW POOLS")
        tried = False
        if not may_log_in:
            self._due = 0.0
        elif time.monotonic() >= self._due:
            tried = self._log_in(session, shown, limits, can_open)
        now = counts(session.records("SHOW STATS"), time.monotonic())
        rates, self._counts = now.since(self._counts, own=1 if tried else 0), now
        pids: frozenset[int] = frozenset()
        if wants_pids and any(map(pgbouncer.open_servers, shown)):
            pids = backend_pids(session.records("SHOW SERVERS"))
        return _Answer(
            session=session,
            pools=shown,
            limits=limits,
            rates=rates,
            pids=pids,
            lets_in=self._lets_in and may_log_in,
        )

    def _log_in(self, session: Session, shown: Records, limits: Limits, can_open: bool) -> bool:
        """Look whether one gets to Postgres; whether that took a query of one's own."""
        if pgbouncer.would_queue(shown, limits, can_open=can_open):
            self._lets_in = True
            return False
        begun = time.monotonic()
        done = False
        try:
            done = pgbouncer.log_in(self._spec, shown)
            self._lets_in = True
        except TimeoutError:
            # The last connection may have been taken just before.
            shown = session.records("SHOW POOLS")
            self._lets_in = pgbouncer.would_queue(shown, limits, can_open=can_open)
        except wire.FAILURES:
            self._lets_in = False
        ended = time.monotonic()
        # One that keeps us waiting is not asked so often that the looks at it suffer.
        self._due = ended + (LOGIN_EVERY if self._lets_in else 2 * (ended - begun))
        return done

    def close(self) -> None:
        """Let go of it."""
        if self._session is not None:
            self._session.close()
        self._session = self._limits = self._counts = None
        self._due = 0.0
