"""The program behind scripts/bench: which groups of rows there are, and the tables.

All rows of a group are measured in turn, run by run, so that whatever else the machine does hits
all of them alike. Before several runs there is one more, which only warms caches and is not
counted. Ratios are of medians.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import bench_cli
import bench_clients
import bench_dashboard
import bench_docker
import bench_far
import bench_gateway
import bench_logs
import bench_memory
import bench_native
import bench_pooler
import bench_temporary
import bench_testing
import bench_tls
from measure import Row

from devdb import engines
from devdb.model import ENGINES, SHARED_ENGINES, Level

LOCAL = tuple(name for name in ENGINES if name not in SHARED_ENGINES)
"""The engines of this machine."""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that are measured in turn, and the engine they need."""

    engine: str
    rows: Callable[[ExitStack], list[Row]]
    title: Callable[[], str]


GROUPS = {
    "native": Group("native", bench_native.rows, bench_native.title),
    "docker": Group("docker", bench_docker.rows, bench_docker.title),
    "cli": Group("native", bench_cli.rows, bench_cli.title),
    "logs": Group("fake", bench_logs.rows, bench_logs.title),
    "temp-native": Group("native", partial(bench_temporary.rows, "native"), bench_native.title),
    "temp-docker": Group("docker", partial(bench_temporary.rows, "docker"), bench_docker.title),
    "copy-native": Group("native", partial(bench_temporary.copies, "native"), bench_native.title),
    "copy-docker": Group("docker", partial(bench_temporary.copies, "docker"), bench_docker.title),
    "seed-native": Group("native", partial(bench_temporary.seeds, "native"), bench_native.title),
    "seed-docker": Group("docker", partial(bench_temporary.seeds, "docker"), bench_docker.title),
}
MEMORY, CLIENTS, POOLER, TLS = "memory", "clients", "pooler", "tls"
DASHBOARD, GATEWAY, TESTING = "dashboard", "gateway", "testing"
SSH, KUBERNETES = "ssh", "kubernetes"
"""Only for who names them: they are other machines."""
RUNS = 5
SECONDS = 10.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--runs", type=int, metavar="N")
    others_named = (MEMORY, CLIENTS, POOLER, TLS, DASHBOARD, GATEWAY, TESTING)
    parser.add_argument(
        "--only", action="append", choices=[*GROUPS, *others_named, SSH, KUBERNETES]
    )
    parser.add_argument("--box", metavar="ssh://user@box", help="the machine of --only ssh")
    parser.add_argument(
        *("--seconds", "-T"),
        type=float,
        metavar="N",
        help="how long the thousand clients work (60 is what they are held to), the dashboard is "
        "watched, and pgbench runs each time",
    )
    parser.add_argument("--clients", type=int, default=bench_clients.CLIENTS, metavar="N")
    parser.add_argument("--refreshes", type=int, default=bench_dashboard.REFRESHES, metavar="N")
    parser.add_argument(
        "--requests",
        type=int,
        default=bench_gateway.REQUESTS,
        metavar="N",
        help="of the gateway, whose memory is looked at; it is held to not growing over 100,000",
    )
    parser.add_argument("--tests", type=int, default=bench_testing.TESTS, metavar="N")
    options = parser.parse_args()
    if SSH in (options.only or ()) and options.box is None:
        parser.error("--only ssh takes --box")
    known = GROUPS | far(options.box or "")
    others: dict[str, Callable[[], Iterator[str]]] = {
        MEMORY: memory,
        CLIENTS: partial(clients, options.clients, options.seconds or SECONDS),
        POOLER: partial(
            pooler, options.runs or bench_pooler.ROUNDS, options.seconds or bench_pooler.SECONDS
        ),
        TLS: partial(tls, options.runs or bench_tls.ROUNDS, options.seconds or bench_tls.SECONDS),
        DASHBOARD: partial(
            dashboard, options.runs or RUNS, options.seconds or SECONDS, options.refreshes
        ),
        GATEWAY: partial(gateway, options.runs or RUNS, options.requests),
        TESTING: partial(testing, options.runs or bench_testing.ROUNDS, options.tests),
    }
    # A data directory of its own, on a disk like the real one; templates stay where they are.
    place = Path(tempfile.mkdtemp(prefix="devdb-bench-", dir="/var/tmp"))
    place.chmod(0o755)
    os.environ["DEVDB_DATA_DIR"] = str(place)
    try:
        for name in options.only or [*GROUPS, *others]:
            lines = others[name]() if name in others else table(known[name], options.runs or RUNS)
            for line in lines:
                print(line, flush=True)
    finally:
        shutil.rmtree(place)


