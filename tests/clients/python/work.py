"""The workload of tests/clients/workload.py, for one of Python's clients."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import asyncpg
import psycopg
import sqlalchemy
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

URL = os.environ["WORK_URL"]
CLIENT = os.environ["WORK_CLIENT"]
WORKERS = int(os.environ["WORK_WORKERS"])
ROUNDS = int(os.environ["WORK_ROUNDS"])
TOGETHER = bool(os.environ["WORK_TOGETHER"])
TRACKED = bool(os.environ["WORK_TRACKED"])

SUM = "SELECT {0}::int + {1}::int"
WRITE = "INSERT INTO work VALUES ({0}, {1}, {2})"


def run_psycopg() -> None:
    barrier = threading.Barrier(WORKERS)
    options: dict[str, Any] = {} if TRACKED else {"prepare_threshold": None}
    total, write = SUM.format("%s", "%s"), WRITE.format("%s", "%s", "%s")

    def work(worker: int) -> None:
        with psycopg.connect(URL, **options) as connection:
            if TOGETHER:
                barrier.wait(30)
            for turn in range(ROUNDS):
                with connection.transaction():
                    row = connection.execute(total, (worker, turn)).fetchone()
                    assert row == (worker + turn,)
                    connection.execute(write, (CLIENT, worker, turn))

    with ThreadPoolExecutor(WORKERS) as threads:
        list(threads.map(work, range(WORKERS)))


def run_asyncpg() -> None:
    options: dict[str, Any] = {} if TRACKED else {"statement_cache_size": 0}
    connected: list[int] = []

    async def work(worker: int) -> None:
        connection = await asyncpg.connect(URL, timeout=30, **options)
        connected.append(worker)
        while TOGETHER and len(connected) < WORKERS:
            await asyncio.sleep(0.01)
        for turn in range(ROUNDS):
            async with connection.transaction():
                assert await connection.fetchval(SUM.format("$1", "$2"), worker, turn) == (
                    worker + turn
                )
                await connection.execute(WRITE.format("$1", "$2", "$3"), CLIENT, worker, turn)
        await connection.close()

    async def main() -> None:
        await asyncio.gather(*(work(worker) for worker in range(WORKERS)))

    asyncio.run(main())


def run_sqlalchemy() -> None:
    options: dict[str, Any] = {} if TRACKED else {"connect_args": {"prepare_threshold": None}}
    # In session mode a connection that an application's pool keeps is one that no other gets.
    pool: Any = {"pool_size": WORKERS} if TOGETHER else {"poolclass": sqlalchemy.NullPool}
    engine = sqlalchemy.create_engine(URL, **pool, **options)
    barrier = threading.Barrier(WORKERS)

    def work(worker: int) -> None:
        with engine.connect() as connection:
            if TOGETHER:
                barrier.wait(30)
            for turn in range(ROUNDS):
                with connection.begin():
                    values: dict[str, Any] = {"a": worker, "b": turn}
                    found = connection.execute(
                        text("SELECT CAST(:a AS int) + CAST(:b AS int)"), values
                    ).scalar()
                    assert found == worker + turn
                    values = {"c": CLIENT, **values}
                    connection.execute(text("INSERT INTO work VALUES (:c, :a, :b)"), values)

    with ThreadPoolExecutor(WORKERS) as threads:
        list(threads.map(work, range(WORKERS)))
    engine.dispose()


def run_sqlalchemy_asyncpg() -> None:
    names = {"statement_cache_size": 0, "prepared_statement_name_func": lambda: f"s{uuid4()}"}
    options: dict[str, Any] = {} if TRACKED else {"connect_args": names}
    pool: Any = {"pool_size": WORKERS} if TOGETHER else {"poolclass": sqlalchemy.NullPool}
    connected: list[int] = []

    async def main() -> None:
        engine = create_async_engine(URL, **pool, **options)

        async def work(worker: int) -> None:
            async with engine.connect() as connection:
                connected.append(worker)
                while TOGETHER and len(connected) < WORKERS:
                    await asyncio.sleep(0.01)
                for turn in range(ROUNDS):
                    async with connection.begin():
                        values: dict[str, Any] = {"a": worker, "b": turn}
                        found = await connection.scalar(
                            text("SELECT CAST(:a AS int) + CAST(:b AS int)"), values
                        )
                        assert found == worker + turn
                        values = {"c": CLIENT, **values}
                        await connection.execute(
                            text("INSERT INTO work VALUES (:c, :a, :b)"), values
                        )

        await asyncio.gather(*(work(worker) for worker in range(WORKERS)))
        await engine.dispose()

    asyncio.run(main())


PROGRAMS = {
    "psycopg": run_psycopg,
    "asyncpg": run_asyncpg,
    "sqlalchemy": run_sqlalchemy,
    "sqlalchemy-asyncpg": run_sqlalchemy_asyncpg,
}

if __name__ == "__main__":
    PROGRAMS[CLIENT]()
