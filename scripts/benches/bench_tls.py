"""What TLS costs a client that takes it unasked, as libpq does (`sslmode=prefer`), on loopback.

By both URLs: the queries that one session of `pgbench -S` gets answered, and what a connection with
its login takes. Measured in turn, each pair in the other order the next time. Several sessions on
few cores lose more: there the processor is what all of them wait for.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
from collections.abc import Iterator

from measure import running

from devdb import engines
from devdb.engines.native import binaries
from devdb.model import Endpoint

ROUNDS = 9
SECONDS = 2
MODES = "disable", "prefer"


def lines(rounds: int, seconds: float) -> Iterator[str]:
    """Two rows for each URL; pgbench runs for so many seconds each time, at least one."""
    with running(engines.get("native")) as spec:
        pgbench(spec.direct, "-i", "-q", "-s", "1", mode="disable")
        for title, endpoint in (("direct", spec.direct), ("pooled", spec.pooled)):
            yield queries(title, endpoint, rounds, seconds)
            yield connects(title, endpoint, rounds, seconds)


def queries(title: str, endpoint: Endpoint, rounds: int, seconds: float) -> str:
    plain, tls = in_turn(endpoint, rounds, seconds, r"tps = ([\d.]+)")
    lost = statistics.median(1 - b / a for a, b in zip(plain, tls, strict=True)) * 100
    return (
        f"  {f'{title}: pgbench -S':<24} {statistics.median(plain):8.0f} a second without, "
        f"{statistics.median(tls):8.0f} with TLS: {lost:5.1f} % less"
    )


def connects(title: str, endpoint: Endpoint, rounds: int, seconds: float) -> str:
    plain, tls = in_turn(endpoint, rounds, seconds, r"average connection time = ([\d.]+) ms", "-C")
    more = statistics.median(b - a for a, b in zip(plain, tls, strict=True))
    return (
        f"  {f'{title}: a connection':<24} {statistics.median(plain):8.2f} ms without, "
        f"{statistics.median(tls):8.2f} with TLS: {more:5.2f} ms more"
    )


def in_turn(
    endpoint: Endpoint, rounds: int, seconds: float, pattern: str, *options: str
) -> tuple[list[float], list[float]]:
    """The figure that pgbench prints, of each round, without and with TLS."""
    measured: dict[str, list[float]] = {mode: [] for mode in MODES}
    for number in range(rounds):
        for mode in reversed(MODES) if number % 2 else MODES:
            load = ("-n", "-S", "-M", "simple", "-T", str(max(1, round(seconds))), *options)
            printed = pgbench(endpoint, *load, mode=mode)
            found = re.search(pattern, printed)
            assert found is not None, printed
            measured[mode].append(float(found[1]))
    return measured["disable"], measured["prefer"]


def pgbench(endpoint: Endpoint, *options: str, mode: str) -> str:
    program = binaries.postgres(None, data=None).program("pgbench")
    where = ("-h", endpoint.host, "-p", str(endpoint.port), "-U", endpoint.user)
    return subprocess.run(
        [program, *where, *options, endpoint.database],
        env={**os.environ, "PGPASSWORD": endpoint.password, "PGSSLMODE": mode},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
