"""action.yml as GitHub's runner takes it, with the programs that this machine has.

In a Debian that has none of them: `scripts/first-minute --way action`.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import available
import psycopg
import pytest
import yaml
from system.actions import Runner
from system.shell import CommandFailed
from system.terminal import Terminal

from devdb import engines

ROOT = Path(__file__).parents[2]


@pytest.fixture
def job(tmp_path: Path, home: Path, free_port: Callable[[], int]) -> Iterator[Runner]:
    """One in the project `shop`, of somebody whose home is empty, without root."""
    if reason := available.why_not("native"):
        pytest.skip(f"native engine: {reason}")
    if not (ROOT / ".venv" / "devdb-installed.json").exists():
        pytest.skip("this checkout has no .venv: scripts/test makes it")
    for name in ("home", "runner", "shop"):
        (tmp_path / name).mkdir()
    (tmp_path / "shop" / "package.json").touch()
    env = {
        "HOME": str(tmp_path / "home"),
        "DEVDB_DATA_DIR": str(home),
        "DEVDB_CACHE_DIR": os.environ["DEVDB_CACHE_DIR"],  # as it was kept
        "DEVDB_PORT": str(free_port()),
        "DEVDB_POOL_PORT": str(free_port()),
        "DEVDB_NO_SYSTEM": "1",
    }
    others = {key: value for key, value in os.environ.items() if not key.startswith("DEVDB_")}
    clean = [f"{key}={value}" for key, value in others.items()]
    terminal = Terminal(["env", "-i", *clean, "bash", "--noprofile", "--norc"], owner=os.getuid())
    terminal.set_up()
    terminal.ask(f"cd {shlex.quote(str(tmp_path / 'shop'))}", patience=10)
    yield Runner(terminal, ROOT, tmp_path / "runner", path=os.environ["PATH"], env=env)
    terminal.close()
    engines.get("native").stop("shop", destroy=True)


def test_a_job_gets_both_urls_and_devdb_and_its_log_no_password(job: Runner) -> None:
    before = dict(job.env)
    outputs = job.take(export="false")
    assert job.env == before
    assert list(outputs) == ["direct-url", "pooled-url"]
    for url in outputs.values():
        with psycopg.connect(url, prepare_threshold=None) as connection:
            assert connection.execute("SELECT current_user").fetchone() == ("devdb",)

    shown = "".join(said.text for said in job.said)
    password = urlsplit(outputs["direct-url"]).password
    assert shown.count(f"{password}") == shown.count(f"::add-mask::{password}\n") == 1

    assert job.used == ["actions/cache@v5"]
    assert job.outputs["install"]["cache"] == os.environ["DEVDB_CACHE_DIR"]
    programs = Path(job.path.partition(":")[0])
    assert [path.name for path in programs.iterdir()] == ["devdb"]
    said = job.terminal.ask(f"PATH={programs}:$PATH devdb --version", patience=30)
    assert said.code == 0

    # What follows has the names that the project's .env would have.
    job.terminal.ask("printf '[env]\\nSHOP_DB = \"pooled\"\\n' > devdb.toml", patience=10)
    assert job.take() == outputs
    assert job.env == {**before, "SHOP_DB": outputs["pooled-url"]}


def test_a_postgres_that_cannot_be_had_fails_the_step_in_two_lines(job: Runner) -> None:
    with pytest.raises(CommandFailed, match=r"ended with 3:\n(?s:.*)error: .*Postgres 13.*\n  try"):
        job.take(pg="13")
    assert "up" not in job.outputs


def test_each_step_is_one_line_into_which_nothing_is_put() -> None:
    told = yaml.safe_load((ROOT / "action.yml").read_text())
    for step in told["runs"]["steps"]:
        if "uses" in step:
            assert re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"])
        else:
            assert "\n" not in step["run"]
            assert "${{" not in step["run"]
    assert all(each["description"] for each in (*told["inputs"].values(), told))
