"""The extensions that a seed needs and its role may not make: made before it gets in.

A script of an extension runs as the superuser, so nobody may have put anything into the database
before it does: https://www.postgresql.org/docs/current/extend-extensions.html, on security.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from devdb import sessions
from devdb.errors import DevdbError
from devdb.model import Spec
from devdb.wire import Identifier, Refused, Session

HEAD = 4 << 20
"""Bytes of a script in which its extensions are looked for: pg_dump puts them before all data."""

_HARMLESS = frozenset(
    """
    address_standardizer amcheck autoinc bloom earthdistance h3 hll hypopg insert_username
    intagg ip4r moddatetime pageinspect pg_bigm pg_buffercache pg_freespacemap pg_prewarm
    pg_similarity pg_stat_statements pg_uuidv7 pg_visibility pg_walinspect pgrouting pgrowlocks
    pgstattuple pgtap postgis postgis_sfcgal postgis_tiger_geocoder postgis_topology
    postgres_fdw prefix q3c refint roaringbitmap rum semver sslinfo tdigest temporal_tables
    topn vector
    """.split()
)
"""Not trusted, and made all the same: types, functions and indexes, or functions that their script
keeps from everybody. None of them reaches files, programs, the network or another database by what
it lets anybody do (as dblink, http, pg_cron and the languages ending in u do)."""

_CREATE = re.compile(
    rb"^\s*CREATE\s+EXTENSION\s+(?:IF\s+NOT\s+EXISTS\s+)?(?:\"([^\"\n]+)\"|([\w-]+))"
    rb"(?:\s+WITH)?(?:\s+SCHEMA\s+(?:\"([^\"\n]+)\"|(\w+)))?",
    re.IGNORECASE | re.MULTILINE,
)

_INSTALLED = """
SELECT extname::text, nspname::text FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace
"""
_AVAILABLE = """
SELECT v.name::text, v.trusted, v.schema::text, array_to_string(v.requires, ',')
FROM pg_available_extensions a
JOIN pg_available_extension_versions v ON v.name = a.name AND v.version = a.default_version
"""
# What a dump holds of an extension is its own rows of a table, e.g. of spatial_ref_sys.
_TABLES = """
SELECT format('GRANT ALL ON %s TO %I', c.oid::regclass, {})
FROM pg_depend d JOIN pg_class c ON c.oid = d.objid
WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'e' AND c.relkind IN ('r', 'p', 'S')
  AND d.refclassid = 'pg_extension'::regclass
  AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = {})
"""


def named(head: bytes) -> Iterator[tuple[str, str | None]]:
    """The extensions that a script makes, and the schema of each, if it says one.

    One that is named in data or a text is among them: making a harmless one too many is harmless.
    """
    for found in _CREATE.finditer(head):
        quoted, bare, quoted_schema, schema = (
            (part or b"").decode(errors="replace") for part in found.groups()
        )
        yield quoted or bare.lower(), quoted_schema or schema.lower() or None


def prepare(spec: Spec, database: str, head: bytes, *, major: int, empty: bool) -> dict[str, str]:
    """The database's extensions, each with its schema, after those were made that have to be.

    Only where it is `empty`. `head` is the beginning of the script. Raises DevdbError.
    """
    with sessions.direct(spec.direct, database=database, durable=False, major=major) as session:
        wanted = dict(named(head)) if empty else {}
        if wanted.keys() & _HARMLESS:
            available = {name: about for name, *about in session.query(_AVAILABLE)}
            for name, schema in wanted.items():
                _make_extension(session, name, schema, database, available)
        return dict(session.query(_INSTALLED))


def _make_extension(
    session: Session,
    name: str,
    schema: str | None,
    role: str,
    available: dict[str, list[object]],
) -> None:
    trusted, fixed, requires = available.get(name, (True, None, None))
    if trusted or name not in _HARMLESS or name in dict(session.query(_INSTALLED)):
        return
    where = "public"
    try:
        for other in str(requires or "").split(",") if requires else ():
            if available.get(other, [True])[0]:
                # Its own role could make it, and owns nothing of what is made for it here.
                _create(session, other, where)
            else:
                _make_extension(session, other, schema, role, available)
        if fixed is None:
            where = schema or where
            session.query(
                "CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}",
                Identifier(where),
                Identifier(role),
            )
        _create(session, name, None if fixed else where)
        for (grant,) in session.query(_TABLES, role, name):
            session.query(str(grant))
    except Refused as refused:
        raise DevdbError(
            f"The extension '{name}' of the seed cannot be made: {refused.message}.",
            "Look at `devdb logs`; nothing is left of this.",
        ) from None


def _create(session: Session, name: str, schema: str | None) -> None:
    if schema is None:
        session.query("CREATE EXTENSION IF NOT EXISTS {}", Identifier(name))
    else:
        session.query(
            "CREATE EXTENSION IF NOT EXISTS {} SCHEMA {}", Identifier(name), Identifier(schema)
        )
