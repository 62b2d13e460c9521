"""Projects with tests of their own, which pytest runs as a process."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import available
import pytest
import world

from devdb import paths

DEADLINE = 120
LINGER = "1"
"""Seconds that the tests' own instance stays after its last user."""

CONFTEST = """
import psycopg
import pytest


@pytest.fixture(scope="session")
def devdb_template():
    def migrate(url):
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE note (id int PRIMARY KEY, text text)")
            connection.execute("INSERT INTO note VALUES (1, 'of the template')")

    return migrate


def notes(url):
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT count(*) FROM note").fetchone()[0]


def put(url, *numbers):
    with psycopg.connect(url) as connection:
        for number in numbers:
            connection.execute("INSERT INTO note VALUES (%s, '')", (number,))


@pytest.fixture
def count():
    return notes


@pytest.fixture
def add():
    return put
"""


@dataclass(frozen=True)
class Ran:
    """A run of pytest that ended."""

    code: int
    out: str
    err: str

    @property
    def counts(self) -> str:
        """E.g. `1 failed, 3 passed`."""
        return self.out.strip().splitlines()[-1].partition(" in ")[0]

    @property
    def said(self) -> list[str]:
        """What devdb says at the end."""
        return [line for line in self.out.splitlines() if line.startswith("devdb: ")]


@dataclass(frozen=True)
class Project:
    """A directory with tests, and pytest."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)

    def write(self, **files: str) -> None:
        """Write modules; `a__b` is b.py in the directory a."""
        for name, text in files.items():
            path = self.root / (name.replace("__", "/") + ".py")
            path.parent.mkdir(exist_ok=True)
            path.write_text(textwrap.dedent(text))

    def argv(self, *args: str) -> list[str]:
        """Without hypothesis, whose plugin takes three times as long to load as all the rest."""
        without = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
        return [sys.executable, "-m", "pytest", "-q", *without, *args]

    def environment(self, **env: str) -> dict[str, str]:
        """Nothing in it of the pytest that runs this one."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
        return {**kept, "PYTHONDONTWRITEBYTECODE": "1", **self.env, **env}

    def run(self, *args: str, prefix: tuple[str, ...] = (), **env: str) -> Ran:
        with self.begun(*args, prefix=prefix, **env) as process:
            out, err = process.communicate(timeout=DEADLINE)
        return Ran(process.returncode, out, err)

    @contextmanager
    def begun(
        self, *args: str, prefix: tuple[str, ...] = (), **env: str
    ) -> Iterator[subprocess.Popen[str]]:
        """While it runs; it does not after the block."""
        process = subprocess.Popen(
            [*prefix, *self.argv(*args)],
            cwd=self.root,
            env=self.environment(**env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def instances(self) -> list[Path]:
        """What is there of instances of its tests' own."""
        key = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:8]
        return sorted((paths.cache_home() / "tests").glob(f"{key}-*"))

    def gone(self) -> None:
        """Wait until nothing is there of them."""
        world.eventually(lambda: self.instances() == [], "its instances end", timeout=60)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """One with a table in its template."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    made = Project(root)
    made.write(conftest=CONFTEST)
    return made


@pytest.fixture
def own(project: Project) -> Iterator[Project]:
    """The project, with instances of its own; in the end none may be left."""
    if reason := available.why_not("native"):
        if "native" in available.required():
            pytest.fail(f"the native engine is required here, but: {reason}")
        pytest.skip(f"native engine: {reason}")
    linger = {"_DEVDB_LINGER": LINGER}
    yield Project(project.root, {"DEVDB_ENGINE": "native", **linger})
    project.gone()
