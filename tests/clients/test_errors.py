"""The error texts as real clients and servers say them, and whether there is advice for each."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

import psycopg
import pytest
import specs
import sqlalchemy
from clients.programs import Run, psql
from clients.stacks import Stack
from clients.workload import POOL, console
from sqlalchemy.ext.asyncio import create_async_engine

from devdb.advice import ADVICE, lookup
from devdb.model import POOLER_ROLE
from devdb.urls import url
from devdb.urls.spelling import spell
from devdb.workspace.diagnosis import explain


def advised(error: BaseException | str) -> str:
    """The known text that the advice was found by."""
    advice = lookup(str(error))
    assert advice is not None, f"no advice for: {error}"
    return advice.text


@pytest.mark.parametrize("client", ["psycopg", "node-postgres", "postgres.js", "jdbc"])
def test_prepared_statements_without_tracking(
    client: str, run: Callable[[str], Run], untracked: Stack
) -> None:
    text = spell(client, untracked.spec.pooled, pooled=True)
    with pytest.raises(AssertionError) as caught:
        run(client)(client, text, together=True)
    assert advised(caught.value) in (
        'prepared statement "s0" already exists',
        'prepared statement "s0" does not exist',
    )


def test_the_instances_own_pooler_is_looked_at(new_stack: Stack, untracked: Stack) -> None:
    error = 'prepared statement "s0" already exists'

    def cause(stack: Stack) -> str:
        advice = explain(error, stack.spec)
        assert advice is not None
        assert stack.spec.name in advice.cause
        return advice.cause

    assert "tracks what clients prepare" in cause(new_stack)
    assert "tracks no prepared statements" in cause(untracked)
    with console(untracked.spec) as tell:
        tell("SET pool_mode = 'session'")
    assert "pools sessions" in cause(untracked)
    gone = replace(new_stack.spec, pool_port=specs.free_port())
    assert explain(error, gone) == lookup(error)


MANY = """
import sys, psycopg
print(psycopg.pq.version())
options = {"prepare_threshold": None} if "none" in sys.argv else {}
with psycopg.connect(sys.argv[1], autocommit=True, **options) as connection:
    for number in range(102):
        connection.execute(f"SELECT {number} + %s", (1,), prepare=None if options else True)
