"""Fifty of each client over a pool of five, with the URL exactly as devdb prints it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from clients.programs import Run, pgbench, psql, succeed
from clients.stacks import Stack
from clients.workload import done, everything

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


@pytest.mark.parametrize("client", CLIENTS)
def test_direct(client: str, run: Callable[[str], Run], new_stack: Stack) -> None:
    run(client)(client, spell(client, new_stack.spec.direct), together=True)
    assert done(new_stack.spec, client) == everything()


@pytest.mark.parametrize("client", CLIENTS)
def test_pooled_in_transaction_mode(
    client: str, run: Callable[[str], Run], new_stack: Stack
) -> None:
    """All fifty are connected before the first begins, on five connections to Postgres."""
    run(client)(client, spell(client, new_stack.spec.pooled, pooled=True), together=True)
    assert done(new_stack.spec, client) == everything()


@pytest.mark.parametrize("client", CLIENTS)
def test_pooled_in_session_mode(client: str, run: Callable[[str], Run], old_stack: Stack) -> None:
    """A PgBouncer that cannot track: five at a time, the others wait for one to leave."""
    run(client)(client, spell(client, old_stack.spec.pooled, pooled=True), together=False)
    assert done(old_stack.spec, client) == everything()


@pytest.mark.parametrize("client", CLIENTS)
def test_pooled_without_tracking_needs_the_tables_additions(
    client: str, run: Callable[[str], Run], untracked: Stack
) -> None:
    text = spell(client, replace(untracked.spec.pooled, tracked=False), pooled=True)
    run(client)(client, text, together=True, tracked=False)
    assert done(untracked.spec, client) == everything()


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
def test_pgbench(mode: str, new_stack: Stack, old_stack: Stack) -> None:
    for spec in (new_stack.spec, old_stack.spec):
        succeed(["pgbench", "-i", "-q", spell("libpq", spec.direct)])
        pgbench(mode, spell("libpq", spec.direct))
        pgbench(mode, spell("libpq", spec.pooled, pooled=True))


def test_psql(new_stack: Stack, old_stack: Stack) -> None:
    for spec in (new_stack.spec, old_stack.spec):
        assert psql(spell("libpq", spec.direct), "SELECT current_database()") == "main"
        assert psql(spell("libpq", spec.pooled, pooled=True), "SELECT current_user") == "devdb"
        assert psql(spell("libpq", spec.direct), "SELECT current_schema()") == "public"
