"""Postgres as devdb sets it up: its settings, who gets in, and what is put into new data."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from devdb import essentials, sessions, wire
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
from devdb.wire import Identifier, Session

NEWEST_MAJOR = 18

_SETUP_VERSION = 3


OWN_SETTINGS = {
    "password_encryption": "scram-sha-256",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
"""What devdb sets itself; the user's settings go over it."""


def settings(spec: Spec) -> dict[str, str]:
    """The Postgres settings of the instance, the user's last; ports and paths are the engine's.

    Names in lower case: Postgres does not tell them apart. `config.allowed` has looked at them.
    """
    return {
        **OWN_SETTINGS,
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


def verifier(password: str, rounds: int = 4096) -> str:
    """A SCRAM-SHA-256 verifier (RFC 5803, as `pg_authid` keeps it), so that SQL never has it plain.

    `password` is ASCII here (devdb makes them), so SASLprep has nothing to change. More `rounds` of
    hashing make it slower to guess one that is not random, and each login.
    """
    salt = secrets.token_bytes(16)
    client, server = wire.scram_keys(password.encode(), salt, rounds)
    stored = hashlib.sha256(client).digest()
    b64 = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${rounds}:{b64[0]}${b64[1]}:{b64[2]}"


def probe(endpoint: Endpoint) -> str | None:
    """The server's version, e.g. `17.6`, after a real login and a query; None: not yet."""
    try:
        return sessions.version(endpoint)
    except wire.FAILURES:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresHealth:
    """What a running server says of itself."""

    version: str
    started: datetime
    connections: int
    """Sessions of clients, ours not among them."""
    max_connections: int
    full: bool
    """Whether all of them are taken, so that it has no room for another client."""


def health(endpoint: Endpoint) -> PostgresHealth | None:
    """Ask the server how it is; None when it lets nobody in."""
    try:
        with sessions.direct(endpoint, timeout=2, patience=5) as session:
            return ask(session)
    except wire.FAILURES:
        return None


def ask(session: Session) -> PostgresHealth:
    """How the server at the other end is; raises wire.Refused, OSError."""
    [(started, connections, max_connections, full)] = session.query(_HEALTH)
    return PostgresHealth(
        version=session.version,
        started=started,
        connections=connections,
        max_connections=max_connections,
        full=full,
    )


_HEALTH = """
SELECT pg_postmaster_start_time(),
       (SELECT count(*) FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()),
       current_setting('max_connections')::int,
       (SELECT backend_type = 'walsender' FROM pg_stat_activity WHERE pid = pg_backend_pid())
"""


def databases(endpoint: Endpoint) -> tuple[tuple[str, int], ...] | None:
    """Names and sizes (bytes) of the databases that are not Postgres' own; None: not reachable."""
    try:
        with sessions.direct(endpoint) as session:
            rows = session.query(
                "SELECT datname, pg_database_size(oid) FROM pg_database "
                "WHERE NOT datistemplate AND datname <> {} ORDER BY datname",
                MAINTENANCE_DATABASE,
            )
    except wire.FAILURES:
        return None
    return tuple((str(name), int(size)) for name, size in rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUp:
    """A server that has all that devdb needs."""

    version: str
    notes: tuple[str, ...] = ()
    """What was gone of it and had to be made anew, in words for the user."""


def set_up(spec: Spec, *, lookup_everywhere: bool = False, makes_main: bool = True) -> SetUp | None:
    """Log in directly and put devdb's roles, functions and databases there; idempotent.

    None when there is no server yet. Called at every start, so that an instance made by an older
    devdb gets what a newer one needs. `lookup_everywhere` puts the auth query's function into every
    database, and into template1 for those to come. Without `makes_main` somebody else sees to the
    instance's own database. Raises wire.Refused with the server's no.
    """
    try:
        session, notes = essentials.maintenance(spec.direct, patience=_PATIENCE)
        with session:
            found = session.version
            if not _is_installed(session):
                session.query(_roles(spec) + LOOKUP)
            if makes_main:
                notes = (*essentials.ensure_main(session), *notes)
            others = session.query(_OTHERS) if lookup_everywhere else []
            major = session.major
        for (database,) in others:
            with sessions.direct(
                spec.direct, database=database, patience=_PATIENCE, major=major
            ) as session:
                if not _is_installed(session):
                    session.query(LOOKUP)
    except OSError:
        return None
    return SetUp(version=found, notes=notes)


def set_password(endpoint: Endpoint, spec: Spec) -> bool:
    """Give the endpoint's user the instance's password; SQL gets the verifier only. False: not yet.

    Raises wire.Refused with the server's no.
    """
    try:
        with sessions.direct(endpoint, patience=_PATIENCE) as session:
            made = verifier(spec.password, spec.scram_rounds)
            session.query("ALTER ROLE {} PASSWORD {}", Identifier(endpoint.user), made)
    except OSError:
        return False
    return True


def passwords(spec: Spec) -> str:
    """SQL for a single-user server that sets the passwords of the superuser and of PgBouncer's
    role; a statement a line, as such a server reads them."""
    pairs = ((USER, spec.password), (POOLER_ROLE, spec.pooler_password))
    return "".join(f"ALTER ROLE {role} PASSWORD '{verifier(word)}';\n" for role, word in pairs)


SINGLE_USER = ("--single", "-c", "log_statement=none", "-c", "log_min_error_statement=panic")
"""The arguments of a server that reads SQL from its stdin, of whoever starts it, and ends with it;
no verifier goes into a log."""


def settings_in(conf: str) -> tuple[tuple[str, str], ...]:
    """What the user set in a text that `conf` made: all but devdb's own, as in `Spec.settings`."""
    found, own = {}, {**OWN_SETTINGS, "ssl": "on"}
    for name, value in re.findall(r"^([\w.]+) = '(.*)'$", conf, re.MULTILINE):
        text = re.sub(r"\\(.)|''", lambda m: _UNQUOTED.get(m[1], m[1] or "'"), value)
        if own.get(name) != text and name not in ("ssl_cert_file", "ssl_key_file"):
            found[name] = text
    return tuple(sorted(found.items()))


_UNQUOTED = {"n": "\n", "r": "\r"}


def knows_password(endpoint: Endpoint) -> bool:
    """False when the server refuses the password; True also when it cannot be asked."""
    try:
        sessions.direct(endpoint).close()
    except wire.Refused as refused:
        return refused.sqlstate != sessions.INVALID_PASSWORD
    except OSError:
        return True
    return True


def _is_installed(session: Session) -> bool:
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
ALTER ROLE {POOLER_ROLE} LOGIN PASSWORD '{verifier(spec.pooler_password, spec.scram_rounds)}';
ALTER ROLE {POOLER_ROLE} SET search_path = pg_catalog;
{_NO_LIMITS}
"""


_PATIENCE = 30
"""Seconds for what takes milliseconds, unless somebody holds a lock on it."""

# What the user has for a timeout is about the user's statements: PgBouncer's question, cut short,
# would keep everybody out. Not every version knows each of them.
_NO_LIMITS = f"""
DO $$ DECLARE timeout text; BEGIN
    FOR timeout IN SELECT name FROM pg_settings WHERE name IN ('statement_timeout', 'lock_timeout',
        'transaction_timeout', 'idle_session_timeout', 'idle_in_transaction_session_timeout')
    LOOP EXECUTE format('ALTER ROLE {POOLER_ROLE} SET %I = 0', timeout); END LOOP;
END $$;
"""
_COMMENT = f"SELECT obj_description(oid) FROM pg_namespace WHERE nspname = '{LOOKUP_SCHEMA}'"
# Not those of temporary and claimed databases, where somebody else makes what is in them: they are
# copies of databases that have it. Nor those whose DROP DATABASE was cut short (-2).
_OTHERS = f"""
SELECT datname FROM pg_database d
WHERE datallowconn AND datconnlimit <> -2 AND datname <> '{MAINTENANCE_DATABASE}' AND NOT EXISTS (
    SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
    WHERE m.member = d.datdba AND g.rolname IN ('{TEMPORARY_GROUP}', '{CLAIMED_GROUP}'))
"""

LOOKUP = f"""
SET allow_system_table_mods = on;
CREATE SCHEMA IF NOT EXISTS {LOOKUP_SCHEMA} AUTHORIZATION {USER};
RESET allow_system_table_mods;
REVOKE ALL ON SCHEMA {LOOKUP_SCHEMA} FROM PUBLIC;
GRANT USAGE ON SCHEMA {LOOKUP_SCHEMA} TO {POOLER_ROLE};
CREATE OR REPLACE FUNCTION {LOOKUP_SCHEMA}.lookup(INOUT username text, OUT verifier text)
RETURNS record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT rolname::text,
           CASE WHEN rolvaliduntil IS NULL OR rolvaliduntil > now() THEN rolpassword END
    FROM pg_catalog.pg_authid WHERE rolname = username AND rolcanlogin
$$;
REVOKE ALL ON FUNCTION {LOOKUP_SCHEMA}.lookup FROM PUBLIC;
GRANT EXECUTE ON FUNCTION {LOOKUP_SCHEMA}.lookup TO {POOLER_ROLE};
COMMENT ON SCHEMA {LOOKUP_SCHEMA} IS 'devdb {_SETUP_VERSION}';
"""
"""SQL that makes what PgBouncer's auth_query asks.

It lets nobody in past VALID UNTIL, because the verifier it gets then is null.
"""
