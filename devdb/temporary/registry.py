"""The registry of temporary databases: `schema.sql` in the instance's maintenance database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devdb import postgres
from devdb.errors import DevdbError, EngineUnavailable, NotFound
from devdb.model import MAINTENANCE_DATABASE, Endpoint, Spec
from devdb.temporary.database import State, TemporaryDatabase

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

SCHEMA = "_devdb"
"""As in `schema.sql`. Not `devdb`: a schema that bears the user's name is the first in its search
path, and would get the tables that the user makes."""
VERSION = 4
"""Of `schema.sql`; one more with every change of it, which has to run on the older ones too."""

MISSING, CLAIMED, EXPIRED = "DD001", "DD002", "DD003"
"""What its functions raise (SQLSTATE); the message is the name."""

# The user's own settings of the server must not cut a copy short or change how times are read.
OPTIONS = " ".join(
    f"-c {setting}"
    for setting in (
        "statement_timeout=0",
        "lock_timeout=0",
        "idle_in_transaction_session_timeout=0",
        "default_transaction_read_only=off",
        "default_transaction_isolation=read\\ committed",
        # What is lost with a crash within its 0.6 s is half-made, and removed as such: CREATE and
        # DROP DATABASE flush what came before them. Claims and extensions are flushed.
        "synchronous_commit=off",
        "client_min_messages=error",
        "search_path=pg_catalog",
        "client_encoding=UTF8",
        "timezone=UTC",
        "datestyle=ISO",
        "intervalstyle=postgres",
    )
)


def every(spec: Spec) -> list[TemporaryDatabase]:
    """All temporary databases of the instance, also expired and claimed ones; oldest first.

    Raises DevdbError when the instance does not answer.
    """
    with session(spec) as connection:
        return listing(connection, spec)


def listing(
    connection: Connection, spec: Spec, names: Sequence[str] | None = None
) -> list[TemporaryDatabase]:
    """Those of these names, or all."""
    rows = connection.execute(
        "SELECT id, name, state, created, expires, age, remaining, size, sessions"
        " FROM _devdb.listing WHERE %(names)s::text[] IS NULL OR name = ANY (%(names)s)"
        " ORDER BY id",
        {"names": None if names is None else list(names)},
    ).fetchall()
    keys = ("state", "created", "expires", "age", "left", "size", "sessions")
    return [
        database(spec, entry, name, **dict(zip(keys, rest, strict=True)))
        for entry, name, *rest in rows
    ]


def database(spec: Spec, entry: int, name: str, *, state: str, **found: Any) -> TemporaryDatabase:
    """The value for the entry of that id, with what was found of it."""
    return TemporaryDatabase(
        name=name,
        role=name,
        state=State(state),
        direct=endpoint(spec.direct, spec, entry, name),
        pooled=endpoint(spec.pooled, spec, entry, name),
        **found,
    )


def endpoint(template: Endpoint, spec: Spec, entry: int, name: str) -> Endpoint:
    """Where `template` leads, but as the role of the entry of that id and to its database."""
    return replace(template, user=name, password=password(spec, entry), database=name)


def password(spec: Spec, entry: int) -> str:
    """The password of the role of the entry of that id; kept nowhere, since made of the id."""
    return spec.derive(f"temporary:{entry}")


def one(connection: Connection, spec: Spec, name: str) -> TemporaryDatabase:
    """The one of that name.

    Raises NotFound.
    """
    for found in listing(connection, spec, [name]):
        return found
    raise unknown(spec, name)


def unknown(spec: Spec, name: str) -> NotFound:
    """The error for a name that the registry does not have."""
    return NotFound(
        f"There is no temporary database '{name}' in '{spec.name}'.",
        "See what there is with `devdb temp ls`.",
    )


@contextmanager
def session(spec: Spec) -> Iterator[Connection]:
    """A connection to the maintenance database, with the registry installed there.

    Whatever goes wrong in it with the servers leaves it as a DevdbError. The locks taken in it
    are let go of at its end.
    """
    import psycopg

    try:
        connection = postgres.connect(spec.direct, database=MAINTENANCE_DATABASE, options=OPTIONS)
    except psycopg.OperationalError as error:
        raise EngineUnavailable(
            f"'{spec.name}' does not answer on port {spec.port}: {_first_line(error)}",
            "Start it with `devdb up`, or look at `devdb logs`.",
        ) from None
    try:
        with connection:
            install(connection)
            yield connection
    except psycopg.Error as error:
        raise failure(spec, error) from None


def failure(spec: Spec, error: psycopg.Error) -> DevdbError:
    """What the server said, without the statement it said it about: that can hold a verifier."""
    from psycopg import errors

    if isinstance(error, errors.DiskFull):
        return DevdbError(
            f"The disk of '{spec.name}' is full: {_first_line(error)}",
            "Make room, or drop what is not needed (`devdb temp ls`); what was half-made is gone.",
        )
    if isinstance(error, errors.ObjectInUse):
        return DevdbError(
            f"Postgres of '{spec.name}' said: {_first_line(error)}",
            "Disconnect what uses it (sessions, prepared transactions, slots), and try again.",
        )
    return DevdbError(
        f"Postgres of '{spec.name}' said: {_first_line(error)}",
        "Look at `devdb logs`; what was left half-done is mended by the next devdb command.",
    )


def _first_line(error: psycopg.Error) -> str:
    text = error.diag.message_primary or str(error) or type(error).__name__
    return text.strip().splitlines()[0].removesuffix(".") + "."


def install(connection: Connection) -> None:
    """Put the registry there, or bring an older devdb's up to date; idempotent."""
    if _installed(connection) >= VERSION:
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('devdb temporary'))")
        if _installed(connection) < VERSION:
            connection.execute(Path(__file__).with_name("schema.sql").read_bytes())
            connection.execute(f"COMMENT ON TABLE {SCHEMA}.temporary IS 'devdb {VERSION}'")


def _installed(connection: Connection) -> int:
    # Asked of the catalogs' rows and not with to_regclass(): its answer comes from a cache that
    # may say "not there" long after another caller, whose lock this one waited for, has installed.
    row = connection.execute(
        "SELECT obj_description(c.oid, 'pg_class')"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relname = 'temporary'",
        [SCHEMA],
    ).fetchone()
    found = str(row[0] if row else "").removeprefix("devdb ")
    return int(found) if found.isdigit() else 0
