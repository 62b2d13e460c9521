"""Making a temporary database: empty, as a copy, or seeded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devdb import postgres
from devdb.errors import DevdbError, UsageError
from devdb.model import Spec
from devdb.temporary import closing, console, copying, dropping, names, ownership, registry, seeding
from devdb.temporary.database import State, TemporaryDatabase
from devdb.temporary.ttl import check_ttl

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

_ATTEMPTS = 8
"""At a name that nobody has; the last ones are surely unique."""


def create(
    spec: Spec,
    *,
    ttl: timedelta,
    source: str | None = None,
    seed: Path | None = None,
    name: str | None = None,
    psql: Sequence[str] = (),
) -> TemporaryDatabase:
    """A new database with a role of its own, for `ttl` from the moment it is ready.

    `source` is a database of the instance to copy; sessions on it are ended for that, but pooled
    ones that are between two transactions just wait. `seed` is a `.sql`, `.sql.gz` or `.dump` file
    to run in it as the new role; it needs `psql`, the instance's `Engine.psql_argv()`. On failure
    nothing is left of it.

    Raises UsageError for a name, a ttl or a seed that cannot be; NotFound for an unknown source.
    """
    check_ttl(ttl)
    if seed is not None:
        seeding.check(seed)
    if name is not None:
        names.check(name)
    with registry.session(spec) as connection:
        origin = copying.find(connection, spec, source) if source is not None else None
        entry, called = _enter(connection, spec, name, ttl)
        try:
            _make(connection, spec, called, origin)
            verifier = postgres.verifier(registry.password(spec, entry))
            if seed is not None:
                connection.execute("SELECT _devdb.admit(%s, %s)", [entry, verifier])
                seeding.run(registry.endpoint(spec.direct, spec, entry, called), seed, psql)
            made = _finish(connection, spec, entry, called, verifier, ttl)
        except BaseException:
            # Where that fails too, the reaper does it: the entry says that it is half-made.
            with contextlib.suppress(Exception):
                dropping.remove(connection, spec, [called])
            raise
    if name is not None:
        console.settle(made.pooled)  # a name that may have been another database's
    return made


def _enter(connection: Connection, spec: Spec, name: str | None, ttl: timedelta) -> tuple[int, str]:
    from psycopg import errors

    if name is not None:
        dropping.remove(connection, spec, None)  # an expired one may have that name
    for attempt in range(_ATTEMPTS):
        wanted = name or names.invent(crowded=attempt > _ATTEMPTS // 2)
        try:
            row = connection.execute("SELECT _devdb.enter(%s, %s)", [wanted, ttl]).fetchone()
        except (errors.DuplicateDatabase, errors.DuplicateObject, errors.UniqueViolation):
            if name is not None:
                raise UsageError(
                    f"There is a database or a role '{name}' already.", "Choose another name."
                ) from None
            continue
        assert row is not None
        return int(row[0]), wanted
    raise DevdbError("No free name was found.", "Give it one of your own with `--as`.")


def _finish(
    connection: Connection, spec: Spec, entry: int, name: str, verifier: str, ttl: timedelta
) -> TemporaryDatabase:
    row = connection.execute(
        "SELECT * FROM _devdb.finish(%s, %s, %s)", [entry, verifier, ttl]
    ).fetchone()
    assert row is not None
    created, expires, size = row
    return registry.database(
        spec,
        entry,
        name,
        state=State.READY,
        created=created,
        expires=expires,
        age=timedelta(0),
        left=ttl,
        size=size,
        sessions=0,
    )


def _make(connection: Connection, spec: Spec, name: str, origin: copying.Origin | None) -> None:
    from psycopg import sql

    if origin is not None:
        copying.copy(connection, spec, origin, name)
        return
    strategy = copying.strategy(connection, size=0)
    statement = sql.SQL("CREATE DATABASE {0} OWNER {0} {1}").format(sql.Identifier(name), strategy)
    with _undisturbed_template(connection, spec):
        connection.execute(statement)
    # From 15 on, public belongs to whoever owns the database; before, to the superuser.
    if connection.info.server_version < 150000:
        ownership.hand_over(spec, name)


@contextlib.contextmanager
def _undisturbed_template(connection: Connection, spec: Spec) -> Iterator[None]:
    """Whoever once came to template1 through the pooler keeps it from being copied for minutes."""
    busy = connection.execute("SELECT FROM pg_stat_activity WHERE datname = 'template1'")
    if busy.fetchone() is None:
        yield
    else:
        with closing.closed(connection, spec, "template1", sessions_stay=True):
            yield
