"""Ten thousand clients held, what they take and how they are answered; a thousand at work.

On Docker they come from inside the instance's network, to the container's own address: what its
proxy carries to 127.0.0.1 is another number, the one that `devdb status` names.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import bench_memory
import crowd
from measure import new_spec, remove, start

from devdb import engines
from devdb.engines.docker import labels
from devdb.model import Endpoint, Spec

CLIENTS = 10_000
MEMORY = 60
"""MiB that PgBouncer may take for so many without TLS."""
MEMORY_TLS = 15
"""kB more that one with TLS may take."""
ASKED = 100
WORKERS = 1000
TRANSACTION = "BEGIN; SELECT 1; COMMIT"


@dataclass(frozen=True, slots=True)
class Running:
    """An instance that lets so many in."""

    spec: Spec
    endpoint: Endpoint
    pid: int
    """PgBouncer's."""
    takes: int
    """The clients it takes."""


def lines(engine_name: str, count: int, seconds: float) -> Iterator[str]:
    """The rows of that engine: so many held, and a thousand (or all) that work for so long."""
    tls = (False, True) if engine_name == "native" else (False,)
    with running(engine_name) as found:
        for with_tls in tls:
            yield from asyncio.run(held(engine_name, found, count, with_tls))
        yield from asyncio.run(worked(engine_name, found, min(count, WORKERS), seconds))


async def held(engine_name: str, found: Running, count: int, tls: bool) -> list[str]:
    wanted = crowd.may_open(min(count, found.takes))
    _, before, _ = bench_memory.used(found.pid, alone=True)
    clients, told = await crowd.gather(found.endpoint, wanted, tls=tls)
    try:
        _, rss, _ = bench_memory.used(found.pid, alone=True)
        answered = await crowd.ask(random.sample(clients, ASKED), "SELECT 1")
    finally:
        for client in clients:
            client.close()
    each = (rss - before) * 1024 / len(clients)
    title = f"{engine_name}: {'with TLS' if tls else 'held'}"
    limit = f"{each:.1f} kB each"
    verdict = (
        mark(each <= MEMORY_TLS, f"{MEMORY_TLS} kB")
        if tls
        else mark(rss <= MEMORY, f"{MEMORY} MiB")
    )
    return [
        f"  {title:<38} {len(clients):8} clients "
        f"{mark(len(clients) == count, count)}{refused(told)}",
        f"  {'PgBouncer, RSS':<38} {rss:8.1f} MiB, {limit} {verdict}",
        f"  {f'{ASKED} of them answered':<38} {answered:8.3f} s {mark(answered <= 1, '1 s')}",
    ]


async def worked(engine_name: str, found: Running, count: int, seconds: float) -> list[str]:
    clients, told = await crowd.gather(found.endpoint, crowd.may_open(count))
    try:
        done, errors = await crowd.work(clients, TRANSACTION, seconds)
    finally:
        for client in clients:
            client.close()
    title = f"{engine_name}: {count} clients for {seconds:g} s"
    failed = (told + errors).total()
    return [
        f"  {title:<38} {done:8} transactions, {failed} errors {mark(failed == 0, 0)}"
        f"{refused(told + errors)}"
    ]


def mark(met: bool, limit: object) -> str:
    return f"(limit {limit}: {'met' if met else 'MISSED'})"


def refused(told: dict[str, int]) -> str:
    return "".join(f"; {count}: {words}" for words, count in told.items())


@contextmanager
def running(engine_name: str) -> Iterator[Running]:
    engine = engines.get(engine_name)
    wish = (("max_client_conn", str(CLIENTS)),)
    spec = new_spec(engine, pooler_settings=wish)
    try:
        start(engine, spec)
        if engine_name == "native":
            server = engine.find(spec.name)
            assert server is not None
            takes = server.max_clients or 0
            yield Running(
                spec, spec.pooled, bench_memory.native_pids(spec.name)["pgbouncer"], takes
            )
        else:
            name = labels.identity_of_new(spec.name).object_name(labels.PGBOUNCER)
            container = json.loads(bench_memory.docker("inspect", name))[0]
            (network,) = container["NetworkSettings"]["Networks"].values()
            inside = replace(spec.pooled, host=network["IPAddress"], port=6432)
            yield Running(spec, inside, container["State"]["Pid"], CLIENTS)
    finally:
        remove(engine, spec.name)
