"""PgBouncer's admin console: letting go of databases that are to be copied, renamed or dropped.

Idle pooled connections keep a database from being dropped or copied, and one that is dropped
under PgBouncer leaves its next client hanging. KILL ends the pooled sessions of a name and makes
new clients of it wait; RESUME lets them in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

from devdb import pgbouncer
from devdb.model import Spec


def kill(spec: Spec, names: Sequence[str]) -> None:
    """End all pooled sessions on these databases and pause their names.

    A PgBouncer that does not answer holds no connections either: no error.
    """
    _tell(spec, "KILL {}", names)


def resume(spec: Spec, names: Sequence[str]) -> bool:
    """Let pooled clients of these names in again; False: PgBouncer did not take the order."""
    return _tell(spec, "RESUME {}", names)


def _tell(spec: Spec, order: LiteralString, names: Sequence[str]) -> bool:
    import contextlib

    import psycopg
    from psycopg import errors, sql

    if not names:
        return True
    try:
        with pgbouncer.console(spec) as connection:
            for name in names:
                # All it answers so is that there is nothing to do: not paused, not known.
                with contextlib.suppress(errors.ProtocolViolation):
                    connection.execute(sql.SQL(order).format(sql.Identifier(name)))
    except psycopg.OperationalError:
        return False
    return True
