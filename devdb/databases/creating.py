"""Making a database that ends: empty, as a copy, or filled."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from devdb import postgres, sessions
from devdb.databases import closing, console, copying, dropping, names, ownership, registry
from devdb.databases.database import Kind, Stage, TemporaryDatabase
from devdb.databases.ttl import check_ttl
from devdb.errors import DevdbError, UsageError
from devdb.model import USER, Endpoint, Spec
from devdb.wire import Identifier, Refused, Session

if TYPE_CHECKING:
    from devdb.databases.seeding import Loaded, Seed, Tools

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
            from devdb.databases import seeding  # 30 ms that only a seed needs

            assert tools is not None, "a seed is loaded by Postgres' own tools"
            psql = stack.enter_context(seeding.Psql(tools))
        origin = copying.find(session, spec, source) if source is not None else None
        loaded: Loaded | None = None

        def load(half_made: HalfMade) -> None:
            nonlocal loaded
            assert seed is not None
            assert tools is not None
            loaded = seeding.fill(
                session,
                spec,
                seed,
                tools,
                psql,
                endpoint=half_made.direct,
                entry=half_made.entry,
                empty=origin is None,
            )

        if name is not None:
            dropping.remove(session, spec, None)  # an expired one may have that name
        made = make(session, spec, name, ttl=ttl, origin=origin, fill=load if seed else None)
    if name is not None:
        console.settle(made.pooled)  # a name that may have been another database's
    return replace(made, loaded=loaded)


@dataclass(frozen=True, slots=True)
class HalfMade:
    """A database that is there, and lets nobody but the superuser in yet."""

    entry: int
    """Its id in the registry."""
    direct: Endpoint
    """As the role that is to own it."""


def make(
    session: Session,
    spec: Spec,
    name: str | None,
    *,
    ttl: timedelta | None,
    kind: Kind = Kind.TEMPORARY,
    origin: copying.Origin | None = None,
    owner: str | None = None,
    project: str | None = None,
    fill: Callable[[HalfMade], None] | None = None,
) -> TemporaryDatabase:
    """A new one, by a session of the registry; on failure nothing is left of it.

    Without an `owner` it gets a role of its own; without a `ttl` it stays. `project`: whose
    template it is. `fill` is called when all is there but what is in it. Raises UsageError for a
    name that is taken.
    """
    entry, called = _enter(session, name, ttl, kind=kind, owner=owner, project=project)
    password = registry.password(spec, entry) if owner is None else None
    try:
        _create_database(session, spec, called, origin, owner)
        if fill is not None:
            fill(HalfMade(entry, registry.endpoint(spec.direct, called, password)))
        made = _finish(session, spec, entry, called, password, ttl, kind)
        return replace(made, size=origin.size) if kind == Kind.CLONE and origin else made
    except BaseException:
        # Where that fails too, the reaper does it: the entry says that it is half-made.
        with contextlib.suppress(Exception), registry.still(session, spec) as able:
            dropping.remove(able, spec, [called])
        raise


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


def _enter(
    session: Session,
    name: str | None,
    ttl: timedelta | None,
    *,
    kind: Kind,
    owner: str | None = None,
    project: str | None = None,
) -> tuple[int, str]:
    characters, text = registry.CHARACTERS, kind.value
    for attempt in range(_ATTEMPTS):
        wanted = name or names.invent(kind, crowded=attempt > _ATTEMPTS // 2)
        try:
            query = "SELECT _devdb.enter({}, {}, {}, {}, {}, {})"
            [(entry,)] = session.query(query, wanted, ttl, characters, text, owner, project)
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
    session: Session,
    spec: Spec,
    entry: int,
    name: str,
    password: str | None,
    ttl: timedelta | None,
    kind: Kind,
) -> TemporaryDatabase:
    verifier = None if password is None else postgres.verifier(password)
    query = "SELECT * FROM _devdb.finish({}, {}, {})"
    [(created, expires, size)] = session.query(query, entry, verifier, ttl)
    return registry.database(
        spec,
        name,
        password,
        kind=kind.value,
        state=Stage.READY,
        created=created,
        expires=expires,
        age=timedelta(0),
        left=ttl,
        size=size,
        sessions=0,
    )


def _create_database(
    session: Session, spec: Spec, name: str, origin: copying.Origin | None, owner: str | None
) -> None:
    if origin is not None:
        copying.copy(session, spec, origin, name, owner)
        return
    statement = f"CREATE DATABASE {{}} OWNER {{}} {copying.strategy(session, size=0)}"
    with _undisturbed_template(session, spec):
        session.query(statement, Identifier(name), Identifier(owner or name))
    # From 15 on, public belongs to whoever owns the database; before, to the superuser.
    if session.major < 15 and owner is None:
        ownership.hand_over(spec, name, major=session.major)


@contextlib.contextmanager
def _undisturbed_template(session: Session, spec: Spec) -> Iterator[None]:
    """Whoever once came to template1 through the pooler keeps it from being copied for minutes."""
    if not session.query("SELECT FROM pg_stat_activity WHERE datname = 'template1'"):
        yield
    else:
        with closing.closed(session, spec, "template1", sessions_stay=True):
            yield


def ensure(spec: Spec, name: str, kind: Kind) -> bool:
    """Have a database of that name that stays, the superuser's; whether it was made.

    Raises DevdbError.
    """
    with registry.session(spec) as session:
        if session.query("SELECT _devdb.adopt({}, {})", name, kind.value) == [(True,)]:
            return False
        dropping.remove(session, spec, None)  # what is known of one that somebody dropped
        try:
            make(session, spec, name, ttl=None, kind=kind, owner=USER)
        except UsageError:
            return False  # another devdb was faster
        return True
