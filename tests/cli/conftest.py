"""The command line as its users have it: in a project directory, with an environment."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import world
from commandline import Cli, Done
from terminal import Terminal

from devdb.cli import boundary
from devdb.engines import Engine


@pytest.fixture
def cli(tmp_path: Path, home: Path) -> Cli:
    project = tmp_path / "shop"
    project.mkdir()
    (project / "pyproject.toml").touch()
    env = {
        **{key: value for key, value in os.environ.items() if not key.startswith("DEVDB_")},
        "DEVDB_DATA_DIR": str(home),
        "DEVDB_CACHE_DIR": os.environ["DEVDB_CACHE_DIR"],
        "DEVDB_ENGINE": "fake",
        "HOME": str(tmp_path / "home"),
        "TERM": "xterm",
    }
    terminals = ("NO_COLOR", "COLUMNS", "SSH_CONNECTION", "SSH_TTY", "TMUX", "STY")
    for key in terminals:
        env.pop(key, None)
    return Cli(project, env)


@pytest.fixture
def inside(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """The same without a process for each, which many commands are tried in; 80 columns."""
    monkeypatch.chdir(cli.project)
    for key, value in {**cli.env, "COLUMNS": "80"}.items():
        monkeypatch.setenv(key, value)

    def one(*words: str, **env: str) -> Done:
        with monkeypatch.context() as patch:
            for key, value in env.items():
                patch.setenv(key, value)
            try:
                code = boundary.run(words)
            except SystemExit as ended:
                code = int(ended.code or 0)
        out, err = capsys.readouterr()
        return Done(code, out, err)

    return one


@pytest.fixture
def real(cli: Cli, real_engine: Engine, free_port: Callable[[], int], home: Path) -> Iterator[Cli]:
    """The same with an engine that runs real servers; afterwards nothing of it may be left."""
    images = {key: value for key, value in os.environ.items() if key.endswith("_IMAGE")}
    env = {
        **cli.env,
        **images,
        "DEVDB_ENGINE": real_engine.name,
        "DEVDB_PORT": str(free_port()),
        "DEVDB_POOL_PORT": str(free_port()),
    }
    # Another run of this suite may be using the same Docker engine.
    project = cli.project.rename(cli.project.with_name(f"shop-{secrets.token_hex(4)}"))
    real = replace(cli, project=project, env=env)
    yield real
    names = real.markers()
    for name in names:
        assert real("rm", "--force", name).code == 0
    left = [trace for name in {real.name, *names} for trace in world.traces(name, home)]
    assert left == []


@pytest.fixture
def terminal(cli: Cli) -> Iterator[Callable[..., Terminal]]:
    """Runs a command on a terminal of its own; what still runs at the end is ended."""
    opened: list[Terminal] = []

    def open_one(*args: str, **rest: Any) -> Terminal:
        opened.append(cli.on_terminal(*args, **rest))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture
def listener() -> Iterator[int]:
    """A port that somebody (this process) listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.fixture
def unprivileged(cli: Cli, home: Path) -> Cli:
    """The same as an ordinary user: nobody, where the tests run as root."""
    if os.geteuid() != 0:
        return cli
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv to become an ordinary user")
    for directory in (cli.project, *cli.project.parents[:-2]):
        directory.chmod(directory.stat().st_mode | 0o055)
    shutil.chown(home, "nobody")
    return replace(cli, prefix=("setpriv", "--reuid=nobody", "--clear-groups", "--no-new-privs"))
