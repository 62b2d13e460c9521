"""The error texts as real clients and servers say them, and whether there is advice for each."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

import psycopg
import pytest
import sqlalchemy
import world
from programs import Run, psql
from sqlalchemy.ext.asyncio import create_async_engine
from stacks import Stack
from workload import POOL, console

from devdb.advice import lookup
from devdb.model import POOLER_ROLE
from devdb.urls import url
from devdb.urls.spelling import spell


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
    assert advised(caught.value) == 'prepared statement "s0" already exists'


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
    nobody = url(replace(new_stack.spec.direct, port=world.free_port(set())))
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(nobody)
    assert advised(caught.value) == "connection refused"
    assert advised(by_asyncpg(nobody)) == "connection refused"
