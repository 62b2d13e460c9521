"""PgBouncer as devdb sets it up: its ini, its userlist, and what its version can do."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from devdb import sessions, wire
from devdb.model import (
    LOOKUP_SCHEMA,
    MAINTENANCE_DATABASE,
    POOLER_ROLE,
    USER,
    PoolMode,
    Spec,
)
from devdb.wire import Session

ADMIN_DATABASE = "pgbouncer"
"""The name that PgBouncer keeps for its admin console."""

TRACKS_PREPARED = (1, 21)
"""The first version with `max_prepared_statements`; older ones refuse an ini that has it."""

AUTH_DBNAME = (1, 19)
"""The first version with `auth_dbname`; older ones run the auth query in the target database."""

POOL = 20
"""Connections, PgBouncer's own default, where Postgres has its own default of 100."""

NO_TLS = "This PgBouncer was built without TLS: the pooled URL cannot ask for it."


def parse_version(text: str) -> tuple[int, int, int]:
    """The version in what `pgbouncer --version` prints, e.g. (1, 24, 1).

    Raises ValueError when there is none.
    """
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    if match is None:
        raise ValueError(f"no version in {text!r}")
    return int(match[1]), int(match[2]), int(match[3] or 0)


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


def console(spec: Spec, *, timeout: float = 2) -> Session:
    """A session on the admin console; `timeout` in seconds. Raises wire.Refused, OSError."""
    admin = replace(
        spec.pooled, user=POOLER_ROLE, password=spec.pooler_password, database=ADMIN_DATABASE
    )
    return sessions.plain(admin, timeout=timeout)


def vitals(spec: Spec) -> Vitals | None:
    """Log in through the pooler, then ask its console; None when it lets nobody in."""
    try:
        log_in(spec)
        with console(spec) as session:
            return ask(session)
    except wire.FAILURES:
        return None


def ask(session: Session) -> Vitals:
    """How the PgBouncer is whose console this is; raises wire.Refused, OSError."""
    [(version, *_)] = session.query("SHOW VERSION")
    lists = {str(name): int(items) for name, items in session.query("SHOW LISTS")}
    return Vitals(
        version=".".join(map(str, parse_version(str(version)))),
        clients=max(0, lists["used_clients"] - 1),
        servers=lists["used_servers"],
    )


def log_in(spec: Spec) -> None:
    """Log in through the pooler and ask Postgres something; raises wire.Refused, OSError."""
    with sessions.plain(spec.pooled, timeout=2) as session:
        session.query("SELECT 1")
