"""A whole instance for the clients: behind a PgBouncer that tracks, or behind one that cannot."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import available
import pytest
import workload
import world

from devdb import certificates, engines, marker, pgbouncer
from devdb.engines import Engine
from devdb.model import PoolMode, Spec

NEW, OLD = "new", "old"
_ports: set[int] = set()
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
        return self.version[:2] >= pgbouncer.TRACKS_PREPARED


@contextmanager
def running(age: str) -> Iterator[Stack]:
    """An instance with a PgBouncer of that age; skips the test where there is none."""
    name, pooler_image = _engine(age)
    home = tempfile.mkdtemp(prefix="devdb-test-")
    os.chmod(home, 0o755)  # noqa: PTH101
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEVDB_DATA_DIR", home)
        engine = engines.get(name)
        spec = Spec(
            name=f"test-{secrets.token_hex(4)}",
            project=None,
            engine=name,
            port=world.free_port(_ports),
            pool_port=world.free_port(_ports),
            password=secrets.token_urlsafe(24),
            created=datetime.now(UTC),
            pooler_image=pooler_image,
        )
        marker.save(spec)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DEVDB_DATA_DIR", home)
            server = list(engine.start(spec))[-1].server
            ca = certificates.ca_path(spec.name)
        assert server is not None
        version = pgbouncer.parse_version(server.part("pgbouncer").version or "")
        workload.prepare(spec)
        with workload.console(spec) as tell:
            tell(f"SET default_pool_size = {workload.POOL}")
        yield Stack(spec, engine, server.pool_mode, version, ca)
    finally:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DEVDB_DATA_DIR", home)
            engine.stop(spec.name, destroy=True)
        shutil.rmtree(home)


def _engine(age: str) -> tuple[str, str | None]:
    """The engine that has a PgBouncer of that age, and the image that it is in."""
    listed = os.environ.get("DEVDB_TEST_PGBOUNCER_IMAGES", "").split(",")
    if reason := available.why_not("docker"):
        if (native := available.why_not("native")) is None and _native_age() == age:
            return "native", None
        pytest.skip(f"no {age} PgBouncer; docker engine: {reason}; native engine: {native}")
    by_age = {OLD: listed[0], NEW: listed[1] if len(listed) > 1 else listed[0]}
    return "docker", by_age[age] or _FALLBACK[age]


def _native_age() -> str:
    from devdb.engines.native.binaries import pooler

    return NEW if pooler().version[:2] >= pgbouncer.TRACKS_PREPARED else OLD
