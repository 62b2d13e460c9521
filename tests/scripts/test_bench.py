"""`scripts/bench` measures what it says; whether the figures are good is not for a test."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import available
import bench_testing
import pytest

from devdb.engines import Engine

BENCH = Path(__file__).parents[2] / "scripts" / "benches" / "bench.py"


def bench(group: str, *options: str) -> list[str]:
    command = [sys.executable, str(BENCH), "--runs", "1", "--only", group, *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_every_row_of_an_engine_has_figures(real_engine: Engine) -> None:
    lines = bench(real_engine.name)
    rows = [line for line in lines if re.search(r"\d\.\d{3} +\d+\.\d{3} +\d+\.\d{3}", line)]
    assert len(rows) == {"native": 6, "docker": 7}[real_engine.name]
    assert len([row for row in rows if " x " in row]) == 4
    assert len([row for row in rows if "limit" in row]) == 1 + 1


def test_memory_counts_every_part() -> None:
    lines = bench("memory")
    for engine in ("native", "docker"):
        if available.why_not(engine):
            assert any("not measured" in line and engine in line for line in lines)
            continue
        parts = [line for line in lines if line.strip().startswith(f"{engine}: ")]
        columns = [[float(size) for size in line.split()[-2:]] for line in parts]
        for sizes in zip(*columns, strict=True):
            if math.isnan(sizes[-1]):
                continue  # PSS, where the system does not tell root of others' processes
            assert min(sizes) > 0
            assert sizes[-1] == pytest.approx(sum(sizes[:-1]), abs=0.2)


def test_a_command_is_held_against_its_import() -> None:
    if reason := available.why_not("native"):
        pytest.skip(f"native engine: {reason}")
    lines = bench("cli")
    assert any('import typer" (limit' in line for line in lines)
    assert any("devdb url, of a running instance (limit" in line for line in lines)


def test_keys_are_measured_in_a_full_log_view() -> None:
    lines = bench("logs")
    assert "100,000 lines" in lines[0]
    rows = [line for line in lines if "(limit 0.1: " in line]
    assert len(rows) == 14


def test_clients_are_held_asked_and_at_work() -> None:
    lines = bench("clients", "--clients", "150", "--seconds", "1")
    for engine in ("native", "docker"):
        if available.why_not(engine):
            assert any("not measured" in line and engine in line for line in lines)
            continue
        mine = [line for line in lines if line.strip().startswith(f"{engine}: ")]
        assert any("150 clients" in line and "met" in line for line in mine)
        assert any(re.search(r"[1-9]\d* transactions, 0 errors", line) for line in mine)


def test_the_pooler_is_held_against_another() -> None:
    if reason := available.why_not("native"):
        pytest.skip(f"native engine: {reason}")
    lines = bench("pooler", "--seconds", "1")
    assert len([line for line in lines if "a second" in line and "us each" in line]) == 4
    assert len([line for line in lines if "at least 0.95" in line]) == 2


def test_tls_is_held_against_none() -> None:
    if reason := available.why_not("native"):
        pytest.skip(f"native engine: {reason}")
    lines = bench("tls", "--seconds", "1")
    assert len([line for line in lines if "% less" in line]) == 2
    assert len([line for line in lines if "ms more" in line]) == 2


def test_the_dashboard_is_watched_alone_and_in_a_crowd_and_refreshed() -> None:
    if reason := available.why_not("native"):
        pytest.skip(f"native engine: {reason}")
    lines = bench("dashboard", "--seconds", "0.5", "--refreshes", "20")
    assert len([line for line in lines if ' x python -c "import textual" (limit' in line]) == 2
    assert len([line for line in lines if "% of a core" in line]) == 2
    assert len([line for line in lines if "a second (limit" in line]) == 4
    assert len([line for line in lines if "RSS" in line]) == 3


def test_the_gateway_is_measured_beside_tcp() -> None:
    if reason := available.why_not("native"):
        pytest.skip(f"native engine: {reason}")
    lines = bench("gateway", "--requests", "200")
    rows = [line for line in lines if re.search(r" \d+\.\d{3} .*\(limit ", line)]
    for kind in ("direct", "pooled"):
        assert any(f"{kind}: CPU for a small query" in line for line in rows)
        assert any(f"{kind}: 500 of 20 ms at once" in line for line in rows)
    assert len(rows) == 1 + 2 * 3 + 1 + 2


def test_a_run_of_tests_with_a_database_each_is_told_by_pytest() -> None:
    """The same by the other plugin takes an index to install it from: `scripts/bench` alone."""
    if reason := available.why_not("native") or bench_testing.why_not():
        pytest.skip(f"native engine: {reason}")
    taken = bench_testing.ours(3)
    assert len(taken.added) == 2
    assert taken.all > taken.testing + taken.begun
    assert min(*taken.added, taken.testing, taken.begun) > 0
    row = bench_testing.times("tests a second", 30, [1.0, 1.5], [6.0, 6.0], least=3)
    assert row.split() == "tests a second 24 and 5: 5.0 x (at least 3: met)".split()
