"""A Docker engine on another machine, and devdb as whoever has an SSH key for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import available
import pytest
import world
from commandline import Done, run_here
from far.box import Box, why_not
from world import NewSpec

from devdb import paths
from devdb.engines.docker.engine import DockerEngine
from devdb.model import Spec

ADDRESS = "ssh://box"
Devdb = Callable[..., Done]


@pytest.fixture(scope="session")
def machine() -> Iterator[Box]:
    """One for all tests: to make one takes 8 s of processors, and half of that is its images."""
    if reason := available.why_not("docker") or why_not():
        pytest.skip(f"another machine: {reason}")
    images = [os.environ[name] for name in ("DEVDB_POSTGRES_IMAGE", "DEVDB_PGBOUNCER_IMAGE")]
    box = Box(images)
    yield box
    box.off()


@pytest.fixture(scope="session")
def laptop() -> Iterator[Path]:
    """The data home of all tests here: prepared data there is of one home, and takes seconds."""
    directory = world.new_directory("test")
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(autouse=True)
def home(laptop: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same, with nothing of a test in it but who it is."""
    monkeypatch.setenv("DEVDB_DATA_DIR", str(laptop))
    for variable in ("DEVDB_NAME", "DEVDB_ENGINE"):
        monkeypatch.delenv(variable, raising=False)
    yield laptop
    for path in laptop.iterdir():
        if path.name != "id":
            world.remove(path)


@pytest.fixture
def box(machine: Box, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    """The same, with nothing of a test on it before and after, and no line to it."""
    monkeypatch.setenv("PATH", f"{machine.bin}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(machine.runtime))
    for variable in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    machine.configure()
    yield machine
    machine.hang_up()
    left = machine.left()
    machine.clear()
    assert left == []


@pytest.fixture
def engine(box: Box) -> DockerEngine:
    """The engine there; also what the tests of the contract run with in this folder."""
    return DockerEngine(ADDRESS)


@pytest.fixture
def real_engine(engine: DockerEngine) -> DockerEngine:
    """The same."""
    return engine


@pytest.fixture
def spec(engine: DockerEngine, new_spec: NewSpec) -> Spec:
    """One that lives there; not started."""
    return new_spec(engine, host=ADDRESS)


@pytest.fixture
def real_spec(spec: Spec) -> Spec:
    """The same."""
    return spec


@pytest.fixture
def devdb(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Devdb:
    """Runs commands in this process, where DOCKER_HOST names that machine and no engine is asked
    for."""
    project = tmp_path / "shop"
    project.mkdir()
    (project / "pyproject.toml").touch()
    monkeypatch.chdir(project)
    monkeypatch.setenv("DOCKER_HOST", ADDRESS)

    def run(*words: str) -> Done:
        return run_here(words, capsys)

    return run


def forwarder_of(name: str) -> int:
    """The pid of its forwarder's shell, which is that of a session."""
    return int((paths.instance_dir(name) / "forwarder.pid").read_text())
