"""Migration tools, each on a new database: by the direct URL, and what the pooled one does.

Prisma's and Rails' migrations are not among them: Prisma's engine comes from nowhere offline, and
both need an advisory lock that lasts as long as the session (see the advice about it).
"""

from __future__ import annotations

import os
import secrets
import sys
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from programs import succeed
from stacks import Stack
from workload import ROUNDS, WORKERS

from devdb.model import Endpoint
from devdb.postgres import connect
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


def test_drizzle(endpoint: tuple[Endpoint, bool], node: dict[str, str]) -> None:
    where, pooled = endpoint
    text = spell("drizzle", where, pooled=pooled)
    succeed(["node", str(HERE / "node" / "migrate.cjs")], {**node, "DATABASE_URL": text})
    assert migrated(where)


@pytest.mark.parametrize("client", ["django", "django-settings"])
def test_django_migrates_and_works(client: str, endpoint: tuple[Endpoint, bool]) -> None:
    where, pooled = endpoint
    variable = "DATABASE_URL" if client == "django" else "DJANGO_SETTINGS"
    told = {variable: spell(client, where, pooled=pooled), "WORK_POOLED": "1" if pooled else ""}
    python("django_work.py", WORK_WORKERS=str(WORKERS), WORK_ROUNDS=str(ROUNDS), **told)
