"""A temporary database as a copy of another one, with everything in it handed to its new role."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace

from devdb.databases import closing, console, ownership, registry
from devdb.databases.database import Stage
from devdb.errors import DevdbError, UsageError
from devdb.model import MAINTENANCE_DATABASE, Spec
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
    is_open: bool = True
    """Whether anybody gets in."""


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
        "SELECT pg_database_size(oid), datallowconn AND NOT datistemplate, datallowconn"
        " FROM pg_database WHERE datname = {}",
        name,
    )
    if not rows:
        others, ends = registry.with_others(session, spec)
        there = [*(each.name for each in others), *(each.name for each in ends)]
        raise registry.no_database(spec, name, there)
    for known in registry.listing(session, spec, [name]):
        if known.state not in (Stage.READY, Stage.CLAIMED):
            raise DevdbError(
                f"'{name}' cannot be copied: it is {known.state}.", "Copy another database."
            )
    [(size, pooled, is_open)] = rows
    if not is_open:
        session.query("SELECT _devdb.drain({})", [name])  # who was in it before it was closed
    return Origin(name=name, size=size, pooled=pooled, is_open=is_open)


def copy(session: Session, spec: Spec, origin: Origin, name: str, owner: str | None = None) -> None:
    """Make the database `name` as a copy, with what the origin is set to; the role of that name
    owns it and all that is in it. An `owner` has all that was his in the origin, and no more.

    The sessions on the origin are ended, pooled ones only if they are in a transaction, and it
    lets nobody in while it is copied.
    """
    closed = closing.closed(session, spec, origin.name) if origin.is_open else nullcontext()
    with closed:
        how = strategy(session, size=origin.size)
        statement = f"CREATE DATABASE {{}} OWNER {{}} TEMPLATE {{}} {how}"
        session.query(statement, *map(Identifier, (name, owner or name, origin.name)))
    if origin.pooled:
        console.settle(replace(spec.pooled, database=origin.name))
    session.query("SELECT _devdb.copy_settings({}, {})", origin.name, name)
    if owner is None:
        ownership.hand_over(spec, name, major=session.major)


def strategy(session: Session, *, size: int) -> str:
    """How CREATE DATABASE is to copy a template of that many bytes, as an option of it."""
    if session.major < 15:
        return ""
    if size >= _LARGE or _are_files_faster(session):
        return "STRATEGY file_copy"
    return "STRATEGY wal_log"


def _are_files_faster(session: Session) -> bool:
    """Whether nothing waits for the disk, or the file system was said to share blocks."""
    [(fsync, method)] = session.query(
        "SELECT current_setting('fsync'), current_setting('file_copy_method', true)"
    )
    return bool(fsync == "off" or method == "clone")
