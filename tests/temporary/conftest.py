"""Instances to make temporary databases in, and what may not be left of those."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from inside import Inside
from servers import Instance

from devdb.model import Spec


@pytest.fixture(scope="session")
def shared() -> Iterator[Instance]:
    instance = Instance()
    yield instance
    instance.destroy()


@pytest.fixture
def spec(shared: Instance) -> Iterator[Spec]:
    """A running instance without a reaper; nothing temporary may be left in it afterwards."""
    yield shared.spec
    Inside(shared.spec).tidy()


@pytest.fixture
def inside(spec: Spec) -> Inside:
    return Inside(spec)


@pytest.fixture
def new_instance() -> Iterator[Callable[..., Instance]]:
    """Makes instances of the test's own, to be stopped, started and broken."""
    made: list[Instance] = []

    def make(**options: object) -> Instance:
        made.append(Instance(**options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for instance in made:
        instance.destroy()
