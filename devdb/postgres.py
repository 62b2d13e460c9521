"""Postgres as devdb sets it up: its settings, who gets in, and what is put into new data."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from devdb import wire
from devdb.model import (
    CLAIMED_GROUP,
    LOOKUP_SCHEMA,
    MAINTENANCE_DATABASE,
    POOLER_ROLE,
    TEMPORARY_GROUP,
    USER,
    Endpoint,
    Spec,
)

if TYPE_CHECKING:
    import psycopg

NEWEST_MAJOR = 18
OLDEST_MAJOR = 13

_SCRAM_ITERATIONS = 4096
_SETUP_VERSION = 3


def settings(spec: Spec) -> dict[str, str]:
    """The Postgres settings of the instance, the user's last; ports and paths are the engine's.

    Names in lower case: Postgres does not tell them apart. `config.allowed` has looked at them.
    """
    return {
        "password_encryption": "scram-sha-256",
        "max_connections": "100",
        "timezone": "UTC",
        "log_timezone": "UTC",
        **{name.lower(): value for name, value in spec.settings},
    }


def conf(settings: Mapping[str, str], *, data: str) -> str:
    """The text of a `postgresql.conf`: what that of the data directory has, then these.

    `data` is the data directory as the server sees it. A file and not arguments: nothing but the
    quoting here stands between a value and the server, whatever an entry point's shell makes of
    quotes and newlines.
    """
    lines = [f"include_if_exists {_quoted(f'{data}/postgresql.conf')}\n"]
    lines += (f"{name} = {_quoted(value)}\n" for name, value in settings.items())
    return "".join(lines)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return "'{}'".format(escaped.replace("\n", "\\n").replace("\r", "\\r"))


ASK_TLS = ("-C", "ssl_library", "-c", "config_file=/dev/null", "-D")
"""The arguments, with any directory after them, that make `postgres` print whether it can do TLS.

It prints an empty line when it cannot. No server and no data, and root may ask too.
"""
NO_TLS = "This Postgres was built without TLS: the direct URL cannot ask for it."


def has_tls(text: str) -> bool:
    """Whether the build that printed this when it was asked with ASK_TLS can do TLS."""
    return bool(text.strip())


def tls_settings(certificate: str, key: str) -> dict[str, str]:
    """The settings that let clients ask for TLS; paths as the server sees them.

    The key has to belong to the server's user, 0600, or to root, at most 0640. A build without
    TLS refuses to start with them.
    """
    return {"ssl": "on", "ssl_cert_file": certificate, "ssl_key_file": key}


def hba(*, pooler_everywhere: bool = False) -> str:
    """The whole of `pg_hba.conf`: scram for everybody, and each role where it belongs.

    `pooler_everywhere`: PgBouncer's role reaches every database, as one without `auth_dbname`
    needs it to. Not REVOKEs: the ACL of a database is not copied from its template, so every later
    CREATE DATABASE would be open to PUBLIC again.
    """
    lines = ["# written by devdb; changes are overwritten at the next start"]
    for kind, address in (("local", ""), ("host", "all")):
        lines += [
            f"{kind} {database} {role} {address} {method}"
            for database, role, method in (
                ("sameuser", f"+{TEMPORARY_GROUP},+{CLAIMED_GROUP}", "scram-sha-256"),
                ("all", f"+{TEMPORARY_GROUP},+{CLAIMED_GROUP}", "reject"),
                (MAINTENANCE_DATABASE, POOLER_ROLE, "scram-sha-256"),
                ("all", POOLER_ROLE, "scram-sha-256" if pooler_everywhere else "reject"),
                ("all", "all", "scram-sha-256"),
            )
        ]
    return "\n".join(lines) + "\n"


def verifier(password: str) -> str:
    """A SCRAM-SHA-256 verifier (RFC 5803, as `pg_authid` keeps it), so that SQL never has it plain.

    `password` is ASCII here (devdb makes them), so SASLprep has nothing to change.
    """
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _SCRAM_ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    b64 = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_SCRAM_ITERATIONS}:{b64[0]}${b64[1]}:{b64[2]}"


def connect(
    endpoint: Endpoint,
    *,
    database: str | None = None,
    timeout: float = 5,
    sslmode: str = "disable",
    **options: Any,
) -> psycopg.Connection[tuple[Any, ...]]:
    """An autocommit connection; `timeout` in seconds (whole ones, as libpq counts).

    The user's PGSSLMODE is not about this. Raises psycopg.OperationalError.
    """
    import psycopg

    return psycopg.connect(
        host=endpoint.host,
        port=endpoint.port,
        user=endpoint.user,
        password=endpoint.password,
        dbname=database or endpoint.database,
        connect_timeout=max(2, int(timeout)),
        autocommit=True,
        application_name="devdb",
        sslmode=sslmode,
        **options,
    )


def probe(endpoint: Endpoint) -> str | None:
    """The server's version, e.g. `17.6`, after a real login and a query; None: not yet."""
    try:
        return version(endpoint)
    except (wire.Refused, OSError):
        return None


