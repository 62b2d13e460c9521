"""The two databases that an instance cannot be without, made anew where somebody dropped them.

They are the user's: a project's own tools drop, rename and make databases as they like.
"""

from __future__ import annotations

from devdb import sessions
from devdb.model import DATABASE, MAINTENANCE_DATABASE, TEMPORARY_GROUP, Endpoint
from devdb.wire import Identifier, Refused, Session

NO_DATABASE = "3D000"
"""SQLSTATE: no database of that name, or its files are missing."""
_SHOWN = 5
"""Names of other databases in a note."""


def maintenance(endpoint: Endpoint, *, patience: float) -> tuple[Session, tuple[str, ...]]:
    """A session in the maintenance database, and in words that it had to be made anew.

    Raises wire.Refused and OSError as `sessions.direct` does.
    """
    try:
        return sessions.direct(endpoint, patience=patience), ()
    except Refused as refused:
        if refused.sqlstate != NO_DATABASE:
            raise
        missing = refused
    notes: tuple[str, ...] = ()
    for beside in ("template1", DATABASE):
        try:
            with sessions.direct(endpoint, database=beside, patience=patience) as session:
                notes = _make_database(session, MAINTENANCE_DATABASE)
        except Refused:
            continue
        gone = (
            f"the database '{MAINTENANCE_DATABASE}', where devdb keeps what it knows, was gone and "
            "is made anew; temporary databases from before are no longer known, nor dropped"
        )
        return sessions.direct(endpoint, patience=patience), (gone, *notes)
    raise missing


def ensure_main(session: Session) -> tuple[str, ...]:
    """Make the instance's database if it is not there; in words that it was made, else nothing.

    `session` is in the maintenance database. Raises wire.Refused and OSError.
    """
    if session.query("SELECT FROM pg_database WHERE datname = {}", DATABASE):
        return ()
    others = [str(name) for (name,) in session.query(_OTHERS)]
    notes = _make_database(session, DATABASE)
    gone = f"the database '{DATABASE}' was gone (dropped or renamed) and is made anew, empty"
    if others:
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        gone += f"; there are also: {', '.join(others[:_SHOWN])}{more}"
    return (gone, *notes)


def _make_database(session: Session, name: str) -> tuple[str, ...]:
    """Make the database, out of template0 where template1 is gone or in use; says so then."""
    try:
        session.query("CREATE DATABASE {}", Identifier(name))
    except Refused as refused:
        if refused.sqlstate in sessions.TAKEN:
            return ()  # somebody else was faster
        session.query("CREATE DATABASE {} TEMPLATE template0", Identifier(name))
        return (f"'{name}' is a copy of template0, as template1 cannot be copied: {refused}",)
    return ()


_OTHERS = f"""
SELECT datname FROM pg_database d
WHERE NOT datistemplate AND datname <> '{MAINTENANCE_DATABASE}' AND NOT EXISTS (
    SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
    WHERE m.member = d.datdba AND g.rolname = '{TEMPORARY_GROUP}')
ORDER BY datname
"""
