"""PgBouncer as devdb sets it up: its ini, its userlist, and what its version can do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from devdb import sessions, wire
from devdb.errors import UsageError
from devdb.model import (
    DATABASE,
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

PER_USER = (1, 24)
"""The first version with `max_user_client_connections`; older ones refuse an ini that has it."""

POOL = 20
"""Connections, PgBouncer's own default, where Postgres has its own default of 100."""
_MAX_CONNECTIONS = 100

CLIENTS = 10_000
"""How many clients get in at once where nothing carries fewer."""

_OWN_FILES = 150
"""Open files besides those of clients and servers: its own, and clients about to be refused."""

NO_TLS = "This PgBouncer was built without TLS: the pooled URL cannot ask for it."

FIXED = (1, 25, 2)
"""The first version without CVE-2025-12819 and CVE-2026-6664 to 6667; by one of them a packet ends
PgBouncer before any password was asked for (https://www.pgbouncer.org/changelog.html)."""

_PATCHED = re.compile(r"1\.24\.1-1\+deb13u(?:[2-9]|[1-9]\d+)(?!\d).*")
"""Debian 13's package has those fixes as patches from its revision 2 on, and what is made of it
(`~bpo12+1`, `+b1`). A greater version of another line, say 1.24.1-2, need not have them."""

NEWER = "Get a newer one: devdb doctor --fix; or name one: DEVDB_PGBOUNCER, --pooler-image."
"""What to do where `crash_warning` warns."""


def parse_version(text: str) -> tuple[int, int, int]:
    """The version in what `pgbouncer --version` prints, e.g. (1, 24, 1).

    Raises ValueError when there is none.
    """
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    if match is None:
        raise ValueError(f"no version in {text!r}")
    return int(match[1]), int(match[2]), int(match[3] or 0)


