"""Dropping temporary databases, and mending what a killed devdb left half-done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from devdb.errors import UsageError
from devdb.model import Spec
from devdb.temporary import closing, console, registry

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]


def drop(spec: Spec, names: Sequence[str], *, claimed: bool = False) -> list[str]:
    """Drop the temporary databases of these names and their roles; returns the names.

    Sessions on them are ended. Raises NotFound, before any is dropped, when one is unknown;
    UsageError when one is claimed, unless `claimed`.
    """
    import psycopg

    with registry.session(spec) as connection:
        try:
            return remove(connection, spec, names, claimed=claimed)
        except psycopg.DatabaseError as error:
            name = error.diag.message_primary or ""
            if error.sqlstate == registry.MISSING:
                raise registry.unknown(spec, name) from None
            if error.sqlstate == registry.CLAIMED:
                raise UsageError(
                    f"'{name}' is claimed: it is permanent.",
                    f"Drop it all the same with `devdb temp drop --claimed {name}`.",
                ) from None
            raise


def reap(spec: Spec) -> list[str]:
    """Drop what has expired or was left half-made, and resume_orphans(); returns the names."""
    with registry.session(spec) as connection:
        dropped = remove(connection, spec, None)
        closing.reopen(connection, spec, None)
        return dropped


def resume_orphans(spec: Spec) -> list[str]:
    """Open again what a killed devdb had closed; returns the names of those databases."""
    with registry.session(spec) as connection:
        return closing.reopen(connection, spec, None)


def remove(
    connection: Connection, spec: Spec, names: Sequence[str] | None, *, claimed: bool = False
) -> list[str]:
    """Drop the databases of these names, else all that are due, with role and entry.

    Of those that are due, one that resists is left to the next round; returns the others.
    """
    import psycopg
    from psycopg import sql

    chosen = None if names is None else list(names)
    rows = connection.execute("SELECT _devdb.seize(%s, %s)", [chosen, claimed])
    seized = [str(name) for (name,) in rows]
    resisting: dict[str, psycopg.Error] = {}
    try:
        if seized:
            console.pause(spec, seized)
            connection.execute("SELECT _devdb.drain(%s)", [seized])
        for name in seized:
            try:
                statement = sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name))
                connection.execute(statement)
            except psycopg.Error as error:
                resisting[name] = error
    finally:
        if not connection.closed:
            done = seized if console.resume(spec, seized, gone=True) else []
            connection.execute("SELECT _devdb.forget(), _devdb.resumed(%s)", [done])
    if resisting and (names is not None or connection.closed):
        raise next(iter(resisting.values()))
    return [name for name in dict.fromkeys(names or seized) if name not in resisting]
