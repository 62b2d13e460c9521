"""Instances to make temporary databases in, and what may not be left of those."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from databases.reapers import StartReaper, reapers
from inside import Inside
from instances import Instance

from devdb.model import Spec

ENGINES = ("native", "docker")


@pytest.fixture
def spec(shared: Instance) -> Iterator[Spec]:
    """The Spec of the shared instance; nothing temporary may be left in it afterwards."""
    yield shared.spec
    Inside(shared.spec).tidy()


@pytest.fixture
def inside(spec: Spec) -> Inside:
    """What is in the shared instance."""
    return Inside(spec)


@pytest.fixture
def start_reaper(spec: Spec, tmp_path: Path) -> Iterator[StartReaper]:
    """Starts reapers whose rounds follow each other at once."""
    with reapers(spec, tmp_path) as start:
        yield start


@pytest.fixture
def new_instance(engine_name: str) -> Iterator[Callable[..., Instance]]:
    """Makes instances of the test's own, to be stopped, started and broken."""
    made: list[Instance] = []

    def make(**options: Any) -> Instance:
        made.append(Instance(engine_name, **options))
        return made[-1]

    yield make
    for instance in made:
        instance.destroy()


@pytest.fixture(params=ENGINES)
def engine_name(request: pytest.FixtureRequest) -> str:
    """Each engine that runs real servers."""
    return str(request.param)
