"""The command line as its users have it: a process with streams, a directory and an environment."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.cli.terminal import Terminal

DEADLINE = 60


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> list[str]:
        """The two lines of the error."""
        lines = self.err.splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith("error: "))
        return lines[start:]


@dataclass(frozen=True)
class Cli:
    """Runs `devdb` in a project directory of its own, with the fake engine."""

    project: Path
    env: dict[str, str]
    prefix: tuple[str, ...] = ()

    def __call__(self, *args: str, cwd: Path | None = None, **env: str | None) -> Done:
        done = subprocess.run(
            self.argv(*args),
            cwd=cwd or self.project,
            env=self.environment(**env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=DEADLINE,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def begin(self, *args: str, **env: str | None) -> subprocess.Popen[str]:
        """Start it and go on; the caller waits for it."""
        return subprocess.Popen(
            self.argv(*args),
            cwd=self.project,
            env=self.environment(**env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def on_terminal(self, *args: str, columns: int = 80, **env: str | None) -> Terminal:
        return Terminal(
            self.argv(*args), cwd=self.project, env=self.environment(**env), columns=columns
        )

    def argv(self, *args: str) -> list[str]:
        return [*self.prefix, sys.executable, "-m", "devdb", *args]

    def environment(self, **env: str | None) -> dict[str, str]:
        """The environment, with changes; None takes a variable away."""
        wanted = {**self.env, **env}
        return {key: value for key, value in wanted.items() if value is not None}

    def markers(self) -> list[str]:
        """The instances that have a directory, whatever is in it."""
        home = Path(self.env["DEVDB_DATA_DIR"]) / "instances"
        return sorted(path.name for path in home.iterdir()) if home.is_dir() else []


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    project = tmp_path / "shop"
    project.mkdir()
    (project / "pyproject.toml").touch()
    clean = {key: value for key, value in os.environ.items() if not key.startswith("DEVDB_")}
    env = {
        **clean,
        "DEVDB_DATA_DIR": str(tmp_path / "data"),
        "DEVDB_CACHE_DIR": str(tmp_path / "cache"),
        "DEVDB_ENGINE": "fake",
        "HOME": str(tmp_path / "home"),
        "TERM": "xterm",
    }
    for key in ("NO_COLOR", "FORCE_COLOR", "SSH_CONNECTION", "SSH_TTY", "COLUMNS"):
        env.pop(key, None)
    return Cli(project, env)


@pytest.fixture
def terminal(cli: Cli) -> Iterator[Callable[..., Terminal]]:
    """Runs a command on a terminal of its own; what still runs at the end is ended."""
    opened: list[Terminal] = []

    def open_one(*args: str, columns: int = 80, **env: str | None) -> Terminal:
        opened.append(cli.on_terminal(*args, columns=columns, **env))
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
def unprivileged(cli: Cli) -> Cli:
    """The same as an ordinary user: nobody, where the tests run as root."""
    if os.geteuid() != 0:
        return cli
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv to become an ordinary user")
    for directory in (cli.project, *cli.project.parents[:-2]):
        directory.chmod(directory.stat().st_mode | 0o055)
    top = cli.project.parent
    shutil.chown(top, "nobody")
    return replace(cli, prefix=("setpriv", "--reuid=nobody", "--clear-groups", "--no-new-privs"))
