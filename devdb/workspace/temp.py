"""`temp`: a temporary database of the project's instance, whether that runs already or not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

from devdb import marker, temporary
from devdb.config import Settings
from devdb.errors import EngineUnavailable
from devdb.model import Spec
from devdb.temporary import Seed, TemporaryDatabase
from devdb.workspace import instances, names


def make(
    settings: Settings,
    project: Path,
    bring_up: Callable[[Spec | None], Spec],
    *,
    ttl: timedelta,
    source: str | None = None,
    seed: Seed | None = None,
    name: str | None = None,
) -> tuple[Spec, TemporaryDatabase]:
    """A new temporary database, and the instance that has it; as `temporary.create` makes it.

    `bring_up` starts the instance of that Spec as it is, or the project's own, made where there is
    none, for None. Raises DevdbError.
    """

    def create(spec: Spec) -> tuple[Spec, TemporaryDatabase]:
        tools = partial(instances.tool_argv, spec)
        return spec, temporary.create(
            spec, ttl=ttl, source=source, seed=seed, name=name, tools=tools
        )

    spec = None
    # Trying is cheaper than asking whether it runs: an instance mostly does.
    with suppress(names.Gone, EngineUnavailable):
        spec = marker.load(names.resolve(settings.name, project))
        if spec is not None:
            made = create(spec)
            instances.mend(spec)
            return made
    return create(bring_up(spec))
