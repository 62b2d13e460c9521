"""Giving everything in a database to one role, object by object."""

from __future__ import annotations

import functools
from itertools import islice
from pathlib import Path

from devdb import sessions
from devdb.model import Spec

_AT_ONCE = 200
"""Statements in a transaction: each holds a lock, and there is only room for so many."""


def hand_over(spec: Spec, name: str, *, major: int) -> None:
    """Give all that is in the database `name` to the role of that name; `major`: the server's.

    Not REASSIGN OWNED: it reaches other databases, and refuses the superuser's things.
    """
    with sessions.direct(spec.direct, database=name, durable=False, major=major) as session:
        # The origin's event triggers are not about this.
        session.query("SET session_replication_role = replica")
        session.query("SELECT set_config('devdb.owner', {}, false)", name)
        statements = (str(statement) for (statement,) in session.query(listing()))
        while some := ";\n".join(islice(statements, _AT_ONCE)):
            session.query(some)
        session.query(_EXTENSIONS)


@functools.cache
def listing() -> str:
    """The statement that lists the statements; read once."""
    return Path(__file__).with_name("ownership.sql").read_text(encoding="utf-8")


# There is no ALTER EXTENSION ... OWNER, and whoever may create a trusted extension may drop it too.
# Without this the copy of a temporary database would also keep the role of its origin from being
# dropped, as the owner of the extensions that it made.
_EXTENSIONS = """
WITH owner AS (
    SELECT oid FROM pg_roles WHERE rolname = current_setting('devdb.owner')
), handed_over AS (
    UPDATE pg_extension x SET extowner = owner.oid
    FROM owner
    WHERE extname <> 'plpgsql' AND (
        NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = extowner AND rolsuper)
        OR EXISTS (
            SELECT FROM pg_available_extension_versions v
            WHERE v.name = extname AND v.version = extversion AND v.trusted))
    RETURNING x.oid
), released AS (
    DELETE FROM pg_shdepend USING handed_over h
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND classid = 'pg_extension'::regclass AND objid = h.oid AND deptype = 'o'
)
INSERT INTO pg_shdepend (dbid, classid, objid, objsubid, refclassid, refobjid, deptype)
SELECT d.oid, 'pg_extension'::regclass, h.oid, 0, 'pg_authid'::regclass, owner.oid, 'o'
FROM handed_over h, owner, pg_database d WHERE d.datname = current_database();
"""
