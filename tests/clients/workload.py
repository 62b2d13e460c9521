"""What every client does, in whatever language: many workers, each with short transactions.

Each worker has a connection of its own. In each round it asks for a sum with a prepared statement
and writes a row, in one transaction; so it can be seen at the end that none was lost or mixed up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from libpq import connect

from devdb.model import Spec

WORKERS = 50
ROUNDS = 8
"""More than the five after which psycopg and pgJDBC begin to prepare."""
POOL = 5

TABLES = """
CREATE TABLE IF NOT EXISTS work (client text, worker int, round int);
CREATE TABLE IF NOT EXISTS "Note" (id serial PRIMARY KEY, text text NOT NULL);
"""


def prepare(spec: Spec) -> None:
    """Make the tables."""
    with connect(spec.direct) as connection:
        connection.execute(TABLES)


def done(spec: Spec, client: str) -> set[tuple[int, int]]:
    """Which worker's which round was written by the client; forgets them."""
    with connect(spec.direct) as connection:
        rows = connection.execute(
            "DELETE FROM work WHERE client = %s RETURNING worker, round", (client,)
        ).fetchall()
    assert len(rows) == len(set(rows))
    return {(int(worker), int(turn)) for worker, turn in rows}


def everything(workers: int = WORKERS) -> set[tuple[int, int]]:
    """What `done` says when nothing was lost."""
    return {(worker, turn) for worker in range(workers) for turn in range(ROUNDS)}


@contextmanager
def console(spec: Spec) -> Iterator[Callable[[str], object]]:
    """PgBouncer's admin console, which speaks the simple protocol alone."""
    with psycopg.connect(
        host="127.0.0.1",
        port=spec.pool_port,
        user="devdb_pooler",
        password=spec.pooler_password,
        dbname="pgbouncer",
        autocommit=True,
        cursor_factory=psycopg.ClientCursor,
        prepare_threshold=None,
    ) as connection:
        yield connection.execute
