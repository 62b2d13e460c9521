"""The gateway: what it takes for a query over HTTP, beside node-postgres over TCP.

The client is one process of Node's that asks by both in turn, so that whatever else the machine
does hits both alike; what the gateway itself takes is its CPU time, by the system. The instance
takes 20 connections in all.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil
from gateways import Gateway, gateway
from measure import running

from devdb import engines
from devdb.model import Spec
from devdb.urls.spelling import spell

PROGRAM = Path(__file__).with_name("serverless.cjs")
CLIENTS = "DEVDB_TEST_NODE_CLIENTS"
"""Where scripts/clients has put the driver."""
MAX_CONNECTIONS = 20
REQUESTS = 10_000
"""After so many of them RSS is looked at; what it has become at the end when more are asked for."""
TOGETHER = 10
ROUNDS = {"small": 400, "rows": 20}
"""For each run that is asked for."""
AT_ONCE = 500

PROCESSOR = 0.6
"""Milliseconds of the gateway's for a small query."""
LATENCY = 1.5
"""Milliseconds that it takes longer than over TCP."""
ROWS = 2.5
"""Times as long as over TCP."""
STARTED = 0.4
"""Seconds."""
MEMORY, GROWTH = 48.0, 2.0
"""MB of RSS."""


class Client:
    """The program that asks."""

    def __init__(self, program: subprocess.Popen[str], url: str) -> None:
        self._program = program
        self._url = url

    def measure(self, what: str, *, url: str | None = None, **options: Any) -> dict[str, Any]:
        """What the program says of it; times are in milliseconds."""
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        asked = {"measure": what, "url": url or self._url, **options}
        self._program.stdin.write(json.dumps(asked) + "\n")
        self._program.stdin.flush()
        line = self._program.stdout.readline()
        if not line:
            raise SystemExit(f"{PROGRAM.name} ended with {self._program.wait()}")
        return dict(json.loads(line))


def why_not() -> str | None:
    """Why there is nobody to ask; None where there is."""
    return None if os.environ.get(CLIENTS) else f"{CLIENTS} is not set, which scripts/clients does"


def lines(runs: int, requests: int) -> Iterator[str]:
    """A row for each figure."""
    settings = (("max_connections", str(MAX_CONNECTIONS)),)
    with running(engines.get("native"), settings=settings) as spec:
        started = [_started_in(spec) for _ in range(runs)]
        yield line("start to accepting", statistics.median(started), "s", STARTED)
        urls = {
            "direct": spell("node-postgres", spec.direct),
            "pooled": spell("node-postgres", spec.pooled, pooled=True),
        }
        with gateway(spec, max_connections=MAX_CONNECTIONS) as it:
            for kind, url in urls.items():
                with asking(it, url) as client:
                    yield from beside(kind, it, client, runs)
            with asking(it, urls["direct"]) as client:
                yield from grown(it, client, requests)
                for kind, url in urls.items():
                    yield answered(kind, client, url)


def _started_in(spec: Spec) -> float:
    with gateway(spec, max_connections=MAX_CONNECTIONS) as it:
        return it.started_in


def beside(kind: str, it: Gateway, client: Client, runs: int) -> Iterator[str]:
    rounds = {query: count * runs for query, count in ROUNDS.items()}
    before = cpu(it)
    small = client.measure("beside", query="small", rounds=rounds["small"])
    asked = rounds["small"] + -(-rounds["small"] // 10)
    processor = 1000 * (cpu(it) - before) / asked
    yield line(f"{kind}: CPU for a small query", processor, "ms", PROCESSOR)
    tcp, http = medians(small)
    title = f"  longer than over TCP ({tcp:.2f} ms)"
    yield line(title, http - tcp, "ms", LATENCY)
    tcp, http = medians(client.measure("beside", query="rows", rounds=rounds["rows"]))
    yield line(f"  1000 rows x 5, over TCP {tcp:.2f} ms", http / tcp, "x", ROWS)


def grown(it: Gateway, client: Client, requests: int) -> Iterator[str]:
    """RSS after the first of them, and what it has become after all."""
    first = min(requests, REQUESTS)
    client.measure("requests", count=first, together=TOGETHER)
    before = memory(it)
    yield line(f"RSS after {first} requests", before, "MB", MEMORY)
    if requests > first:
        client.measure("requests", count=requests - first, together=TOGETHER)
        title = f"  more after {requests}"
        yield line(title, memory(it) - before, "MB", GROWTH)


def answered(kind: str, client: Client, url: str) -> str:
    """How many of the many at once have no answer."""
    said = client.measure("at_once", url=url, count=AT_ONCE)
    refused = said["refused"]
    words = f"without an answer, all in {said['all'] / 1000:.1f} s"
    if refused:
        words += f", {refused[0]!r}"
    return line(f"{kind}: {AT_ONCE} of 20 ms at once", len(refused), words, 0)


def medians(measured: dict[str, Any]) -> tuple[float, float]:
    """Over TCP, and over HTTP."""
    return statistics.median(measured["tcp"]), statistics.median(measured["http"])


def line(title: str, value: float, unit: str, limit: float) -> str:
    mark = "met" if value <= limit else "MISSED"
    return f"  {title:<44} {value:8.3f} {unit} (limit {limit:g}: {mark})"


def cpu(it: Gateway) -> float:
    """Seconds that it took."""
    times = psutil.Process(it.pid).cpu_times()
    return float(times.user + times.system)


def memory(it: Gateway) -> float:
    """RSS in MB."""
    return float(psutil.Process(it.pid).memory_info().rss) / 1e6


@contextmanager
def asking(it: Gateway, url: str) -> Iterator[Client]:
    home = os.environ[CLIENTS]
    told = {"NODE_PATH": f"{home}/node_modules", "DEVDB_HTTP_URL": it.url}
    with subprocess.Popen(
        ["node", str(PROGRAM)],
        env={**os.environ, **told},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdin is not None
        with closing(program.stdin):
            yield Client(program, url)
