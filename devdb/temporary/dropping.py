"""Dropping temporary databases, and mending what a killed devdb left half-done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from devdb.errors import UsageError
from devdb.model import Spec
from devdb.temporary import console, registry
from devdb.temporary.database import State

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]


def drop(spec: Spec, names: Sequence[str], *, claimed: bool = False) -> list[str]:
    """Drop the temporary databases of these names and their roles; returns the names.

    Sessions on them are ended. Raises NotFound, before any is dropped, when one is unknown;
    UsageError when one is claimed, unless `claimed`.
    """
    with registry.session(spec) as connection:
        states = dict(
            connection.execute(
                "SELECT name, state FROM _devdb.temporary WHERE name = ANY (%s)", [list(names)]
            ).fetchall()
        )
        for name in names:
            if name not in states:
                raise registry.unknown(spec, name)
            if states[name] == State.CLAIMED and not claimed:
                raise UsageError(
                    f"'{name}' is claimed: it is permanent.",
                    f"Drop it all the same with `devdb temp drop --claimed {name}`.",
                )
        return remove(connection, spec, list(states), claimed=claimed)


def reap(spec: Spec) -> list[str]:
    """Drop what has expired or was left half-made, and resume_orphans(); returns the names."""
    with registry.session(spec) as connection:
        dropped = remove(connection, spec, None)
        reopen(connection, spec, None)
        return dropped


def resume_orphans(spec: Spec) -> list[str]:
    """Open again what a killed devdb had closed; returns the names of those databases."""
    with registry.session(spec) as connection:
        return reopen(connection, spec, None)


def remove(
    connection: Connection, spec: Spec, names: Sequence[str] | None, *, claimed: bool = False
) -> list[str]:
    """Drop the databases of these names, else all that are due, with role and entry."""
    from psycopg import sql

    seized = _names(connection.execute("SELECT _devdb.seize(%s, %s)", [_list(names), claimed]))
    if seized:
        try:
            console.kill(spec, seized)
            connection.execute("SELECT _devdb.drain(%s)", [seized])
            for name in seized:
                connection.execute(
                    sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name))
                )
        finally:
            if not connection.closed:
                reopen(connection, spec, seized)
    connection.execute("SELECT _devdb.forget()")
    return list(names) if names is not None else seized


def reopen(connection: Connection, spec: Spec, names: Sequence[str] | None) -> list[str]:
    """Let people in again to the databases of these names, else to all left closed."""
    closed = _names(connection.execute("SELECT _devdb.reopen(%s)", [_list(names)]))
    if closed and console.resume(spec, closed):
        connection.execute("SELECT _devdb.resumed(%s)", [closed])
    return closed


def _names(rows: Iterable[tuple[Any, ...]]) -> list[str]:
    return [str(name) for (name,) in rows]


def _list(names: Sequence[str] | None) -> list[str] | None:
    return None if names is None else list(names)
