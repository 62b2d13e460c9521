"""Throughput through devdb's PgBouncer beside one tuned by hand, on the same Postgres.

Both are the same program and are started in the same way, in a session of their own: Linux shares
the processor out between sessions (sched_autogroup_enabled). They are measured in turn. What
PgBouncer itself takes for a transaction says more than transactions a second, which on a busy
machine are the others'.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from bench_memory import native_pids
from measure import running, until_it_answers
from specs import free_port

from devdb import engines, processes
from devdb.engines.native import binaries, owner
from devdb.engines.native.layout import Layout
from devdb.model import Endpoint, Spec

ROUNDS = 7
SECONDS = 3
CLIENTS = 20
LEAST = 0.95

BY_HAND = """\
[databases]
* = host={sockets} port={port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {pool_port}
auth_type = scram-sha-256
auth_file = {place}/userlist.txt
unix_socket_dir =
pool_mode = transaction
default_pool_size = 20
max_client_conn = 10000
max_prepared_statements = 200
server_tls_sslmode = disable
log_connections = 0
log_disconnections = 0
"""


@dataclass(frozen=True, slots=True)
class Round:
    """One run of pgbench."""

    a_second: float
    processor: float
    """Microseconds of PgBouncer's for each transaction."""


def lines(rounds: int, seconds: float) -> Iterator[str]:
    """A row for each way of asking; each time for so many seconds, at least one."""
    with running(engines.get("native")) as spec:
        ours = spec.pooled, native_pids(spec.name)["pgbouncer"]
        with by_hand(spec) as theirs:
            for mode in ("simple", "prepared"):
                yield from compared(mode, rounds, seconds, ours, theirs)


def compared(mode: str, count: int, seconds: float, *both: tuple[Endpoint, int]) -> Iterator[str]:
    rounds: list[list[Round]] = [[], []]
    for number in range(count):
        pairs = list(zip(both, rounds, strict=True))
        # Who is second finds the caches warm, and a machine that was busy becomes less so.
        for (endpoint, pid), done in reversed(pairs) if number % 2 else pairs:
            done.append(measure(mode, seconds, endpoint, pid))
    titles = "devdb's PgBouncer", "one tuned by hand"
    for title, done in zip(titles, rounds, strict=True):
        a_second = statistics.median(each.a_second for each in done)
        processor = statistics.median(each.processor for each in done)
        yield f"  {f'{mode}: {title}':<38} {a_second:8.0f} a second, {processor:6.2f} us each"
    processor = statistics.median(b.processor / a.processor for a, b in zip(*rounds, strict=True))
    rate = statistics.median(a.a_second / b.a_second for a, b in zip(*rounds, strict=True))
    verdict = "met" if max(processor, rate) >= LEAST else "MISSED"
    yield (
        f"  {f'{mode}: ratio':<38} {rate:8.2f} a second, {processor:6.2f} by processor "
        f"(at least {LEAST}: {verdict})"
    )


def measure(mode: str, seconds: float, endpoint: Endpoint, pid: int) -> Round:
    process = psutil.Process(pid)
    before = sum(process.cpu_times()[:2])
    program = binaries.postgres(None, data=None).program("pgbench")
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write("SELECT 1;\n")
        script.flush()
        where = ("-h", endpoint.host, "-p", str(endpoint.port), "-U", endpoint.user)
        load = ("-c", str(CLIENTS), "-j", str(CLIENTS), "-M", mode)
        limit = ("-T", str(max(1, round(seconds))))
        done = subprocess.run(
            [program, "-n", *where, *load, *limit, "-f", script.name, endpoint.database],
            env={**os.environ, "PGPASSWORD": endpoint.password, "PGSSLMODE": "disable"},
            capture_output=True,
            text=True,
            check=True,
            start_new_session=True,
        )
    took = sum(process.cpu_times()[:2]) - before
    count = re.search(r"actually processed: (\d+)", done.stdout)
    rate = re.search(r"tps = ([\d.]+)", done.stdout)
    assert count is not None
    assert rate is not None
    return Round(float(rate[1]), took / int(count[1]) * 1e6)


@contextmanager
def by_hand(spec: Spec) -> Iterator[tuple[Endpoint, int]]:
    """A PgBouncer on that instance's Postgres, with what somebody would write who wants speed."""
    layout, whose = Layout.of(spec.name), owner.choose()
    place = Path(tempfile.mkdtemp(prefix="devdb-bench-pooler-"))
    port = free_port()
    sockets = layout.socket_directory or "127.0.0.1"
    text = BY_HAND.format(sockets=sockets, port=spec.port, pool_port=port, place=place)
    (place / "pgbouncer.ini").write_text(text)
    (place / "userlist.txt").write_text(f'"{spec.pooled.user}" "{spec.password}"\n')
    for path in (place, *place.iterdir()):
        whose.give(path)
    endpoint = Endpoint(
        host="127.0.0.1",
        port=port,
        user=spec.pooled.user,
        password=spec.password,
        database=spec.pooled.database,
    )
    pooler = binaries.pooler()
    pid = processes.spawn(
        [pooler.path, place / "pgbouncer.ini"],
        cwd=place,
        log=place / "log",
        env={"PATH": os.defpath, **binaries.libraries(pooler.path)},
        credentials=whose.credentials,
    )
    try:
        until_it_answers(endpoint)
        yield endpoint, pid
    finally:
        ended = [(signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)]
        processes.end([pid], ended, is_there=processes.is_running)
        shutil.rmtree(place)
