"""`devdb` as a process: its words in, its streams and its exit code out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from terminal import Terminal

from devdb.cli import boundary

DEADLINE = 60


def run_here(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> Done:
    """Run it in this process."""
    capsys.readouterr()
    try:
        code = boundary.run(words)
    except SystemExit as ended:
        code = int(ended.code or 0)
    out, err = capsys.readouterr()
    return Done(code, out, err)


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


def ended(argv: Sequence[str], *, cwd: Path, env: dict[str, str], alone: bool = False) -> Done:
    """Run that with nobody at a terminal; `alone`: in a session of its own."""
    done = subprocess.run(
        argv,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=DEADLINE,
        start_new_session=alone,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Cli:
    """Runs `devdb` in a project directory of its own, with the fake engine."""

    project: Path
    env: dict[str, str]
    prefix: tuple[str, ...] = ()

    def __call__(self, *args: str, cwd: Path | None = None, **env: str | None) -> Done:
        return ended(self.argv(*args), cwd=cwd or self.project, env=self.environment(**env))

    def completed(self, *words: str, cwd: Path | None = None) -> list[str]:
        """What bash would be offered for the last word."""
        done = self(
            cwd=cwd,
            _DEVDB_COMPLETE="complete_bash",
            COMP_WORDS=" ".join(("devdb", *words)),
            COMP_CWORD=str(len(words)),
        )
        assert (done.code, done.err) == (0, "")
        return done.out.split()

    @property
    def name(self) -> str:
        """The instance that the project's directory gives."""
        return self.project.name

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

    def on_terminal(
        self, *args: str, columns: int = 80, cwd: Path | None = None, **env: str | None
    ) -> Terminal:
        """Start it on a terminal of its own."""
        return Terminal(
            self.argv(*args),
            cwd=cwd or self.project,
            env=self.environment(**env),
            columns=columns,
        )

    def argv(self, *args: str) -> list[str]:
        return [*self.prefix, sys.executable, "-m", "devdb", *args]

    def environment(self, **env: str | None) -> dict[str, str]:
        """The environment, with changes; None takes a variable away."""
        wanted = {**self.env, **env}
        return {key: value for key, value in wanted.items() if value is not None}

    def change_marker(self, name: str, **changes: object) -> None:
        """Make an instance into one that the command line would not make here."""
        path = Path(self.env["DEVDB_DATA_DIR"]) / "instances" / name / "marker.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    def markers(self) -> list[str]:
        """The instances that have a directory, whatever is in it."""
        home = Path(self.env["DEVDB_DATA_DIR"]) / "instances"
        return sorted(path.name for path in home.iterdir()) if home.is_dir() else []


@dataclass(frozen=True)
class Inside(Cli):
    """The same in this process, but for the commands that become another program."""

    run: Callable[[Sequence[str], Path, Mapping[str, str]], Done] | None = None

    def __call__(self, *args: str, cwd: Path | None = None, **env: str | None) -> Done:
        if self.run is None or args[:1] in (("psql",), ("run",)):
            return super().__call__(*args, cwd=cwd, **env)
        return self.run(args, cwd or self.project, self.environment(**env))
