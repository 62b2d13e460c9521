"""Making a temporary database: empty, as a copy, or seeded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from devdb import postgres, sessions
from devdb.errors import DevdbError, UsageError
from devdb.model import Spec
from devdb.temporary import closing, console, copying, dropping, names, ownership, registry
from devdb.temporary.database import Stage, TemporaryDatabase
from devdb.temporary.ttl import check_ttl
from devdb.wire import Identifier, Refused, Session

if TYPE_CHECKING:
    from devdb.temporary.seeding import Seed, Tools

_ATTEMPTS = 8
"""At a name that nobody has; the last ones are surely unique."""


def create(
    spec: Spec,
    *,
    ttl: timedelta,
    source: str | None = None,
    seed: Seed | None = None,
    name: str | None = None,
    tools: Tools | None = None,
) -> TemporaryDatabase:
    """A new database with a role of its own, for `ttl` from the moment it is ready.

    `source` is a database of the instance to copy; sessions on it are ended for that, but pooled
    ones that are between two transactions just wait. `seed` is loaded into it as the new
    role, and can be used once (`opened`); it needs `tools`. On failure nothing is left of it.

    Raises UsageError for a name or a ttl that cannot be; NotFound for an unknown source.
    """
    check_ttl(ttl)
    if name is not None:
        names.check(name)
    with registry.session(spec) as session, contextlib.ExitStack() as stack:
        if seed is not None:
            from devdb.temporary import seeding  # 30 ms that only a seed needs

            assert tools is not None, "a seed is loaded by Postgres' own tools"
            psql = stack.enter_context(seeding.Psql(tools))
        origin = copying.find(session, spec, source) if source is not None else None
        entry, called = _enter(session, spec, name, ttl)
        try:
            _create_database(session, spec, called, origin)
            password = registry.password(spec, entry)
            loaded = None
            if seed is not None:
                assert tools is not None
                loaded = seeding.fill(
                    session,
                    spec,
                    seed,
                    tools,
                    psql,
                    endpoint=registry.endpoint(spec.direct, called, password),
                    entry=entry,
                    empty=origin is None,
                )
            made = _finish(session, spec, entry, called, password, ttl)
        except BaseException:
            # Where that fails too, the reaper does it: the entry says that it is half-made.
            with contextlib.suppress(Exception), registry.still(session, spec) as able:
                dropping.remove(able, spec, [called])
            raise
    if name is not None:
        console.settle(made.pooled)  # a name that may have been another database's
    return replace(made, loaded=loaded)


def prepare() -> None:
    """Read and import what `create` otherwise does when it comes to it, a seed's apart: for a
    process that is to make some when it can read neither devdb's files nor Python's."""
    import hmac
    import random

    import psutil

    for module in (hmac, random, psutil):
        assert module
    registry.schema()
    ownership.listing()


def _enter(session: Session, spec: Spec, name: str | None, ttl: timedelta) -> tuple[int, str]:
    if name is not None:
        dropping.remove(session, spec, None)  # an expired one may have that name
    for attempt in range(_ATTEMPTS):
        wanted = name or names.invent(crowded=attempt > _ATTEMPTS // 2)
        try:
            query = "SELECT _devdb.enter({}, {}, {})"
            [(entry,)] = session.query(query, wanted, ttl, registry.CHARACTERS)
        except Refused as refused:
            if refused.sqlstate not in sessions.TAKEN:
                raise
            if name is not None:
                raise UsageError(
                    f"There is a database or a role '{name}' already.", "Choose another name."
                ) from None
            continue
        return int(entry), wanted
    raise DevdbError("No free name was found.", "Give it one of your own with `--as`.")


def _finish(
    session: Session, spec: Spec, entry: int, name: str, password: str, ttl: timedelta
) -> TemporaryDatabase:
    [(created, expires, size)] = session.query(
        "SELECT * FROM _devdb.finish({}, {}, {})", entry, postgres.verifier(password), ttl
    )
    return registry.database(
        spec,
        name,
        password,
        state=Stage.READY,
        created=created,
        expires=expires,
        age=timedelta(0),
        left=ttl,
        size=size,
        sessions=0,
    )


def _create_database(
    session: Session, spec: Spec, name: str, origin: copying.Origin | None
) -> None:
    if origin is not None:
        copying.copy(session, spec, origin, name)
        return
    statement = f"CREATE DATABASE {{0}} OWNER {{0}} {copying.strategy(session, size=0)}"
    with _undisturbed_template(session, spec):
        session.query(statement, Identifier(name))
    # From 15 on, public belongs to whoever owns the database; before, to the superuser.
    if session.major < 15:
        ownership.hand_over(spec, name, major=session.major)


@contextlib.contextmanager
def _undisturbed_template(session: Session, spec: Spec) -> Iterator[None]:
    """Whoever once came to template1 through the pooler keeps it from being copied for minutes."""
    if not session.query("SELECT FROM pg_stat_activity WHERE datname = 'template1'"):
        yield
    else:
        with closing.closed(session, spec, "template1", sessions_stay=True):
            yield
