"""The command line as its users have it: in a project directory, with an environment."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import world
from commandline import Cli, Done, Inside, run_here
from inside import Inside as Servers
from terminal import Terminal

from devdb.engines import Engine
from devdb.model import Spec


@pytest.fixture
def processes(tmp_path: Path, home: Path) -> Cli:
    """Each command as a process of its own."""
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
def cli(processes: Cli) -> Cli:
    """How most tests of a module run commands: some modules take `inside` for it."""
    return processes


@pytest.fixture
def inside(
    processes: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Cli:
    """The same in this process, which takes a tenth of the time; 80 columns.

    Not for what is about processes: signals, terminals, what a command leaves running or becomes.
    """
    env = {**processes.env, "COLUMNS": "80"}
    monkeypatch.chdir(processes.project)
    for key, value in env.items():
        monkeypatch.setenv(key, value)

    def run(words: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Done:
        with monkeypatch.context() as patch:
            patch.chdir(cwd)
            for key in os.environ.keys() - env.keys():
                patch.delenv(key)
            for key, value in env.items():
                patch.setenv(key, value)
            return run_here(words, capsys)

    return Inside(processes.project, env, run=run)


@pytest.fixture
def real(
    processes: Cli, real_engine: Engine, free_port: Callable[[], int], home: Path
) -> Iterator[Cli]:
    """The same with an engine that runs real servers; afterwards nothing of it may be left."""
    images = {key: value for key, value in os.environ.items() if key.endswith("_IMAGE")}
    env = {
        **processes.env,
        **images,
        "DEVDB_ENGINE": real_engine.name,
        "DEVDB_PORT": str(free_port()),
        "DEVDB_POOL_PORT": str(free_port()),
    }
    # Another run of this suite may be using the same Docker engine.
    project = processes.project.rename(processes.project.with_name(f"shop-{secrets.token_hex(4)}"))
    real = replace(processes, project=project, env=env)
    yield real
    names = real.markers()
    for name in names:
        assert real("rm", "--force", name).code == 0
    left = [trace for name in {real.name, *names} for trace in world.traces(name, home)]
    assert left == []


@pytest.fixture
def borrowed(processes: Cli, running: Spec) -> Iterator[Cli]:
    """The same, whose project's instance is the shared one; nothing may be left in it."""
    home = os.environ["DEVDB_DATA_DIR"]
    env = {
        **processes.env,
        "DEVDB_DATA_DIR": home,
        "DEVDB_NAME": running.name,
        "DEVDB_ENGINE": "auto",
    }
    yield replace(processes, env=env)
    Servers(running).tidy()


@pytest.fixture
def terminal(processes: Cli) -> Iterator[Callable[..., Terminal]]:
    """Runs a command on a terminal of its own; what still runs at the end is ended."""
    opened: list[Terminal] = []

    def open_one(*args: str, **rest: Any) -> Terminal:
        opened.append(processes.on_terminal(*args, **rest))
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
def unprivileged(processes: Cli, home: Path) -> Cli:
    """The same as an ordinary user: nobody, where the tests run as root."""
    if os.geteuid() != 0:
        return processes
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv to become an ordinary user")
    for directory in (processes.project, *processes.project.parents[:-2]):
        directory.chmod(directory.stat().st_mode | 0o055)
    shutil.chown(home, "nobody")
    return replace(
        processes, prefix=("setpriv", "--reuid=nobody", "--clear-groups", "--no-new-privs")
    )
