"""`scripts/pressure` on a small scale: who comes direct is refused, who comes pooled waits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from devdb.engines import Engine

PRESSURE = Path(__file__).parents[2] / "scripts" / "benches" / "pressure.py"
CLIENTS, MAX_CONNECTIONS = 60, 20


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_more_clients_than_connections(real_engine: Engine) -> None:
    numbers = ["--clients", str(CLIENTS), "--max-connections", str(MAX_CONNECTIONS)]
    command = [sys.executable, str(PRESSURE), "--engine", real_engine.name]
    done = subprocess.run([*command, *numbers], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    heading, _, direct, pooled, *_ = done.stdout.splitlines()
    assert cells(heading)[0] == "60 clients at once, `max_connections = 20`"
    _, worked, failed, *_, connections = cells(direct)
    assert 1 <= int(worked) <= MAX_CONNECTIONS
    assert failed == f"{CLIENTS - int(worked)}: `sorry, too many clients already`"
    assert connections == worked
    _, worked, failed, median, worst, connections = cells(pooled)
    assert (worked, failed) == (str(CLIENTS), "0")
    assert 0 < float(median.removesuffix(" s")) <= float(worst.removesuffix(" s"))
    assert 1 <= int(connections) <= MAX_CONNECTIONS // 2
