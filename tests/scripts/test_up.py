"""`scripts/up` as a newcomer runs it, where its .venv is there already."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from devdb import engines
from devdb.engines import Engine

ROOT = Path(__file__).parents[2]

Up = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def up(real_engine: Engine, tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Up]:
    """Runs `scripts/up` off a terminal, in a project of its own; its instance goes away again."""
    if not (ROOT / ".venv" / "devdb-installed.json").exists():
        pytest.skip("this checkout has no .venv: scripts/test makes it")
    project = tmp_path / "shop"
    (project / ".git").mkdir(parents=True)
    ports = [f"--port={free_port()}", f"--pool-port={free_port()}"]

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ROOT / "scripts" / "up", "--engine", real_engine.name, *(options or ports)],
            cwd=project,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    yield run
    engines.get(real_engine.name).stop("shop", destroy=True)


def test_stdout_is_the_direct_and_the_pooled_url_and_they_work(up: Up) -> None:
    done = up()
    assert done.returncode == 0, done.stderr
    direct, pooled = done.stdout.splitlines()
    for url in (direct, pooled):
        with psycopg.connect(url, prepare_threshold=None) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    assert up().stdout == done.stdout


@pytest.mark.parametrize("option", ["--port=70000", "--pg=newest", "--engine"])
def test_a_wrong_option_is_told_by_devdb_and_installs_nothing(up: Up, option: str) -> None:
    done = up(option)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Installing" not in done.stderr
    assert option.split("=")[0] in done.stderr


def test_help_is_the_help_of_up(up: Up) -> None:
    assert "--pool-port" in up("--help").stdout
