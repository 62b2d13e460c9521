"""Fixtures: a project of the test's own, and nothing left of its instances afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import world
from throwaway.users import LINGER, Attach, directories

from devdb.config import Settings
from devdb.workspace.throwaway import Lease, Wanted, attach


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project whose instances end soon after their last user; in the end none may be left."""
    monkeypatch.setenv("_DEVDB_LINGER", str(LINGER))
    yield tmp_path
    world.eventually(lambda: directories(tmp_path) == [], "its instances end", timeout=60)


@pytest.fixture
def attached(project: Path) -> Iterator[Attach]:
    """Attaches, and lets go of it after the test."""
    leases = []

    def attach_to(content: str = "0", **settings: Any) -> Lease:
        wanted = Settings(**{"engine": "native", **settings})
        lease = attach(Wanted(project=project, settings=wanted, content=content))
        leases.append(lease)
        return lease

    yield attach_to
    for lease in leases:
        lease.close()
