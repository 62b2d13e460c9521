"""The registry of what devdb made: `schema.sql` in the instance's maintenance database."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from devdb import connections, sessions, wire
from devdb.databases import blockers
from devdb.databases.database import Kind, Other, Stage, TemporaryDatabase
from devdb.errors import DevdbError, DiskFull, EngineUnavailable, NotFound, PortInUse
from devdb.listeners import owner
from devdb.masking import masked
from devdb.model import MAINTENANCE_DATABASE, USER, Endpoint, Spec
from devdb.wire import Refused, Session
from devdb.wording import did_you_mean

SCHEMA = "_devdb"
"""As in `schema.sql`. Not `devdb`: a schema that bears the user's name is the first in its search
path, and would get the tables that the user makes."""
VERSION = 10
"""Of `schema.sql`; one more with every change of it, which has to run on the older ones too."""

MISSING, CLAIMED, EXPIRED = "DD001", "DD002", "DD003"
"""What its functions raise (SQLSTATE); the message is the name."""
DISK_FULL, IN_USE = "53100", "55006"
"""What Postgres itself raises (SQLSTATE)."""

CHARACTERS = 24
"""Of the password of a new temporary database's role: 144 bits, in a URL that is not too long."""
_LOCK_TIMEOUT = 5
"""Seconds for each lock, but for that of a name, which another devdb may have for minutes."""


def every(spec: Spec) -> list[TemporaryDatabase]:
    """All databases of the instance that end, also expired and claimed ones; oldest first.

    Raises DevdbError when the instance does not answer.
    """
    with session(spec) as asking:
        return listing(asking, spec)


_COLUMNS = """
id, characters, name, kind, own_role, state, created, expires, extract(epoch FROM age)::float8,
extract(epoch FROM remaining)::float8, size, sessions
"""
_ENDS = "kind NOT IN ('shadow', 'test')"
_WITH_OTHERS = f"""
SELECT {_COLUMNS} FROM _devdb.listing WHERE {_ENDS}
UNION ALL
SELECT NULL, NULL, datname,
       (SELECT kind FROM _devdb.databases t WHERE _devdb.database_of(t) = d.oid), NULL, NULL, NULL,
       NULL, NULL, NULL, coalesce(pg_database_size(d.oid), 0),
       (SELECT count(*) FROM pg_stat_activity a
        WHERE a.datid = d.oid AND a.backend_type = 'client backend')
FROM pg_database d
WHERE NOT datistemplate AND datname <> {{}}
  AND NOT EXISTS (SELECT FROM _devdb.databases t WHERE _devdb.database_of(t) = d.oid AND {_ENDS})
ORDER BY id NULLS FIRST, name
"""


def listing(
    session: Session, spec: Spec, names: Sequence[str] | None = None
) -> list[TemporaryDatabase]:
    """Those of these names, or all."""
    rows = session.query(
        f"SELECT {_COLUMNS} FROM _devdb.listing"
        f" WHERE {_ENDS} AND ({{0}}::text[] IS NULL OR name = ANY ({{0}})) ORDER BY id",
        names,
    )
    return [_of_row(spec, row) for row in rows]


def with_others(session: Session, spec: Spec) -> tuple[list[Other], list[TemporaryDatabase]]:
    """All databases of the instance but Postgres' own: those that stay, by name, and those that
    end as `every` has them. One statement."""
    rows = session.query(_WITH_OTHERS, MAINTENANCE_DATABASE)
    others = [
        Other(name=name, kind=Kind(kind) if kind else None, size=size, sessions=clients)
        for entry, _, name, kind, *_, size, clients in rows
        if entry is None
    ]
    return others, [_of_row(spec, row) for row in rows if row[0] is not None]


def _of_row(spec: Spec, row: tuple[Any, ...]) -> TemporaryDatabase:
    entry, characters, name, kind, own_role, state, created, expires, age, left, size, clients = row
    return database(
        spec,
        name,
        password(spec, entry, characters) if own_role else None,
        kind=kind,
        state=state,
        created=created,
        expires=expires,
        age=timedelta(seconds=age),
        left=None if left is None else timedelta(seconds=left),
        size=size,
        sessions=clients,
    )


def database(
    spec: Spec, name: str, password: str | None, *, kind: str, state: str, **found: Any
) -> TemporaryDatabase:
    """The value for the one of that name, with what was found of it; `password` as of
    `endpoint`."""
    return TemporaryDatabase(
        name=name,
        role=USER if password is None else name,
        kind=Kind(kind),
        state=Stage(state),
        direct=endpoint(spec.direct, name, password),
        pooled=endpoint(spec.pooled, name, password),
        **found,
    )


def endpoint(superusers: Endpoint, name: str, password: str | None) -> Endpoint:
    """Where that one leads, but to the database of that name and as its role; without a `password`
    it has none of its own."""
    if password is None:
        return replace(superusers, database=name)
    return replace(superusers, user=name, password=password, database=name)


