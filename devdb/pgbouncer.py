"""PgBouncer as devdb sets it up: its ini, its userlist, and what its version can do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from devdb.model import (
    HOST,
    LOOKUP_SCHEMA,
    MAINTENANCE_DATABASE,
    POOLER_ROLE,
    USER,
    PoolMode,
    Spec,
)

if TYPE_CHECKING:
    import psycopg

ADMIN_DATABASE = "pgbouncer"
"""The name that PgBouncer keeps for its admin console."""

TRACKS_PREPARED = (1, 21)
"""The first version with `max_prepared_statements`; older ones refuse an ini that has it."""

AUTH_DBNAME = (1, 19)
"""The first version with `auth_dbname`; older ones run the auth query in the target database."""

POOL = 20
"""Connections, PgBouncer's own default, where Postgres has its own default of 100."""

NO_TLS = "This PgBouncer was built without TLS: the pooled URL cannot ask for it."

FIXED = (1, 25, 2)
"""The first version without CVE-2025-12819 and CVE-2026-6664 to 6667; by one of them a packet ends
PgBouncer before any password was asked for (https://www.pgbouncer.org/changelog.html)."""

_PATCHED = re.compile(r"1\.24\.1-1\+deb13u(?:[2-9]|[1-9]\d+)(?!\d).*")
"""Debian 13's package has those fixes as patches from its revision 2 on, and what is made of it
(`~bpo12+1`, `+b1`). A greater version of another line, say 1.24.1-2, need not have them."""

NEWER = "Get a newer one: scripts/up builds it, or name one: DEVDB_PGBOUNCER, --pooler-image."
"""What to do where `crash_warning` warns."""


def parse_version(text: str) -> tuple[int, int, int]:
    """The version in what `pgbouncer --version` prints, e.g. (1, 24, 1).

    Raises ValueError when there is none.
    """
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    if match is None:
        raise ValueError(f"no version in {text!r}")
    return int(match[1]), int(match[2]), int(match[3] or 0)


def crash_warning(version: tuple[int, int, int], package: str | None) -> str | None:
    """What anybody can do to this PgBouncer, in a sentence; None where they cannot.

    `package` is the version of the Debian package it is from or was built from, where that is
    known: the fixes may be in there as patches.
    """
    if version >= FIXED or _PATCHED.fullmatch(package or ""):
        return None
    found, fixed = (".".join(map(str, each)) for each in (version, FIXED))
    return (
        f"Whoever reaches the port of PgBouncer {found} can crash it with one packet, "
        f"without a password (fixed in {fixed})."
    )


def has_tls(text: str) -> bool:
    """Whether the build that printed this for `pgbouncer --version` can do TLS."""
    return re.search(r"^tls: ", text, re.MULTILINE) is not None


def tls_settings(certificate: str, key: str, ca: str) -> dict[str, str]:
    """What goes into the ini (`extra`) so that clients can ask for TLS; those that do not get in.

    A build without TLS refuses to start with them.
    """
    return {
        "client_tls_sslmode": "allow",
        "client_tls_cert_file": certificate,
        "client_tls_key_file": key,
        # Not to ask clients for certificates: without a file, and without the system's own CAs,
        # some builds end with `failed to load CA: (null)`.
        "client_tls_ca_file": ca,
        # `prefer` is the default: encrypted twice, to a server on the same machine.
        "server_tls_sslmode": "disable",
    }


def notes(spec: Spec | None, version: tuple[int, int, int], package: str | None) -> tuple[str, ...]:
    """What the user should know of this PgBouncer; without a `spec` nothing of its pool mode."""
    mode = pool_mode(spec, version)[1] if spec else None
    crash = crash_warning(version, package)
    return tuple(note for note in (mode, f"{crash} {NEWER}" if crash else None) if note)


def pool_mode(spec: Spec, version: tuple[int, int, int]) -> tuple[PoolMode, str | None]:
    """The mode this PgBouncer can serve honestly, and why it is not the one asked for."""
    if spec.pool_mode == PoolMode.TRANSACTION and version[:2] < TRACKS_PREPARED:
        found = ".".join(map(str, version))
        return PoolMode.SESSION, (
            f"PgBouncer {found} cannot track prepared statements (1.21 can), "
            "so the pool mode is session."
        )
    return spec.pool_mode, None


