"""A temporary database as a copy of another one, with everything in it handed to its new role."""

from __future__ import annotations

from dataclasses import dataclass, replace

from devdb.errors import DevdbError, NotFound, UsageError
from devdb.model import MAINTENANCE_DATABASE, Spec
from devdb.temporary import closing, console, ownership, registry
from devdb.temporary.database import Stage
from devdb.wire import Identifier, Session

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


def find(session: Session, spec: Spec, name: str) -> Origin:
    """The database of that name.

    Raises NotFound; UsageError when it is the maintenance database; DevdbError when it is a
    temporary one that has expired.
    """
    if name == MAINTENANCE_DATABASE:
        raise UsageError(
            f"'{name}' is the maintenance database, which devdb itself uses.",
            "Copy another one, e.g. `--from main`.",
        )
    rows = session.query(
        "SELECT pg_database_size(oid), datallowconn AND NOT datistemplate"
        " FROM pg_database WHERE datname = {}",
        name,
    )
    if not rows:
        raise NotFound(
            f"There is no database '{name}' in '{spec.name}'.",
            "`devdb psql -- -l` lists them.",
        )
    for known in registry.listing(session, spec, [name]):
        if known.state not in (Stage.READY, Stage.CLAIMED):
            raise DevdbError(
                f"'{name}' cannot be copied: it is {known.state}.", "Copy another database."
            )
    [(size, pooled)] = rows
    return Origin(name=name, size=size, pooled=pooled)


def copy(session: Session, spec: Spec, origin: Origin, name: str) -> None:
    """Make the database `name` as a copy; the role of that name owns it and all that is in it.

    The sessions on the origin are ended, pooled ones only if they are in a transaction, and it
    lets nobody in while it is copied.
    """
    with closing.closed(session, spec, origin.name):
        how = strategy(session, size=origin.size)
        statement = f"CREATE DATABASE {{0}} OWNER {{0}} TEMPLATE {{1}} {how}"
        session.query(statement, Identifier(name), Identifier(origin.name))
    if origin.pooled:
        console.settle(replace(spec.pooled, database=origin.name))
    ownership.hand_over(spec, name, major=session.major)


def strategy(session: Session, *, size: int) -> str:
    """How CREATE DATABASE is to copy a template of that many bytes, as an option of it."""
    if session.major < 15:
        return ""
    if size >= _LARGE or (session.major >= 18 and _clones(session)):
        return "STRATEGY file_copy"
    return "STRATEGY wal_log"


def _clones(session: Session) -> bool:
    """Whether the file system was said to share blocks between copies: files are fastest then."""
    return session.query("SELECT current_setting('file_copy_method')") == [("clone",)]
