"""The program behind scripts/pressure.

All clients connect at once; when each of them is in or was refused, all that are in ask at once,
and stay until the last one has its answer. They are coroutines of one process, because 500
processes would measure the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psycopg
from measure import running
from pressure_table import Crowd, Figures, save, table

from devdb import engines, urls
from devdb.engines import Engine
from devdb.model import ENGINES, SHARED_ENGINES, Endpoint, Level, Spec
from devdb.workspace.instances import health

T = TypeVar("T")
DEADLINE = 60
"""Seconds after which a client that is not in, or has no answer, counts as failed."""
QUERY = "SELECT pg_sleep(0.02)"
"""Takes its time and no processor, so that the wait is the pooler's queue and not this machine."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/pressure")
    parser.add_argument("--clients", type=int, default=500, metavar="N")
    # Postgres' own default, so what a hosted one of the smaller kind has too.
    parser.add_argument("--max-connections", type=int, default=100, metavar="N")
    parser.add_argument("--engine", choices=sorted({*ENGINES} - {*SHARED_ENGINES}))
    parser.add_argument("--readme", action="store_true", help="make the README's table of it")
    options = parser.parse_args()
    allow_files(options.clients + 200)
    engine = usable(options.engine)
    with instance(engine, options.max_connections) as (spec, measured):
        figures = Figures(
            clients=options.clients,
            max_connections=options.max_connections,
            direct=come(spec, spec.direct, options.clients),
            pooled=come(spec, spec.pooled, options.clients),
            measured=measured,
        )
    print(table(figures), end="")
    if options.readme:
        save(figures)
        subprocess.run([sys.executable, Path(__file__).parents[1] / "docs"], check=True)


def allow_files(count: int) -> None:
    """Let this process, and the servers it starts, have so many files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


def usable(name: str | None) -> Engine:
    """The engine of that name, else the first that can run here."""
    for each in [name] if name else ["native", "docker"]:
        engine = engines.get(each)
        reasons = [found.message for found in engine.check() if found.level == Level.ERROR]
        if not reasons:
            return engine
        print(f"{each} engine: {reasons[0]}", file=sys.stderr)
    raise SystemExit(3)


@contextmanager
def instance(engine: Engine, max_connections: int) -> Iterator[tuple[Spec, str]]:
    """An instance that is gone afterwards, and in words what it is."""
    place = Path(tempfile.mkdtemp(prefix="devdb-pressure-", dir="/var/tmp"))
    place.chmod(0o755)
    os.environ["DEVDB_DATA_DIR"] = str(place)
    settings = (("max_connections", str(max_connections)),)
    try:
        with running(engine, settings=settings) as spec:
            server = engine.find(spec.name)
            assert server is not None
            versions = [server.part(part).version for part in ("postgres", "pgbouncer")]
            words = "{} engine, Postgres {}, PgBouncer {}, {} cores"
            yield spec, words.format(engine.name, *versions, os.cpu_count())
    finally:
        shutil.rmtree(place)


def come(spec: Spec, endpoint: Endpoint, count: int) -> Crowd:
    """Let so many clients come at once."""
    seen = asyncio.run(Coming(urls.url(endpoint), count).all())
    waits = seen.waits or [0.0]
    error = seen.errors.most_common(1)[0][0] if seen.errors else ""
    pooler = health(spec).pgbouncer
    assert pooler is not None
    return Crowd(
        worked=len(seen.waits),
        failed=seen.errors.total(),
        error=error,
        median=round(statistics.median(waits), 3),
        worst=round(max(waits), 3),
        connections=pooler.servers if endpoint == spec.pooled else len(seen.waits),
    )


@dataclass
class Coming:
    """The clients of one URL, and what they met with."""

    url: str
    count: int
    waits: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    async def all(self) -> Coming:
        everybody_came, leave = asyncio.Barrier(self.count), asyncio.Barrier(self.count)
        await asyncio.gather(*(self.one(everybody_came, leave) for _ in range(self.count)))
        return self

    async def one(self, everybody_came: asyncio.Barrier, leave: asyncio.Barrier) -> None:
        connection = await self.attempt(psycopg.AsyncConnection.connect(self.url, autocommit=True))
        await everybody_came.wait()
        begun = time.perf_counter()
        if connection is not None and await self.attempt(connection.execute(QUERY)) is not None:
            self.waits.append(time.perf_counter() - begun)
        await leave.wait()
        if connection is not None:
            await connection.close()

    async def attempt(self, what: Awaitable[T]) -> T | None:
        """What comes of it; None where that is an error, which is counted."""
        try:
            async with asyncio.timeout(DEADLINE):
                return await what
        except (psycopg.Error, TimeoutError) as error:
            self.errors[words(error)] += 1
            return None


def words(error: Exception) -> str:
    """What the server said, without what the client put before it."""
    if isinstance(error, TimeoutError):
        return f"no answer within {DEADLINE} s"
    lines = str(error).strip().splitlines()
    return lines[0].rpartition("FATAL:")[2].strip() if lines else type(error).__name__


if __name__ == "__main__":
    main()