def pool_size(spec: Spec) -> int:
    """How many connections to Postgres the clients of a role and database share.

    At most half of them all: what a pool has it keeps, and the direct URL has to get in.
    """
    limit = dict(spec.settings).get("max_connections", "")
    return max(1, min(POOL, int(limit) // 2)) if limit.isdecimal() else POOL


def ini(
    spec: Spec,
    version: tuple[int, int, int],
    *,
    postgres_host: str,
    postgres_port: int,
    listen_addr: str,
    listen_port: int,
    auth_file: str,
    extra: dict[str, str] | None = None,
) -> str:
    """The whole of `pgbouncer.ini`; `extra` is what the engine adds (pidfile, log, socket)."""
    mode, _ = pool_mode(spec, version)
    values = {
        "listen_addr": listen_addr,
        "listen_port": str(listen_port),
        "auth_type": "scram-sha-256",
        "auth_file": auth_file,
        "auth_user": POOLER_ROLE,
        "auth_query": f"SELECT username, verifier FROM {LOOKUP_SCHEMA}.lookup($1)",
        "admin_users": POOLER_ROLE,
        "pool_mode": mode.value,
        "default_pool_size": str(pool_size(spec)),
        "max_client_conn": "1000",
        # Refused otherwise: JDBC sends extra_float_digits, libpq's PGOPTIONS sends options.
        "ignore_startup_parameters": "extra_float_digits,options",
        # The defaults leave clients hanging for two minutes after a database was dropped.
        "server_login_retry": "1",
        "query_wait_timeout": "15",
        # devdb's own questions would fill the log: a dashboard logs in every second.
        "log_connections": "0",
        "log_disconnections": "0",
        **(extra or {}),
    }
    if version[:2] >= AUTH_DBNAME:
        values["auth_dbname"] = MAINTENANCE_DATABASE
    if version[:2] >= TRACKS_PREPARED:
        values["max_prepared_statements"] = "200"
    body = "\n".join(f"{key} = {value}" for key, value in values.items())
    return f"[databases]\n* = host={postgres_host} port={postgres_port}\n\n[pgbouncer]\n{body}\n"


def userlist(spec: Spec) -> str:
    """The `auth_file`: the two roles of the instance itself; all others come by the auth query.

    It has the passwords plain: PgBouncer logs in to Postgres with them.
    """
    return f'"{USER}" "{spec.password}"\n"{POOLER_ROLE}" "{spec.pooler_password}"\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What a running PgBouncer says of itself."""

    version: str
    clients: int
    """Client connections, ours not among them."""
    servers: int
    """Server connections it holds to Postgres."""


def console(spec: Spec, *, timeout: int = 2) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection to the admin console; `timeout` in seconds.

    It speaks the simple protocol only: no parameters. Raises psycopg.OperationalError.
    """
    import psycopg

    return psycopg.connect(
        host=HOST,
        port=spec.pool_port,
        user=POOLER_ROLE,
        password=spec.pooler_password,
        dbname=ADMIN_DATABASE,
        connect_timeout=timeout,
        autocommit=True,
        cursor_factory=psycopg.ClientCursor,
        prepare_threshold=None,
        application_name="devdb",
        sslmode="disable",  # the user's PGSSLMODE is not about this
    )


def vitals(spec: Spec) -> Vitals | None:
    """Log in through the pooler, then ask its console; None when it lets nobody in."""
    import psycopg

    try:
        log_in(spec)
        with console(spec) as connection:
            return ask(connection)
    except psycopg.Error:
        return None


def ask(connection: psycopg.Connection[tuple[Any, ...]]) -> Vitals:
    """How the PgBouncer is whose console this is; raises psycopg.Error."""
    version = connection.execute("SHOW VERSION").fetchone()
    lists = dict(connection.execute("SHOW LISTS").fetchall())
    assert version is not None
    return Vitals(
        version=".".join(map(str, parse_version(str(version[0])))),
        clients=max(0, int(lists["used_clients"]) - 1),
        servers=int(lists["used_servers"]),
    )


def log_in(spec: Spec) -> None:
    """Log in through the pooler and ask Postgres something; raises psycopg.Error."""
    import psycopg

    endpoint = spec.pooled
    with psycopg.connect(
        host=endpoint.host,
        port=endpoint.port,
        user=endpoint.user,
        password=endpoint.password,
        dbname=endpoint.database,
        connect_timeout=2,
        autocommit=True,
        prepare_threshold=None,
        sslmode="disable",
    ) as connection:
        connection.execute("SELECT 1")