def far(box: str) -> dict[str, Group]:
    """The groups for other machines; `box` is the one of SSH."""
    rows, title = partial(bench_far.ssh, box), partial(bench_far.ssh_title, box)
    return {
        SSH: Group("docker", rows, title),
        KUBERNETES: Group("kubernetes", bench_far.kubernetes, bench_far.kubernetes_title),
    }


def table(group: Group, runs: int) -> Iterator[str]:
    if reason := why_not(group.engine):
        yield f"not measured: {group.engine} engine: {reason}"
        return
    yield f"{group.title()}; {runs} runs, {os.cpu_count()} cores"
    yield f"  {'seconds':<44} {'median':>8} {'min':>8} {'max':>8}"
    with ExitStack() as stack:
        rows = group.rows(stack)
        measured = measure(rows, runs)
    for row in rows:
        yield f"  {row.title:<44} {figures(measured[row.title])}{ratio(row, measured)}"
    yield ""


def measure(rows: list[Row], runs: int) -> dict[str, list[float]]:
    measured: dict[str, list[float]] = {row.title: [] for row in rows}
    for number in range(0 if runs > 1 else 1, runs + 1):
        for row in rows:
            print(f"run {number} of {runs}: {row.title}", file=sys.stderr)
            seconds = row.measure()
            if number > 0:
                measured[row.title].append(seconds)
    return measured


def figures(values: list[float]) -> str:
    return f"{statistics.median(values):8.3f} {min(values):8.3f} {max(values):8.3f}"


def ratio(row: Row, measured: dict[str, list[float]]) -> str:
    median = statistics.median(measured[row.title])
    text = ""
    if row.at_most is not None:
        text += f"   {held(median, row.at_most)}"
    if row.against is not None:
        value = (median - row.grace) / statistics.median(measured[row.against])
        text += f"   {value:5.2f} x {row.against}"
        if row.limit is not None:
            text += f" {held(value, row.limit)}"
    return text


def held(value: float, limit: float) -> str:
    return f"(limit {limit:g}: {'met' if value <= limit else 'MISSED'})"


def memory() -> Iterator[str]:
    yield "An idle instance, MiB; the rest of the Docker engine is not in it"
    yield f"  {'':<38} {'RSS':>8} {'PSS':>8}"
    for engine in LOCAL:
        if reason := why_not(engine):
            yield f"  not measured: {engine} engine: {reason}"
        else:
            for part, rss, pss in bench_memory.parts(engine):
                yield f"  {part:<38} {rss:8.1f} {pss:8.1f}"


def clients(count: int, seconds: float) -> Iterator[str]:
    yield "Many clients; on Docker inside the instance's network"
    for engine in LOCAL:
        if reason := why_not(engine):
            yield f"  not measured: {engine} engine: {reason}"
        else:
            yield from bench_clients.lines(engine, count, seconds)
    yield ""


def pooler(rounds: int, seconds: float) -> Iterator[str]:
    if reason := why_not("native"):
        yield f"not measured: native engine: {reason}"
        return
    yield f"{bench_native.title()}; pgbench, {bench_pooler.CLIENTS} clients, in turn"
    yield from bench_pooler.lines(rounds, seconds)
    yield ""


def tls(rounds: int, seconds: float) -> Iterator[str]:
    if reason := why_not("native"):
        yield f"not measured: native engine: {reason}"
        return
    yield f"{bench_native.title()}; what TLS costs who takes it unasked, in turn"
    yield from bench_tls.lines(rounds, seconds)
    yield ""


def dashboard(runs: int, seconds: float, refreshes: int) -> Iterator[str]:
    if reason := why_not("native"):
        yield f"not measured: native engine: {reason}"
        return
    yield from table(Group("native", bench_dashboard.rows, bench_dashboard.title), runs)
    yield from bench_dashboard.lines(seconds, refreshes)
    yield ""


def gateway(runs: int, requests: int) -> Iterator[str]:
    if reason := why_not("native") or bench_gateway.why_not():
        yield f"not measured: {reason}"
        return
    yield f"The gateway; max_connections = {bench_gateway.MAX_CONNECTIONS}, {os.cpu_count()} cores"
    yield from bench_gateway.lines(runs, requests)
    yield ""


def testing(rounds: int, tests: int) -> Iterator[str]:
    if reason := why_not("native") or bench_testing.why_not():
        yield f"not measured: {reason}"
        return
    yield (
        f"{bench_native.title()}; {tests} tests with a database each of {bench_testing.TABLES} "
        f"tables, {rounds} rounds, {os.cpu_count()} cores"
    )
    yield from bench_testing.lines(rounds, tests)
    yield ""


def why_not(engine: str) -> str | None:
    found = engines.get(engine).check()
    return next((each.message for each in found if each.level == Level.ERROR), None)


if __name__ == "__main__":
    main()