def password(spec: Spec, entry: int, characters: int = CHARACTERS) -> str:
    """The password of the role of the entry of that id; kept nowhere, since made of the id."""
    return spec.derive(f"temporary:{entry}")[:characters]


def one(session: Session, spec: Spec, name: str) -> TemporaryDatabase:
    """The one of that name.

    Raises NotFound.
    """
    for found in listing(session, spec, [name]):
        return found
    raise unknown(spec, name)


def unknown(spec: Spec, name: str) -> NotFound:
    """The error for a name that the registry does not have."""
    return NotFound(
        f"There is no temporary database '{name}' in '{spec.name}'.",
        "See what there is with `devdb temp ls`.",
    )


def no_database(spec: Spec, name: str, known: Iterable[str]) -> NotFound:
    """The error for a name that no database of the instance has; these are there."""
    there = list(known)
    return NotFound(
        f"There is no database '{masked(name)}' in '{spec.name}'.",
        f"{did_you_mean(name, there)}There are: {', '.join(there)}.",
    )


@contextmanager
def session(spec: Spec) -> Iterator[Session]:
    """A session in the maintenance database, with the registry installed there.

    Whatever goes wrong in it with the servers leaves it as a DevdbError. The locks taken in it
    are let go of at its end.
    """
    try:
        opened = sessions.direct(spec.direct, lock_timeout=_LOCK_TIMEOUT, durable=False)
    except wire.FAILURES as error:
        raise unreachable(spec, error) from None
    watch = blockers.Watch(spec, opened)
    try:
        with opened, watch:
            install(opened)
            yield opened
    except wire.FAILURES as error:
        if isinstance(error, Refused) and error.sqlstate == blockers.LOCKED:
            raise watch.error() from None
        raise failure(spec, error) from None


@contextmanager
def still(held: Session, spec: Spec) -> Iterator[Session]:
    """The session, or another one for what is left to do: one that is interrupted is closed."""
    if not held.closed:
        yield held
    else:
        with session(spec) as another:
            yield another


def unreachable(spec: Spec, error: Exception) -> DevdbError:
    """Why nobody can log in, in two lines."""
    if isinstance(error, wire.Stranger):
        return PortInUse(
            f"Port {spec.port} of instance '{spec.name}' is in use by {owner(spec.port)}.",
            f"Stop that, or move the instance: devdb up -n {spec.name} --port PORT",
        )
    if isinstance(error, Refused) and error.sqlstate == sessions.TOO_MANY:
        return DevdbError(
            f"'{spec.name}' lets nobody in: {connections.taken(spec)}.", connections.WAY_OUT
        )
    return EngineUnavailable(
        f"'{spec.name}' does not answer on port {spec.port}: {_first_line(error)}",
        f"Start it: devdb up -d -n {spec.name}; or see why: devdb logs -n {spec.name}",
    )


def failure(spec: Spec, error: Exception) -> DevdbError:
    """What the server said, without the statement it said it about: that can hold a verifier."""
    sqlstate = error.sqlstate if isinstance(error, Refused) else ""
    if sqlstate == DISK_FULL:
        return DiskFull(
            f"The disk of '{spec.name}' is full: {_first_line(error)}",
            "Make room (df -h; inodes: df -i), or drop what is not needed (`devdb temp ls`); what "
            "was half-made is gone.",
        )
    if sqlstate == IN_USE:
        return DevdbError(
            f"Postgres of '{spec.name}' said: {_first_line(error)}",
            "Disconnect what uses it (sessions, prepared transactions, slots), and try again.",
        )
    return DevdbError(
        f"Postgres of '{spec.name}' said: {_first_line(error)}",
        f"devdb logs -n {spec.name} has more; the next devdb command mends what is left half-done.",
    )


def _first_line(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text.strip().splitlines()[0].removesuffix(".") + "."


def install(session: Session) -> None:
    """Put the registry there, or bring an older devdb's up to date; idempotent."""
    if _installed(session) >= VERSION:
        return
    session.query("BEGIN")
    try:
        session.query("SELECT pg_advisory_xact_lock(hashtext('devdb temporary'))")
        if _installed(session) < VERSION:
            session.query(schema())
            session.query(f"COMMENT ON TABLE {SCHEMA}.databases IS 'devdb {VERSION}'")
        session.query("COMMIT")
    except Refused:
        session.query("ROLLBACK")
        raise


@functools.cache
def schema() -> str:
    """The registry in SQL; read once."""
    return Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")


def _installed(session: Session) -> int:
    # Asked of the catalogs' rows and not with to_regclass(): its answer comes from a cache that
    # may say "not there" long after another caller, whose lock this one waited for, has installed.
    rows = session.query(
        "SELECT obj_description(c.oid, 'pg_class')"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = {} AND c.relname = 'databases'",
        SCHEMA,
    )
    found = str(rows[0][0] if rows else "").removeprefix("devdb ")
    return int(found) if found.isdigit() else 0
