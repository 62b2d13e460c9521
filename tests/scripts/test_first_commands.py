"""`scripts/first-commands` with the devdb of this checkout; a workflow runs it with a wheel's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from devdb.engines import Engine

ROOT = Path(__file__).parents[2]
NAME = "first-commands"


@pytest.fixture
def try_out(free_port: Callable[[], int]) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Runs it with an engine, on ports that are this test's."""
    ports = {"DEVDB_PORT": str(free_port()), "DEVDB_POOL_PORT": str(free_port())}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    def run(engine: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ROOT / "scripts" / NAME],
            env={**os.environ, **ports, "PATH": path, "DEVDB_ENGINE": engine},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    return run


def test_both_urls_and_a_temporary_one_answer_and_nothing_is_left(
    try_out: Callable[[str], subprocess.CompletedProcess[str]], real_engine: Engine
) -> None:
    done = try_out(real_engine.name)
    assert done.returncode == 0, done.stderr
    answers = [line.split()[0] for line in done.stdout.splitlines() if " PostgreSQL " in line]
    assert answers[:2] == ["devdb", "devdb"]
    assert answers[2].startswith("temp_")
    assert real_engine.find(NAME) is None


def test_the_first_command_that_fails_is_the_last(
    try_out: Callable[[str], subprocess.CompletedProcess[str]],
) -> None:
    done = try_out("steam")
    assert done.returncode == 2
    assert "+ devdb doctor" in done.stderr
    assert "+ devdb up" not in done.stderr