"""


def test_statements_that_psycopg_drops_by_sql(new_stack: Stack) -> None:
    def run(*more: str, impl: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-c", MANY, url(new_stack.spec.pooled), *more]
        env = {**os.environ, "PSYCOPG_IMPL": impl}
        return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60)

    # With the libpq of the wheel, and with the system's, which may be any.
    for impl in ("binary", "python"):
        done = run(impl=impl)
        if int(done.stdout or 0) >= 170000:
            assert done.returncode == 0, done.stderr
        elif done.stdout:
            assert advised(done.stderr) == 'prepared statement "_pg3_0" does not exist'
            assert "prepare_threshold=None" in (lookup(done.stderr) or ADVICE[0]).cure
            assert run("none", impl=impl).returncode == 0


@pytest.mark.parametrize(
    ("statement", "known"),
    [
        ("SET no_such_setting = 1", 'unrecognized configuration parameter "work_men"'),
        ("CREATE EXTENSION no_such_extension", 'extension "vector" is not available'),
        ("SELECT '[1]'::vector", 'type "vector" does not exist'),
        ("SELECT uuid_generate_v4()", 'type "vector" does not exist'),
        ('SET ROLE "no such role"', 'role "postgres" does not exist'),
        ("DROP DATABASE main", 'database "main" is being accessed by other users'),
        ("DROP DATABASE other", 'database "shop" does not exist'),
        ("SET LOCAL statement_timeout = 1; SELECT pg_sleep(60)", "canceling statement due to"),
    ],
)
def test_what_postgres_says(new_stack: Stack, statement: str, known: str) -> None:
    with psycopg.connect(url(new_stack.spec.direct)) as client:
        if "DATABASE" in statement:
            client.autocommit = True
        with pytest.raises(psycopg.Error) as caught:
            client.execute(statement.encode())
    assert advised(caught.value).startswith(known)


def test_what_is_never_said_by_a_direct_connection(new_stack: Stack) -> None:
    pooled = url(new_stack.spec.pooled)
    with pytest.raises(psycopg.OperationalError) as bound:
        psycopg.connect(pooled, channel_binding="require")
    assert advised(bound.value).startswith("channel binding is required")
    with pytest.raises(psycopg.OperationalError) as unknown:
        psycopg.connect(pooled, user="nobody-knows")
    assert advised(unknown.value) == "bouncer config error"
    with psycopg.connect(pooled) as first, psycopg.connect(pooled) as second:
        first.pgconn.prepare(b"", b"SELECT $1::int")
        second.pgconn.prepare(b"", b"SELECT $1::int, $2::int")
        done = first.pgconn.exec_prepared(b"", [b"1"])
        assert advised(done.error_message.decode()).startswith("bind message supplies")


def test_settings_in_options_are_ignored_without_a_word(new_stack: Stack) -> None:
    options = "-c statement_timeout=77 -c timezone=Asia/Tokyo"
    with psycopg.connect(url(new_stack.spec.pooled), options=options) as client:
        assert client.execute("SHOW timezone").fetchone() == ("Asia/Tokyo",)
        assert client.execute("SHOW statement_timeout").fetchone() == ("0",)
    assert advised(f"options={options}") == "options=-c search_path=app has no effect"


def test_table_changed_under_a_prepared_statement(new_stack: Stack) -> None:
    with (
        psycopg.connect(url(new_stack.spec.direct), autocommit=True) as owner,
        psycopg.connect(url(new_stack.spec.pooled), autocommit=True) as client,
    ):
        owner.execute("DROP TABLE IF EXISTS changing")
        owner.execute("CREATE TABLE changing (a int)")
        client.execute("SELECT * FROM changing", prepare=True)
        owner.execute("ALTER TABLE changing ADD COLUMN b int")
        with pytest.raises(psycopg.errors.FeatureNotSupported) as caught:
            client.execute("SELECT * FROM changing", prepare=True)
    assert advised(caught.value) == "cached plan must not change result type"


def by_asyncpg(text: str, **options: dict[str, str]) -> str:
    """What asyncpg says; in a process of its own, because it leaves the refused socket open."""
    code = f"import asyncio, asyncpg; asyncio.run(asyncpg.connect({text!r}, **{options!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    return done.stderr


def test_setting_sent_at_connect(new_stack: Stack) -> None:
    error = by_asyncpg(url(new_stack.spec.pooled), server_settings={"search_path": "x"})
    assert advised(error) == "unsupported startup parameter: search_path"


def test_parameter_of_another_client(new_stack: Stack) -> None:
    text = f"{url(new_stack.spec.direct)}?pgbouncer=true"
    assert advised(by_asyncpg(text)) == 'unrecognized configuration parameter "pgbouncer"'
    with pytest.raises(AssertionError) as psql_says:
        psql(text, "SELECT 1")
    with pytest.raises(psycopg.Error) as psycopg_says:
        psycopg.connect(text)
    for error in (psql_says.value, psycopg_says.value):
        assert advised(error) == 'invalid URI query parameter: "pgbouncer"'


def test_parameter_that_sqlalchemy_hands_on(new_stack: Stack) -> None:
    text = url(new_stack.spec.direct).replace("postgresql", "postgresql+asyncpg")

    async def connect() -> None:
        engine = create_async_engine(f"{text}?sslmode=require")
        async with engine.connect():
            pass

    with pytest.raises(TypeError) as caught:
        asyncio.run(connect())
    assert advised(caught.value) == "connect() got an unexpected keyword argument 'sslmode'"


def test_scheme_that_sqlalchemy_does_not_know() -> None:
    with pytest.raises(sqlalchemy.exc.NoSuchModuleError) as caught:
        sqlalchemy.create_engine("postgres://u:p@h/d")
    assert advised(caught.value) == "Can't load plugin: sqlalchemy.dialects:postgres"


def test_scheme_that_java_does_not_know(new_stack: Stack, run: Callable[[str], Run]) -> None:
    with pytest.raises(AssertionError) as caught:
        run("jdbc")("jdbc", url(new_stack.spec.direct), together=True)
    assert advised(caught.value) == "No suitable driver found for postgresql://..."


def test_cursor_that_outlives_its_transaction(new_stack: Stack) -> None:
    with (
        psycopg.connect(url(new_stack.spec.pooled), autocommit=True) as first,
        psycopg.connect(url(new_stack.spec.pooled)) as second,
    ):
        first.execute("DECLARE held CURSOR WITH HOLD FOR SELECT 1")
        second.execute("SELECT 1")  # in a transaction now, on the session that was used last
        with pytest.raises(psycopg.errors.InvalidCursorName) as caught:
            first.execute("FETCH FROM held")
    assert advised(caught.value) == 'cursor "_django_curs_1_sync_1" does not exist'


def test_too_many_direct(new_stack: Stack) -> None:
    with ExitStack() as connections:

        def connect_all() -> None:
            for _ in range(120):
                connections.enter_context(psycopg.connect(url(new_stack.spec.direct)))

        with pytest.raises(psycopg.OperationalError) as caught:
            connect_all()
    assert advised(caught.value) == "sorry, too many clients already"


def test_too_many_pooled(new_stack: Stack) -> None:
    with console(new_stack.spec) as tell:
        tell("SET max_client_conn = 1")
        try:
            with pytest.raises(psycopg.OperationalError) as caught:
                psycopg.connect(url(new_stack.spec.pooled))
        finally:
            tell("SET max_client_conn = 1000")
    assert advised(caught.value) == "no more connections allowed (max_client_conn)"


def test_pool_that_nobody_gives_back(new_stack: Stack) -> None:
    with console(new_stack.spec) as tell, ExitStack() as connections:
        tell("SET query_wait_timeout = 1")
        try:
            for _ in range(POOL):
                idle = connections.enter_context(psycopg.connect(url(new_stack.spec.pooled)))
                idle.execute("SELECT 1")
            with pytest.raises(psycopg.OperationalError) as caught:
                psycopg.connect(url(new_stack.spec.pooled)).execute("SELECT 1")
        finally:
            tell("SET query_wait_timeout = 15")
    assert advised(caught.value) == "query_wait_timeout"


def test_wrong_password(new_stack: Stack) -> None:
    for endpoint in (new_stack.spec.direct, new_stack.spec.pooled):
        with pytest.raises(psycopg.OperationalError) as caught:
            psycopg.connect(url(replace(endpoint, password="wrong")))
        assert advised(caught.value) == 'password authentication failed for user "devdb"'


def test_role_on_a_database_that_is_not_its_own(new_stack: Stack) -> None:
    spec = new_stack.spec
    pooler = replace(spec.direct, user=POOLER_ROLE, password=spec.pooler_password)
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(url(pooler))
    assert advised(caught.value) == "pg_hba.conf rejects connection for host"


def test_nobody_there(new_stack: Stack) -> None:
    nobody = url(replace(new_stack.spec.direct, port=specs.free_port()))
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(nobody)
    assert advised(caught.value) == "connection refused"
    assert advised(by_asyncpg(nobody)) == "connection refused"
