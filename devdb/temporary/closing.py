"""Keeping people out of a database for a moment, and letting them in again whatever happens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from devdb.model import Spec
from devdb.temporary import console

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]


@contextmanager
def closed(
    connection: Connection,
    spec: Spec,
    name: str,
    *,
    sessions_stay: bool = False,
    renamed: bool = False,
) -> Iterator[None]:
    """Nobody is in the database and nobody gets in; pooled clients wait, if they can.

    That is written down before, for the next devdb or the reaper to undo when this one is killed.
    With `sessions_stay` only the pooler's idle connections go. With `renamed` the database bears
    another name at the end, and no pooled client may stay with the old one.
    """
    connection.execute("SELECT _devdb.announce(%s)", [name])
    gone = False
    try:
        # Paused before it is closed: PgBouncer remembers a login that failed.
        console.pause(spec, [name])
        if not sessions_stay:
            connection.execute("SELECT _devdb.close(%s)", [name])
            connection.execute("SELECT _devdb.drain(%s)", [[name]])
        yield
        gone = renamed
    finally:
        if not connection.closed:
            reopen(connection, spec, [name], gone=gone)


def reopen(
    connection: Connection, spec: Spec, names: Sequence[str] | None, *, gone: bool = False
) -> list[str]:
    """Let people in again to the databases of these names, else to all that were left closed.

    With `gone` no pooled client may stay: the databases bear other names now.
    """
    chosen = None if names is None else list(names)
    rows = connection.execute("SELECT _devdb.reopen(%s)", [chosen])
    opened = [str(name) for (name,) in rows]
    if opened and console.resume(spec, opened, gone=gone):
        connection.execute("SELECT _devdb.resumed(%s)", [opened])
    return opened