def version(endpoint: Endpoint) -> str:
    """The same; raises wire.Refused with the server's no, OSError when there is no answer."""
    with wire.Session(endpoint) as session:
        return _version(session)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What a running server says of itself."""

    version: str
    started: datetime
    connections: int
    """Sessions of clients, ours not among them."""
    max_connections: int


def vitals(endpoint: Endpoint) -> Vitals | None:
    """Ask the server how it is; None when it lets nobody in."""
    import psycopg

    try:
        with connect(endpoint, database=MAINTENANCE_DATABASE, timeout=2) as connection:
            return ask(connection)
    except psycopg.Error:
        return None


def ask(connection: psycopg.Connection[tuple[Any, ...]]) -> Vitals:
    """How the server at the other end is; raises psycopg.Error."""
    row = connection.execute(_VITALS).fetchone()
    assert row is not None
    return Vitals(
        version=str(row[0]).split()[0], started=row[1], connections=row[2], max_connections=row[3]
    )


_VITALS = """
SELECT current_setting('server_version'), pg_postmaster_start_time(),
       (SELECT count(*) FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()),
       current_setting('max_connections')::int
"""


def databases(endpoint: Endpoint) -> tuple[tuple[str, int], ...] | None:
    """Names and sizes (bytes) of the databases that are not Postgres' own; None: not reachable."""
    import psycopg

    try:
        with connect(endpoint, database=MAINTENANCE_DATABASE) as connection:
            rows = connection.execute(
                "SELECT datname, pg_database_size(oid) FROM pg_database "
                "WHERE NOT datistemplate AND datname <> %s ORDER BY datname",
                (MAINTENANCE_DATABASE,),
            ).fetchall()
    except psycopg.Error:
        return None
    return tuple((str(name), int(size)) for name, size in rows)


def ensure_database(endpoint: Endpoint, name: str) -> bool | None:
    """Make the database if it is not there; whether it was made, None when nobody lets us in."""
    import psycopg
    from psycopg import errors, sql

    try:
        with connect(endpoint, database=MAINTENANCE_DATABASE) as connection:
            found = connection.execute("SELECT FROM pg_database WHERE datname = %s", (name,))
            if found.fetchone() is not None:
                return False
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except errors.DuplicateDatabase:
        return False
    except psycopg.OperationalError:
        return None
    return True


def set_up(spec: Spec, *, lookup_everywhere: bool = False) -> str | None:
    """Log in directly and put devdb's roles and functions there; idempotent.

    Returns the server's version, None when there is no server yet. Called at every start, so
    that an instance made by an older devdb gets what a newer one needs. `lookup_everywhere`
    puts the auth query's function into every database, and into template1 for those to come.
    Raises wire.Refused with the server's no.
    """
    try:
        with wire.Session(spec.direct, database=MAINTENANCE_DATABASE) as session:
            found = _version(session)
            if not _is_installed(session):
                session.query(_UNLOGGED)
                session.query(_roles(spec) + LOOKUP)
            others = session.query(_OTHERS) if lookup_everywhere else []
        for (database,) in others:
            with wire.Session(spec.direct, database=database) as session:
                if not _is_installed(session):
                    session.query(LOOKUP)
    except OSError:
        return None
    return found


