"""The sessions that devdb opens for its own work; nothing else opens one.

Whatever the user's environment, server settings, roles and databases say, they come out the same:
nothing of it reads PG* variables, service or password files (`wire` reads none), and what the
server could be told otherwise stands in the first message, which precedes over postgresql.conf,
ALTER ROLE and ALTER DATABASE. Whoever listens has to prove that it knows the password.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from devdb import wire
from devdb.model import MAINTENANCE_DATABASE, Endpoint
from devdb.wire import Session

APPLICATION = "devdb"
"""The application_name of devdb's own sessions."""

CLIENT_APPLICATION = "devdb-sql"
"""That of what it runs for its user, which is no work of its own."""

MARK = "/* devdb */"
"""At the end of what devdb asks in a session like any client's: there it may be logged."""

TOO_MANY = "53300"
"""SQLSTATE: all connections are taken."""
INVALID_PASSWORD = "28P01"  # noqa: S105 - a SQLSTATE
TAKEN = ("42P04", "42710", "23505")
"""SQLSTATEs of a name that a database, a role or a row has already."""

# Nobody's schema but Postgres' own, so that no function or operator of a user is taken for it.
_SEARCH = {"search_path": "pg_catalog"}
# How values are written and read.
_TEXT = {
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "backslash_quote": "safe_encoding",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
}
# What devdb is asked to do takes as long as it takes, and is done as who it logged in as.
_WORK = {
    "role": "none",
    "session_replication_role": "origin",
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "idle_in_transaction_session_timeout": "0",
    "default_tablespace": "",
    "default_table_access_method": "heap",
    "client_min_messages": "error",
}
# A statement may carry a verifier, and so may what extensions keep of it; no verifier belongs in
# a log. pg_stat_statements keeps the text of utility statements, auto_explain that of slow ones.
_UNLOGGED = {
    "log_statement": "none",
    "log_duration": "off",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "log_min_error_statement": "panic",
    "log_replication_commands": "off",
    "log_min_messages": "error",
    "debug_print_parse": "off",
    "debug_print_rewritten": "off",
    "debug_print_plan": "off",
    "pg_stat_statements.track": "none",
    "pg_stat_statements.track_utility": "off",
    "auto_explain.log_min_duration": "-1",
    "pgaudit.log": "none",
}
_PINNED = {"application_name": APPLICATION, **_SEARCH, **_TEXT, **_WORK, **_UNLOGGED}

# Among the walsenders, who have slots of their own.
_BESIDE = {"replication": "database"}

# What older majors do not know; a first message with it would be refused. The user's own event
# triggers are not about what devdb does.
_SINCE = (
    (14, "idle_session_timeout", "0"),
    (17, "transaction_timeout", "0"),
    (17, "event_triggers", "off"),
)


def direct(
    endpoint: Endpoint,
    *,
    database: str = MAINTENANCE_DATABASE,
    timeout: float = 5,
    patience: float | None = None,
    lock_timeout: float = 10,
    durable: bool = True,
    major: int | None = None,
    beside: bool = False,
) -> Session:
    """A session straight to Postgres, as the superuser in that database.

    Where all connections are taken it is one of a walsender's: those have slots of their own,
    and run the same statements (https://www.postgresql.org/docs/current/protocol-replication.html).

    `timeout` in seconds for each answer until we are in, `patience` for each answer to a query
    (None: as long as it takes), `lock_timeout` for each lock. Not `durable`: what a crash takes
    back within its 0.6 s is half-made, and removed as such. `major`: the server's; for a database
    that is not devdb's own, as a trigger on logins there runs before anything could be set later.
    `beside`: one of a walsender's, or none.
    Raises wire.Refused (TOO_MANY when there is no slot of either kind) and OSError as wire.Session
    does.
    """
    wanted = replace(endpoint, database=database)
    parameters = {
        **_PINNED,
        "statement_timeout": f"{int((patience or 0) * 1000)}",
        "lock_timeout": f"{int(lock_timeout * 1000)}",
        "synchronous_commit": "on" if durable else "off",
        **(_BESIDE if beside else {}),
    }
    if major is not None:
        return _open(wanted, timeout, patience, parameters | _of(major))
    session = _open(wanted, timeout, patience, parameters)
    later = _of(session.major)
    try:
        session.query("; ".join(f"SET {name} = {value}" for name, value in later.items()))
    except wire.FAILURES:
        # What it cuts short may be so short that there is no time to say so.
        session.close()
        return _open(wanted, timeout, patience, parameters | later)
    return session


def _of(major: int) -> dict[str, str]:
    return {name: value for since, name, value in _SINCE if major >= since}


def _open(
    endpoint: Endpoint, timeout: float, patience: float | None, parameters: dict[str, str]
) -> Session:
    try:
        return Session(endpoint, timeout=timeout, patience=patience, parameters=parameters)
    except wire.Refused as refused:
        if refused.sqlstate != TOO_MANY:
            raise
        with suppress(wire.Refused):
            beside = parameters | _BESIDE
            return Session(endpoint, timeout=timeout, patience=patience, parameters=beside)
        raise


def plain(endpoint: Endpoint, *, timeout: float = 5) -> Session:
    """A session as any client gets one, in the endpoint's database: to see whether they do.

    Through PgBouncer too, which passes on few settings, and to its admin console. `timeout` in
    seconds, for each answer. Raises as wire.Session does.
    """
    parameters = {"application_name": APPLICATION, "client_encoding": "UTF8"}
    return Session(endpoint, timeout=timeout, patience=timeout, parameters=parameters)


def client(endpoint: Endpoint, *, timeout: float = 5) -> Session:
    """A session for what the user has devdb run: as any client's, and for as long as it takes.

    `timeout` in seconds, for each answer until we are in. Raises as wire.Session does.
    """
    parameters = {"application_name": CLIENT_APPLICATION, "client_encoding": "UTF8"}
    return Session(endpoint, timeout=timeout, parameters=parameters)


def version(endpoint: Endpoint, *, timeout: float = 5, leaves_idle: bool = False) -> str:
    """The server's version, e.g. `17.6`, after such a login and a query; raises as `plain` does.

    It leaves no session behind in the user's database, where one that PgBouncer keeps stands in the
    way of DROP DATABASE: PgBouncer ends the server connection of a client that goes in the middle
    of a transaction, that one and no other. Not with `leaves_idle`: then it is given back.
    `timeout` is in seconds, for each answer.
    """
    with plain(endpoint, timeout=timeout) as session:
        session.query(f"SELECT 1 {MARK}" if leaves_idle else f"BEGIN; SELECT 1 {MARK}")
        return session.version
