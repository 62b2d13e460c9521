"""`scripts/up` as a newcomer runs it, where its .venv is there already."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from devdb import engines
from devdb.engines import Engine

ROOT = Path(__file__).parents[2]

Up = Callable[..., subprocess.CompletedProcess[str]]
one_engine = pytest.mark.parametrize("real_engine", ["native"], indirect=True)
"""For what the script does by itself, whatever runs the servers."""


@pytest.fixture
def up(real_engine: Engine, tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Up]:
    """Runs `scripts/up` off a terminal, in a project of its own; its instance goes away again."""
    if not (ROOT / ".venv" / "devdb-installed.json").exists():
        pytest.skip("this checkout has no .venv: scripts/test makes it")
    project = tmp_path / "shop"
    (project / ".git").mkdir(parents=True)
    ports = [f"--port={free_port()}", f"--pool-port={free_port()}"]

    def run(
        *options: str, first: tuple[str, ...] = (), prefix: tuple[str, ...] = (), **env: str
    ) -> subprocess.CompletedProcess[str]:
        argv = [*prefix, str(ROOT / "scripts" / "up"), *first]
        return subprocess.run(
            [*argv, "--engine", real_engine.name, *(options or ports)],
            cwd=project,
            env={**os.environ, **env},
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


@pytest.fixture
def linking(tmp_path: Path) -> tuple[Path, tuple[str, ...]]:
    """The directory that --link writes to, and what goes before scripts/up so that it is ours."""
    if os.geteuid() != 0:
        return tmp_path / ".local" / "bin", ()
    place = tmp_path / "bin"
    place.mkdir()
    mount = f'mount --bind {place} /usr/local/bin && exec "$@"'
    if subprocess.run(["unshare", "--mount", "sh", "-c", mount, "sh", "true"]).returncode:
        pytest.skip("needs a mount namespace: root's link is in /usr/local/bin")
    return place, ("unshare", "--mount", "sh", "-c", mount, "sh")


def path_without_devdb() -> str:
    places = [Path(place) for place in os.environ["PATH"].split(os.pathsep)]
    without = [each for each in places if not (each / "devdb").exists()]
    return os.pathsep.join(str(each) for each in without if str(each) != "/usr/local/bin")


@one_engine
def test_with_link_the_shell_finds_devdb_and_without_it_is_told_where_it_is(
    up: Up, linking: tuple[Path, tuple[str, ...]], tmp_path: Path
) -> None:
    place, prefix = linking
    devdb = ROOT / ".venv" / "bin" / "devdb"
    elsewhere = {"HOME": str(tmp_path), "PATH": path_without_devdb()}
    told = up(**elsewhere).stderr
    assert f"The command devdb is {devdb}; scripts/up --link puts it into" in told
    done = up(first=("--link",), prefix=prefix, **elsewhere)
    assert done.returncode == 0, done.stderr
    assert (place / "devdb").resolve() == devdb.resolve()
    assert re.search(r'export PATH=".*bin:\$PATH"', done.stderr)
    on_path = {**elsewhere, "PATH": f"{place}:/usr/local/bin:{path_without_devdb()}"}
    assert "devdb is" not in up(prefix=prefix, **on_path).stderr


@one_engine
def test_a_devdb_that_is_another_one_stays(
    up: Up, linking: tuple[Path, tuple[str, ...]], tmp_path: Path
) -> None:
    place, prefix = linking
    place.mkdir(parents=True, exist_ok=True)
    (place / "devdb").write_text("pipx's")
    done = up(first=("--link",), prefix=prefix, HOME=str(tmp_path), PATH=path_without_devdb())
    assert done.returncode == 0, done.stderr
    assert "is there already, and is another one: it stays" in done.stderr
    assert (place / "devdb").read_text() == "pipx's"


@one_engine
@pytest.mark.parametrize("option", ["--port=70000", "--pg=newest", "--engine"])
def test_a_wrong_option_is_told_by_devdb_and_installs_nothing(up: Up, option: str) -> None:
    done = up(option)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Installing" not in done.stderr
    assert option.split("=")[0] in done.stderr


@one_engine
def test_help_is_the_help_of_up(up: Up) -> None:
    assert "--pool-port" in up("--help").stdout