def set_password(endpoint: Endpoint, password: str) -> bool:
    """Give the endpoint's user that password; SQL gets the verifier only. False: not yet.

    Raises wire.Refused with the server's no.
    """
    try:
        with wire.Session(endpoint, database=MAINTENANCE_DATABASE) as session:
            session.query(_UNLOGGED)
            session.query(f"ALTER ROLE {endpoint.user} PASSWORD '{verifier(password)}'")
    except OSError:
        return False
    return True


def knows_password(endpoint: Endpoint) -> bool:
    """False when the server refuses the password; True also when it cannot be asked."""
    try:
        wire.Session(endpoint, database=MAINTENANCE_DATABASE).close()
    except wire.Refused as refused:
        return refused.sqlstate != _INVALID_PASSWORD
    except OSError:
        return True
    return True


def _version(session: wire.Session) -> str:
    return str(session.query("SHOW server_version")[0][0]).split()[0]


def _is_installed(session: wire.Session) -> bool:
    return session.query(_COMMENT) == [(f"devdb {_SETUP_VERSION}",)]


def _roles(spec: Spec) -> str:
    """SQL that makes the roles; names and verifier are devdb's own, with nothing to quote."""
    make = "".join(
        f"IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN\n"
        f"    CREATE ROLE {role};\nEND IF;\n"
        for role in (TEMPORARY_GROUP, CLAIMED_GROUP, POOLER_ROLE)
    )
    return f"""
SELECT pg_advisory_xact_lock(hashtext('devdb set_up'));
DO $$ BEGIN {make} END $$;
ALTER ROLE {POOLER_ROLE} LOGIN PASSWORD '{verifier(spec.pooler_password)}';
ALTER ROLE {POOLER_ROLE} SET search_path = pg_catalog;
{_NO_LIMITS}
"""


# What the user has for a timeout is about the user's statements: PgBouncer's question, cut short,
# would keep everybody out. Not every version knows each of them.
_NO_LIMITS = f"""
DO $$ DECLARE timeout text; BEGIN
    FOR timeout IN SELECT name FROM pg_settings WHERE name IN ('statement_timeout', 'lock_timeout',
        'transaction_timeout', 'idle_session_timeout', 'idle_in_transaction_session_timeout')
    LOOP EXECUTE format('ALTER ROLE {POOLER_ROLE} SET %I = 0', timeout); END LOOP;
END $$;
"""
# The user's settings may have every statement logged, and no verifier belongs in a log.
_UNLOGGED = "SET log_statement = 'none'; SET log_min_duration_statement = -1"
_INVALID_PASSWORD = "28P01"  # noqa: S105 - a SQLSTATE
_COMMENT = f"SELECT obj_description(oid) FROM pg_namespace WHERE nspname = '{LOOKUP_SCHEMA}'"
_OTHERS = f"""
SELECT datname FROM pg_database WHERE datallowconn AND datname <> '{MAINTENANCE_DATABASE}'
"""

LOOKUP = f"""
SET allow_system_table_mods = on;
CREATE SCHEMA IF NOT EXISTS {LOOKUP_SCHEMA} AUTHORIZATION {USER};
RESET allow_system_table_mods;
REVOKE ALL ON SCHEMA {LOOKUP_SCHEMA} FROM PUBLIC;
GRANT USAGE ON SCHEMA {LOOKUP_SCHEMA} TO {POOLER_ROLE};
CREATE OR REPLACE FUNCTION {LOOKUP_SCHEMA}.lookup(INOUT username text, OUT verifier text)
RETURNS record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT rolname::text,
           CASE WHEN rolvaliduntil IS NULL OR rolvaliduntil > now() THEN rolpassword END
    FROM pg_authid WHERE rolname = username AND rolcanlogin
$$;
REVOKE ALL ON FUNCTION {LOOKUP_SCHEMA}.lookup FROM PUBLIC;
GRANT EXECUTE ON FUNCTION {LOOKUP_SCHEMA}.lookup TO {POOLER_ROLE};
COMMENT ON SCHEMA {LOOKUP_SCHEMA} IS 'devdb {_SETUP_VERSION}';
"""
"""SQL that makes what PgBouncer's auth_query asks.

It lets nobody in past VALID UNTIL, because the verifier it gets then is null.
"""
