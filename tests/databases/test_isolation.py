"""What the credentials of one temporary database are good for: that database, and nothing else."""

from __future__ import annotations

import contextlib
from datetime import timedelta

import libpq
import psycopg
import pytest
from inside import Inside, login

from devdb import databases
from devdb.databases import TemporaryDatabase
from devdb.model import Spec

HOUR = timedelta(hours=1)
REJECTED = "pg_hba.conf rejects connection"


@pytest.fixture
def ours(spec: Spec) -> TemporaryDatabase:
    return databases.create(spec, ttl=HOUR, name="ours")


@pytest.fixture
def theirs(spec: Spec, ours: TemporaryDatabase) -> TemporaryDatabase:
    return databases.create(spec, ttl=HOUR, name="theirs")


@pytest.mark.parametrize("claimed", [False, True])
def test_another_database_lets_it_in_by_neither_url(
    spec: Spec, ours: TemporaryDatabase, theirs: TemporaryDatabase, claimed: bool
) -> None:
    if claimed:
        databases.claim(spec, ours.name)
    for database in (theirs.name, "main", "postgres", "template1"):
        assert REJECTED in login(ours.direct, database=database)
        assert login(ours.pooled, database=database) != "in"
    assert login(ours.direct) == login(ours.pooled) == "in"


def test_the_poolers_console_is_not_for_it(ours: TemporaryDatabase) -> None:
    assert login(ours.pooled, database="pgbouncer") != "in"


def test_its_password_is_nobody_elses(ours: TemporaryDatabase, theirs: TemporaryDatabase) -> None:
    for role in ("theirs", "devdb", "devdb_pooler"):
        for endpoint in (ours.direct, ours.pooled):
            for database in ("ours", "theirs", "main", "postgres", "pgbouncer"):
                assert login(endpoint, user=role, database=database) != "in"


def test_a_pooled_session_of_somebody_else_is_not_handed_to_it(
    spec: Spec, ours: TemporaryDatabase, theirs: TemporaryDatabase
) -> None:
    """PgBouncer keeps logged-in connections; they are for the same role only."""
    assert login(theirs.pooled) == login(spec.pooled) == "in"
    assert login(ours.pooled, database="theirs") != "in"
    assert login(ours.pooled, database="main") != "in"
    assert login(spec.pooled, database="ours") == "in"
    with libpq.connect(ours.pooled, prepare_threshold=None) as connection:
        assert connection.execute("SELECT current_user::text").fetchone() == ("ours",)


FORBIDDEN = (
    "SELECT * FROM pg_authid",
    "SELECT passwd FROM pg_shadow",
    "SET ROLE devdb",
    "SET ROLE theirs",
    "SET SESSION AUTHORIZATION devdb",
    "ALTER ROLE theirs PASSWORD 'x'",
    "ALTER ROLE ours SUPERUSER",
    "ALTER ROLE ours VALID UNTIL 'infinity'",
    "GRANT devdb_claimed TO ours",
    "REVOKE devdb_temporary FROM ours",
    "ALTER DATABASE ours RENAME TO mine",
    "ALTER DATABASE theirs ALLOW_CONNECTIONS false",
    "DROP DATABASE theirs",
    "CREATE DATABASE stolen TEMPLATE theirs",
    "CREATE EXTENSION dblink",
    "CREATE EXTENSION postgres_fdw",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "SELECT pg_read_file('pg_hba.conf')",
    "ALTER SYSTEM SET port = 1",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'devdb'",
    "CREATE ROLE another",
    "CREATE EVENT TRIGGER t ON ddl_command_start EXECUTE FUNCTION f()",
)


def test_what_its_role_may_not_do(
    spec: Spec, ours: TemporaryDatabase, theirs: TemporaryDatabase
) -> None:
    done = []
    with libpq.connect(spec.direct), libpq.connect(ours.direct) as connection:
        connection.execute(
            "CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'"
        )
        for statement in FORBIDDEN:
            with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
                done.append(statement)
    assert done == []


def test_it_sees_nothing_of_the_registry_and_of_other_passwords(
    ours: TemporaryDatabase, theirs: TemporaryDatabase
) -> None:
    with libpq.connect(ours.direct) as connection:
        seen = connection.execute("SELECT FROM pg_class WHERE relname IN ('temporary', 'closed')")
        assert seen.fetchall() == []
        rows = connection.execute("SELECT rolpassword FROM pg_roles").fetchall()
        assert {row[0] for row in rows} == {"********"}


def test_the_poolers_role_reads_and_drops_nothing(spec: Spec, ours: TemporaryDatabase) -> None:
    from dataclasses import replace

    endpoint = replace(
        spec.direct, user="devdb_pooler", password=spec.pooler_password, database="postgres"
    )
    with libpq.connect(endpoint) as connection:
        for statement in ("TABLE _devdb.databases", "SELECT _devdb.seize()", "TABLE pg_authid"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("INSERT INTO _devdb.closed VALUES ('main', false)")


def test_hba_was_written_by_devdb_and_trusts_nobody(inside: Inside) -> None:
    methods = inside.sql("SELECT auth_method FROM pg_hba_file_rules")
    assert set(methods) <= {"scram-sha-256", "reject"}
