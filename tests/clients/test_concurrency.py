"""Fifty of each client over a pool of five, with the URL exactly as devdb prints it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
from programs import Run, psql
from stacks import Stack
from workload import admin, done, everything

from devdb.model import PoolMode
from devdb.urls.spelling import spell

CLIENTS = (
    "psycopg",
    "asyncpg",
    "sqlalchemy",
    "sqlalchemy-asyncpg",
    "node-postgres",
    "postgres.js",
    "drizzle",
    "prisma",
    "jdbc",
)
PGBENCH = ("pgbench-simple", "pgbench-extended", "pgbench-prepared")


@pytest.mark.parametrize("client", CLIENTS)
def test_direct(client: str, run: Callable[[str], Run], new_stack: Stack) -> None:
    run(client)(client, spell(client, new_stack.spec.direct), True, True)
    assert done(new_stack.spec, client) == everything()


@pytest.mark.parametrize("client", CLIENTS)
def test_pooled_in_transaction_mode(
    client: str, run: Callable[[str], Run], new_stack: Stack
) -> None:
    """All fifty are connected before the first begins, on five connections to Postgres."""
    run(client)(client, spell(client, new_stack.spec.pooled, pooled=True), True, True)
    assert done(new_stack.spec, client) == everything()


@pytest.mark.parametrize("client", CLIENTS)
def test_pooled_in_session_mode(client: str, run: Callable[[str], Run], old_stack: Stack) -> None:
    """A PgBouncer that cannot track: five at a time, the others wait for one to leave."""
    run(client)(client, spell(client, old_stack.spec.pooled, pooled=True), False, True)
    assert done(old_stack.spec, client) == everything()


@pytest.fixture
def untracked(old_stack: Stack) -> Stack:
    """Transaction mode forced on a PgBouncer that cannot track."""
    admin(old_stack.spec, "SET pool_mode = 'transaction'")
    yield old_stack
    admin(old_stack.spec, "SET pool_mode = 'session'")


@pytest.mark.parametrize("client", CLIENTS)
def test_pooled_without_tracking_needs_the_tables_additions(
    client: str, run: Callable[[str], Run], untracked: Stack
) -> None:
    text = spell(client, untracked.spec.pooled, pooled=True, tracked=False)
    run(client)(client, text, True, False)
    assert done(untracked.spec, client) == everything()


@pytest.mark.parametrize("mode", PGBENCH)
def test_pgbench(mode: str, run: Callable[[str], Run], new_stack: Stack, old_stack: Stack) -> None:
    for stack in (new_stack, old_stack):
        for endpoint in (stack.spec.direct, stack.spec.pooled):
            text = spell("libpq", endpoint, pooled=endpoint is stack.spec.pooled)
            subprocess.run(
                ["pgbench", "-i", "-q", spell("libpq", stack.spec.direct)],
                capture_output=True,
                check=True,
            )
            run(mode)(mode, text, True, True)


def test_psql(new_stack: Stack, old_stack: Stack) -> None:
    for spec in (new_stack.spec, old_stack.spec):
        assert psql(spell("libpq", spec.direct), "SELECT current_database()") == "main"
        assert psql(spell("libpq", spec.pooled, pooled=True), "SELECT current_user") == "devdb"


def test_the_pool_really_is_five(new_stack: Stack) -> None:
    assert new_stack.mode == PoolMode.TRANSACTION
