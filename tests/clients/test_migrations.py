"""Migration tools, each on a new database: by the direct URL, and what the pooled one does.

All of them get through the pooler when they are alone. What some leave behind there, and what does
not hold there, is a lock of the session: by it two migrations at once are told apart.
"""

from __future__ import annotations

import os
import secrets
import sys
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from clients.programs import succeed
from clients.stacks import Stack
from clients.workload import ROUNDS, WORKERS, console
from libpq import connect

from devdb.advice import lookup
from devdb.model import Endpoint, PoolMode
from devdb.urls import url
from devdb.urls.spelling import spell

HERE = Path(__file__).parent
ROUTES = ["direct", "pooled", "pooled by an old PgBouncer"]


@pytest.fixture(params=ROUTES)
def endpoint(request: pytest.FixtureRequest) -> tuple[Endpoint, bool]:
    """Where a new database is reached, and whether that is through the pooler."""
    old = request.param == ROUTES[2]
    stack: Stack = request.getfixturevalue("old_stack" if old else "new_stack")
    name = f"migration_{secrets.token_hex(4)}"
    with connect(stack.spec.direct) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    pooled = request.param != ROUTES[0]
    chosen = stack.spec.pooled if pooled else stack.spec.direct
    return replace(chosen, database=name), pooled


def migrated(endpoint: Endpoint) -> bool:
    """Whether both migrations are there, the index with them."""
    with psycopg.connect(url(endpoint)) as connection:
        row = connection.execute(
            "SELECT name, to_regclass('migrated_name') FROM migrated"
        ).fetchone()
    return row == ("x", "migrated_name")


def python(script: str, **environment: str) -> None:
    path = str(HERE / "python" / script)
    succeed([sys.executable, "-W", "error", path], {**os.environ, **environment})


def test_alembic(endpoint: tuple[Endpoint, bool]) -> None:
    where, pooled = endpoint
    python("alembic_migrate.py", DATABASE_URL=spell("sqlalchemy", where, pooled=pooled))
    assert migrated(where)


NODE = {
    "knex": ("node-postgres", "knex.cjs"),
    "drizzle": ("drizzle", "migrate.cjs"),
    "prisma": ("prisma", "prisma_migrate.cjs"),
    "drizzle-kit": ("drizzle", "drizzle-kit/bin.cjs migrate --config={here}/drizzle.config.cjs"),
    "node-pg-migrate": (
        "node-postgres",
        "node-pg-migrate/bin/node-pg-migrate.js up --migrations-dir={here}/pg-migrations",
    ),
}
"""The tools of Node: whose spelling each reads, and the program with its arguments."""


def migrate(tool: str, where: Endpoint, node: dict[str, str], *, pooled: bool) -> None:
    client, command = NODE[tool]
    program, *arguments = command.format(here=HERE / "node").split(" ")
    modules = Path(node["NODE_PATH"].split(os.pathsep)[0])
    path = modules / program if "/" in program else HERE / "node" / program
    told = {**node, "DATABASE_URL": spell(client, where, pooled=pooled)}
    succeed(["node", str(path), *arguments], told)


@pytest.mark.parametrize("tool", NODE)
def test_tools_of_node(tool: str, endpoint: tuple[Endpoint, bool], node: dict[str, str]) -> None:
    where, pooled = endpoint
    migrate(tool, where, node, pooled=pooled)
    assert migrated(where)


def test_prisma_through_the_pooler_leaves_its_lock_to_the_next_migration(
    new_stack: Stack, node: dict[str, str]
) -> None:
    """It never unlocks: its session ends with it, but the pooler's goes on while it is not idle for
    too long."""
    name = f"migration_{secrets.token_hex(4)}"
    with connect(new_stack.spec.direct) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    pooled = replace(new_stack.spec.pooled, database=name)
    direct = replace(new_stack.spec.direct, database=name)
    with console(new_stack.spec) as tell:
        tell("SET server_idle_timeout = 600")
        try:
            migrate("prisma", pooled, node, pooled=True)
            with pytest.raises(AssertionError) as caught:
                migrate("prisma", direct, node, pooled=False)
        finally:
            tell("SET server_idle_timeout = 3")
    advice = lookup(str(caught.value))
    assert advice is not None
    assert advice.text == "Timed out trying to acquire a postgres advisory lock"


@pytest.mark.parametrize("route", ROUTES)
def test_a_lock_of_the_session_keeps_others_out(
    route: str, new_stack: Stack, old_stack: Stack
) -> None:
    """What node-pg-migrate, Prisma and Rails rely on; in transaction mode two sessions are one."""
    stack = old_stack if route == ROUTES[2] else new_stack
    endpoint = stack.spec.direct if route == ROUTES[0] else stack.spec.pooled
    key = secrets.randbits(31)
    with connect(endpoint) as first, connect(endpoint) as second:
        [mine] = first.execute(f"SELECT pg_try_advisory_lock({key})").fetchall()
        [others] = second.execute(f"SELECT pg_try_advisory_lock({key})").fetchall()
    shared = stack.mode == PoolMode.TRANSACTION and route != ROUTES[0]
    assert (mine, others) == ((True,), (shared,))
    with console(stack.spec) as tell:
        tell("RECONNECT main")  # or the next test finds the lock


@pytest.mark.parametrize("client", ["django", "django-settings"])
def test_django_migrates_and_works(client: str, endpoint: tuple[Endpoint, bool]) -> None:
    where, pooled = endpoint
    variable = "DATABASE_URL" if client == "django" else "DJANGO_SETTINGS"
    told = {variable: spell(client, where, pooled=pooled), "WORK_POOLED": "1" if pooled else ""}
    python("django_work.py", WORK_WORKERS=str(WORKERS), WORK_ROUNDS=str(ROUNDS), **told)
