"""A temporary database as a copy of another one, with everything in it handed to its new role."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from devdb.errors import DevdbError, NotFound, UsageError
from devdb.model import MAINTENANCE_DATABASE, Spec
from devdb.temporary import closing, console, ownership, registry
from devdb.temporary.database import State

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

    Connection = psycopg.Connection[tuple[Any, ...]]

_LARGE = 32 * 1024 * 1024
"""Bytes from which on copying files beats writing every block to the WAL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A database that can be copied."""

    name: str
    size: int
    """In bytes."""
    pooled: bool
    """Whether clients may come through the pooler: it is no template, and it is open."""


def find(connection: Connection, spec: Spec, name: str) -> Origin:
    """The database of that name.

    Raises NotFound; UsageError when it is the maintenance database; DevdbError when it is a
    temporary one that has expired.
    """
    if name == MAINTENANCE_DATABASE:
        raise UsageError(
            f"'{name}' is the maintenance database, which devdb itself uses.",
            "Copy another one, e.g. `--from main`.",
        )
    row = connection.execute(
        "SELECT pg_database_size(oid), datallowconn AND NOT datistemplate"
        " FROM pg_database WHERE datname = %s",
        [name],
    ).fetchone()
    if row is None:
        raise NotFound(
            f"There is no database '{name}' in '{spec.name}'.",
            "`devdb psql -- -l` lists them.",
        )
    for known in registry.listing(connection, spec, [name]):
        if known.state not in (State.READY, State.CLAIMED):
            raise DevdbError(
                f"'{name}' cannot be copied: it is {known.state}.", "Copy another database."
            )
    return Origin(name=name, size=int(row[0]), pooled=bool(row[1]))


def copy(connection: Connection, spec: Spec, origin: Origin, name: str) -> None:
    """Make the database `name` as a copy; the role of that name owns it and all that is in it.

    The sessions on the origin are ended, pooled ones only if they are in a transaction, and it
    lets nobody in while it is copied.
    """
    from psycopg import sql

    with closing.closed(connection, spec, origin.name):
        connection.execute(
            sql.SQL("CREATE DATABASE {0} OWNER {0} TEMPLATE {1} {2}").format(
                sql.Identifier(name),
                sql.Identifier(origin.name),
                strategy(connection, size=origin.size),
            )
        )
    if origin.pooled:
        console.settle(replace(spec.pooled, database=origin.name))
    ownership.hand_over(spec, name)


def strategy(connection: Connection, *, size: int) -> sql.SQL:
    """How CREATE DATABASE is to copy a template of that many bytes."""
    from psycopg import sql

    version = connection.info.server_version
    if version < 150000:
        return sql.SQL("")
    if size >= _LARGE or (version >= 180000 and _clones(connection)):
        return sql.SQL("STRATEGY file_copy")
    return sql.SQL("STRATEGY wal_log")


def _clones(connection: Connection) -> bool:
    """Whether the file system was said to share blocks between copies: files are fastest then."""
    row = connection.execute("SELECT current_setting('file_copy_method')").fetchone()
    return row is not None and row[0] == "clone"
