"""The clients at work: Python's in this process, the others as programs of their own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import psycopg
import sqlalchemy
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from workload import ROUNDS, WORKERS, environment

HERE = Path(__file__).parent
Run = Callable[[str, str, bool, bool], None]
"""Called with client name, URL, `together` (all connect before one begins) and `tracked`."""

SUM = "SELECT {0}::int + {1}::int"
WRITE = "INSERT INTO work VALUES ({0}, {1}, {2})"


def run_psycopg(client: str, url: str, together: bool, tracked: bool) -> None:
    barrier = threading.Barrier(WORKERS)
    options: dict[str, Any] = {} if tracked else {"prepare_threshold": None}
    total, write = SUM.format("%s", "%s"), WRITE.format("%s", "%s", "%s")

    def work(worker: int) -> None:
        with psycopg.connect(url, **options) as connection:
            if together:
                barrier.wait(30)
            for turn in range(ROUNDS):
                with connection.transaction():
                    row = connection.execute(total, (worker, turn)).fetchone()
                    assert row == (worker + turn,)
                    connection.execute(write, (client, worker, turn))

    with ThreadPoolExecutor(WORKERS) as threads:
        list(threads.map(work, range(WORKERS)))


def run_asyncpg(client: str, url: str, together: bool, tracked: bool) -> None:
    options: dict[str, Any] = {} if tracked else {"statement_cache_size": 0}
    connected: list[int] = []

    async def work(worker: int) -> None:
        connection = await asyncpg.connect(url, timeout=30, **options)
        connected.append(worker)
        while together and len(connected) < WORKERS:
            await asyncio.sleep(0.01)
        for turn in range(ROUNDS):
            async with connection.transaction():
                assert await connection.fetchval(SUM.format("$1", "$2"), worker, turn) == (
                    worker + turn
                )
                await connection.execute(WRITE.format("$1", "$2", "$3"), client, worker, turn)
        await connection.close()

    async def main() -> None:
        await asyncio.gather(*(work(worker) for worker in range(WORKERS)))

    asyncio.run(main())


def run_sqlalchemy(client: str, url: str, together: bool, tracked: bool) -> None:
    options: dict[str, Any] = {} if tracked else {"connect_args": {"prepare_threshold": None}}
    # In session mode a connection that an application's pool keeps is one that no other gets.
    pool: Any = {"pool_size": WORKERS} if together else {"poolclass": sqlalchemy.NullPool}
    engine = sqlalchemy.create_engine(url, **pool, **options)
    barrier = threading.Barrier(WORKERS)

    def work(worker: int) -> None:
        with engine.connect() as connection:
            if together:
                barrier.wait(30)
            for turn in range(ROUNDS):
                with connection.begin():
                    values = {"a": worker, "b": turn}
                    found = connection.execute(text(SUM.format(":a", ":b")), values).scalar()
                    assert found == worker + turn
                    values = {"c": client, **values}
                    connection.execute(text(WRITE.format(":c", ":a", ":b")), values)

    with ThreadPoolExecutor(WORKERS) as threads:
        list(threads.map(work, range(WORKERS)))
    engine.dispose()


def run_sqlalchemy_asyncpg(client: str, url: str, together: bool, tracked: bool) -> None:
    names = {"statement_cache_size": 0, "prepared_statement_name_func": lambda: f"s{uuid4()}"}
    options: dict[str, Any] = {} if tracked else {"connect_args": names}
    pool: Any = {"pool_size": WORKERS} if together else {"poolclass": sqlalchemy.NullPool}
    connected: list[int] = []

    async def main() -> None:
        engine = create_async_engine(url, **pool, **options)

        async def work(worker: int) -> None:
            async with engine.connect() as connection:
                connected.append(worker)
                while together and len(connected) < WORKERS:
                    await asyncio.sleep(0.01)
                for turn in range(ROUNDS):
                    async with connection.begin():
                        values = {"a": worker, "b": turn}
                        found = await connection.scalar(text(SUM.format(":a", ":b")), values)
                        assert found == worker + turn
                        values = {"c": client, **values}
                        await connection.execute(text(WRITE.format(":c", ":a", ":b")), values)

        await asyncio.gather(*(work(worker) for worker in range(WORKERS)))
        await engine.dispose()

    asyncio.run(main())


PYTHON: dict[str, Run] = {
    "psycopg": run_psycopg,
    "asyncpg": run_asyncpg,
    "sqlalchemy": run_sqlalchemy,
    "sqlalchemy-asyncpg": run_sqlalchemy_asyncpg,
}


def program(argv: list[str], env: dict[str, str]) -> Run:
    """A client in another language: it is told by its environment, and fails by its exit code."""

    def run(client: str, url: str, together: bool, tracked: bool) -> None:
        told = {**env, **environment(url, client, together=together)}
        done = subprocess.run(argv, env=told, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

    return run


def pgbench(mode: str) -> Run:
    """pgbench's own workload with as many threads as clients: fewer wait for each other's pool."""

    def run(client: str, url: str, together: bool, tracked: bool) -> None:
        numbers = ["-c", str(WORKERS), "-j", str(WORKERS), "-t", str(ROUNDS)]
        argv = ["pgbench", "-n", "-M", mode, "-S", *numbers, url]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        total = f"number of transactions actually processed: {WORKERS * ROUNDS}/{WORKERS * ROUNDS}"
        assert total in done.stdout

    return run


def psql(url: str, query: str) -> str:
    """The answer of psql."""
    argv = ["psql", "-X", "-At", "-c", query, url]
    env = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout.strip()
