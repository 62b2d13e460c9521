"""A whole instance for the clients: behind a PgBouncer that tracks, or behind one that cannot."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import available
import old_pgbouncer
import pytest
import specs
import world
from clients import workload

from devdb import certificates, engines, marker, pgbouncer
from devdb.engines import Engine
from devdb.model import PoolMode, Spec

NEW, OLD = "new", "old"
PATIENCE = 90
"""Seconds a client of a test may wait for its turn."""
_FALLBACK = {NEW: "devdb-test/pgbouncer:1.24", OLD: "devdb-test/pgbouncer:1.18"}


@dataclass(frozen=True)
class Stack:
    """A running instance with a pool of five."""

    spec: Spec
    engine: Engine
    mode: PoolMode
    version: tuple[int, int, int]
    ca: Path
    """The CA certificate of the instance."""

    @property
    def tracked(self) -> bool:
        return pgbouncer.tracks(self.version)


@contextmanager
def running(age: str) -> Iterator[Stack]:
    """An instance with a PgBouncer of that age; skips the test where there is none."""
    name, pooler_image, environment = _engine(age)
    home = world.new_directory("test")
    environment |= {"DEVDB_DATA_DIR": str(home)}
    with _told(environment):
        engine = engines.get(name)
        spec = specs.new(name, pooler_image=pooler_image)
        marker.save(spec)
    try:
        with _told(environment):
            server = list(engine.start(spec))[-1].server
            ca = certificates.ca_path(spec.name)
        assert server is not None
        version = pgbouncer.parse_version(server.part("pgbouncer").version or "")
        workload.prepare(spec)
        with workload.console(spec) as tell:
            tell(f"SET default_pool_size = {workload.POOL}")
            # In session mode the last of fifty waits for nine turns of others, each from their
            # login to their leave: on a busy machine longer than the 15 s that devdb sets.
            tell(f"SET query_wait_timeout = {PATIENCE}")
        yield Stack(spec, engine, server.pool_mode, version, ca)
    finally:
        with _told(environment):
            engine.stop(spec.name, destroy=True)
        shutil.rmtree(home)


@contextmanager
def _told(environment: dict[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in environment.items():
            patch.setenv(variable, value)
        yield


def _engine(age: str) -> tuple[str, str | None, dict[str, str]]:
    """The engine, the image of its PgBouncer, and what the engine has to be told.

    Native processes have the new one, Docker the old one, so that the clients meet both engines;
    where only one of them runs, it has both.
    """
    reasons = {name: available.why_not(name) for name in ("native", "docker")}
    if reasons["native"] is None and (age == NEW or reasons["docker"] is not None):
        program = _native(age)
        if isinstance(program, dict):
            return "native", None, program
        reasons["native"] = program
    if reasons["docker"] is None:
        return "docker", _image(age), {}
    told = "; ".join(f"{name} engine: {reason}" for name, reason in reasons.items())
    pytest.skip(f"no {age} PgBouncer; {told}")


def _native(age: str) -> dict[str, str] | str:
    """What to tell the native engine for a PgBouncer of that age; else why there is none."""
    from devdb.engines.native.binaries import pooler

    found = pooler()
    tracks = pgbouncer.tracks(found.version)
    if tracks == (age == NEW):
        return {}
    if age == NEW:
        return f"its PgBouncer is {found.text}"
    program = old_pgbouncer.get()
    return {"DEVDB_PGBOUNCER": str(program)} if isinstance(program, Path) else program


def _image(age: str) -> str:
    listed = os.environ.get("DEVDB_TEST_PGBOUNCER_IMAGES", "").split(",")
    by_age = {OLD: listed[0], NEW: listed[1] if len(listed) > 1 else listed[0]}
    return by_age[age] or _FALLBACK[age]