def tracks(version: tuple[int, int, int]) -> bool:
    """Whether it can track prepared statements, which transaction pooling cannot be without."""
    return version[:2] >= TRACKS_PREPARED


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
    if spec.pool_mode == PoolMode.TRANSACTION and not tracks(version):
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
    return max(1, min(POOL, _max_connections(spec) // 2))


def _max_connections(spec: Spec) -> int:
    limit = dict(spec.settings).get("max_connections", "")
    return int(limit) if limit.isdecimal() else _MAX_CONNECTIONS


def refuse_own(settings: tuple[tuple[str, str], ...]) -> None:
    """Raise UsageError for a setting of the user's that is devdb's own, or no number."""
    for name, value in settings:
        if _OWN.fullmatch(name):
            raise UsageError(
                f"[pgbouncer] {name} is devdb's own to set.",
                f"Remove it from devdb.toml{_INSTEAD.get(name, '')}.",
            )
        # The others are PgBouncer's to judge; with these devdb calculates.
        least = _COUNTS.get(name)
        if least is not None and not (
            re.fullmatch("0|[1-9][0-9]*", value) and least <= int(value) <= _MOST
        ):
            raise UsageError(
                f"[pgbouncer] {name}: {value!r} is out of range.",
                f"A whole number from {least} to {_MOST}.",
            )


_OWN = re.compile(
    "listen_.*|unix_socket_.*|auth_.*|admin_users|stats_users|client_tls_.*|server_tls_.*"
    "|user|logfile|pidfile|syslog.*|job_name|service_name|conffile|resolv_conf|dns_.*"
    "|so_reuseport|peer_id|pool_mode|disable_pqexec|ignore_startup_parameters"
)
"""Where it is, who gets in and as whom, what devdb finds it by and asks it with."""
_INSTEAD = {
    "listen_port": "; the setting is `pool-port`, above the tables",
    "pool_mode": "; the setting is `pool-mode`, above the tables",
}
_COUNTS = {"max_client_conn": 1, "default_pool_size": 1, "max_prepared_statements": 0}
"""And the least of each: 0 prepared statements is a pooler that tracks none, as others are."""
_MOST = 100_000


def max_clients(spec: Spec, files: int, *, otherwise: int = CLIENTS) -> int:
    """How many clients may come: as many as were asked for, if `files` open files carry them.

    `otherwise` is for who asks for nothing. Above that PgBouncer would accept nobody, and
    clients would hang instead of being refused. A client, with TLS or without, takes one file, and
    so does a connection to Postgres, which has no more of those than `max_connections`.
    """
    carried = files - _max_connections(spec) - _OWN_FILES
    return max(1, min(asked_clients(spec) or otherwise, carried))


def asked_clients(spec: Spec) -> int | None:
    """How many clients the user wants to be let in at once; None where nothing was said."""
    asked = dict(spec.pooler_settings).get("max_client_conn")
    return int(asked) if asked else None


def too_few_clients(spec: Spec, clients: int | None, reason: str) -> str | None:
    """That so many are taken and not what was asked for, with the reason; None where they are."""
    asked = asked_clients(spec)
    if asked is None or clients is None or asked <= clients:
        return None
    return f"PgBouncer takes {clients} clients, not {asked}: {reason}."


def ini(
    spec: Spec,
    version: tuple[int, int, int],
    *,
    postgres_host: str,
    postgres_port: int,
    listen_addr: str,
    listen_port: int,
    auth_file: str,
    clients: int,
    extra: dict[str, str] | None = None,
) -> str:
    """The whole of `pgbouncer.ini`; `extra` is what the engine adds (pidfile, log).

    `clients` is what max_clients() says. Raises UsageError as refuse_own() does.
    """
    refuse_own(spec.pooler_settings)
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
        # Refused otherwise: JDBC sends extra_float_digits, libpq's PGOPTIONS sends options.
        "ignore_startup_parameters": "extra_float_digits,options",
        # The defaults leave clients hanging for two minutes after a database was dropped.
        "server_login_retry": "1",
        "query_wait_timeout": "15",
        # DROP DATABASE and a copy of one wait 5 s for others to leave; the default is 600 s.
        "server_idle_timeout": "3",
        # devdb's own questions would fill the log: a dashboard logs in every second.
        "log_connections": "0",
        "log_disconnections": "0",
        # And a line a minute of an idle one, in which nobody has to look.
        "log_stats": "0",
        # Somebody who asks for the console as `pgbouncer` over a socket, and is its user to the
        # system, is let in without a password.
        "unix_socket_dir": "",
        **(extra or {}),
    }
    users = ""
    if version[:2] >= AUTH_DBNAME:
        values["auth_dbname"] = MAINTENANCE_DATABASE
    if tracks(version):
        values["max_prepared_statements"] = "200"
    if version[:2] >= PER_USER:
        # No role but the instance's own may shut out the rest; 0 would be the others' limit.
        values["max_user_client_connections"] = str(max(1, clients // 2))
        own = f"max_user_client_connections={clients}"
        users = f"[users]\n{USER} = {own}\n{POOLER_ROLE} = {own}\n\n"
    values |= {**dict(spec.pooler_settings), "max_client_conn": str(clients)}
    body = "\n".join(f"{key} = {value}" for key, value in values.items())
    databases = f"[databases]\n* = host={postgres_host} port={postgres_port}\n\n"
    return f"{databases}{users}[pgbouncer]\n{body}\n"


def userlist(spec: Spec) -> str:
    """The `auth_file`: the two roles of the instance itself; all others come by the auth query.

    It has the passwords plain: PgBouncer logs in to Postgres with them.
    """
    return f'"{USER}" "{spec.password}"\n"{POOLER_ROLE}" "{spec.pooler_password}"\n'


def password_in(userlist: str) -> str:
    """The instance's password in a text that `userlist` made; empty where it is not there."""
    found = re.search(rf'^"{USER}" "([^"]*)"$', userlist, re.MULTILINE)
    return found[1] if found else ""


def mode_in(ini: str, version: tuple[int, int, int]) -> PoolMode:
    """The mode that was asked for in a text that `ini` made for that version."""
    is_session = re.search(r"^pool_mode = session$", ini, re.MULTILINE) is not None
    asked = is_session and tracks(version)
    return PoolMode.SESSION if asked else PoolMode.TRANSACTION


@dataclass(frozen=True, slots=True, kw_only=True)
class PgBouncerHealth:
    """What a running PgBouncer says of itself."""

    version: str
    clients: int
    """Client connections, ours not among them."""
    servers: int
    """Server connections it holds to Postgres."""
    full: bool = False
    """Whether as many clients are in as may be: the next one is refused."""
    mode: str = PoolMode.TRANSACTION
    """How it pools."""
    prepared: int = 0
    """How many prepared statements it tracks for a client; 0: none."""


def console(spec: Spec, *, timeout: float = 2) -> Session:
    """A session on the admin console; `timeout` in seconds. Raises wire.Refused, OSError."""
    admin = replace(
        spec.pooled, user=POOLER_ROLE, password=spec.pooler_password, database=ADMIN_DATABASE
    )
    return sessions.plain(admin, timeout=timeout)


def visit(spec: Spec) -> None:
    """Log in through a pooler that apps may be using; raises wire.Refused, OSError.

    Not where the whole pool is at work for them: it works, and who logs in would wait.
    """
    with console(spec) as session:
        pools = session.records("SHOW POOLS")
        if not would_queue(pools, limits(session)):
            log_in(spec, pools)


def is_pool_taken(session: Session) -> bool:
    """Whether all connections that the instance's own clients share are at work at this moment."""
    return any(
        pool["sv_active"] and not (pool["sv_idle"] or pool["sv_used"] or pool["sv_login"])
        for pool in _own_pools(session.records("SHOW POOLS"))
    )


def would_queue(
    pools: Sequence[Mapping[str, Any]], limits: Limits, *, can_open: bool = True
) -> bool:
    """Whether who logs in now waits until a client gives a connection back: there may be no more.

    `pools` is what SHOW POOLS answers; `can_open`: whether Postgres has room for one more.
    """
    own = _own_pools(pools)
    if any(pool["sv_idle"] or pool["sv_used"] or pool["sv_tested"] for pool in own):
        return False
    if not can_open:
        return True
    held = (
        (own, limits.pool),
        ([pool for pool in pools if pool["database"] == DATABASE], limits.per_database),
        ([pool for pool in pools if pool["user"] == USER], limits.per_user),
    )
    return any(most and sum(map(open_servers, these)) >= most for these, most in held)


def open_servers(pool: Mapping[str, Any]) -> int:
    """How many connections to Postgres a pool has, by its line of SHOW POOLS."""
    return sum(count for name, count in pool.items() if name.startswith("sv_"))


def _lends_an_apps(pools: Sequence[Mapping[str, Any]]) -> bool:
    """Whether who logs in now gets a connection that an app, which is there, will use again."""
    return any(
        (pool["sv_idle"] or pool["sv_used"]) and (pool["cl_active"] or pool["cl_waiting"])
        for pool in _own_pools(pools)
    )


def _own_pools(pools: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [pool for pool in pools if (pool["database"], pool["user"]) == (DATABASE, USER)]


def is_full(error: object) -> bool:
    """Whether that is the no of a PgBouncer that works, and has as many clients as it may."""
    return isinstance(error, wire.Refused) and _FULL.search(error.message) is not None


_FULL = re.compile("no more connections allowed|max_user_client_connections")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many may come, and how they share: what a running PgBouncer was told. 0: no limit."""

    clients: int
    pool: int
    """Connections to Postgres for the clients of one role and database."""
    reserve: int
    """More of them, where clients have waited for some seconds."""
    per_database: int
    per_user: int
    mode: str
    prepared: int
    """Prepared statements that it tracks for a client."""


def limits(session: Session) -> Limits:
    """Those of the PgBouncer whose console this is; raises wire.Refused, OSError."""
    said = {str(name): value or "" for name, value, *_ in session.query("SHOW CONFIG")}

    def number(name: str) -> int:
        return int(said.get(name) or 0)

    return Limits(
        clients=number("max_client_conn"),
        pool=number("default_pool_size"),
        reserve=number("reserve_pool_size"),
        per_database=number("max_db_connections"),
        per_user=number("max_user_connections"),
        mode=said["pool_mode"],
        prepared=number("max_prepared_statements"),
    )


def ask(session: Session) -> PgBouncerHealth:
    """How the PgBouncer is whose console this is; raises wire.Refused, OSError."""
    return health(session, session.records("SHOW POOLS"), limits(session))


def health(
    session: Session, pools: Sequence[Mapping[str, Any]], limits: Limits, *, stays: bool = False
) -> PgBouncerHealth:
    """How it is by what it answered; asks nothing.

    `stays`: who asked does, and so takes the place of a client.
    """
    clients = sum(pool["cl_active"] + pool["cl_waiting"] for pool in pools) - 1
    return PgBouncerHealth(
        version=".".join(map(str, parse_version(session.version))),
        clients=clients,
        servers=sum(map(open_servers, pools)),
        full=clients + stays >= limits.clients,
        mode=limits.mode,
        prepared=limits.prepared,
    )


def log_in(spec: Spec, pools: Sequence[Mapping[str, Any]]) -> bool:
    """Log in through the pooler and ask Postgres something; raises wire.Refused, OSError.

    It leaves the pool as it found it: without a connection of its own, and with an app's. False
    where it has no room for one more client: it works, and its console says that it is full.
    """
    try:
        sessions.version(spec.pooled, timeout=2, leaves_idle=_lends_an_apps(pools))
    except wire.Refused as refused:
        if not is_full(refused):
            raise
        return False
    return True
