"""`temp`: a temporary database of the project's instance, whether that runs already or not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from devdb import databases, marker
from devdb.config import Settings
from devdb.databases import TemporaryDatabase
from devdb.errors import EngineUnavailable
from devdb.model import Spec
from devdb.workspace import instances, names

if TYPE_CHECKING:
    from devdb.databases.seeding import Seed


@contextmanager
def opened(given: str | Path | None) -> Iterator[Seed | None]:
    """The seed in that file or directory, as `seeding.opened` has it; None where none is given."""
    if given is None:
        yield None
        return
    from devdb.databases import seeding  # 30 ms that only a seed needs

    with seeding.opened(given) as seed:
        yield seed


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
    """A new temporary database, and the instance that has it; as `databases.create` makes it.

    `bring_up` starts the instance of that Spec as it is, or the project's own, made where there is
    none, for None. Raises DevdbError.
    """

    spec = None
    # Trying is cheaper than asking whether it runs: an instance mostly does.
    with suppress(names.Gone, EngineUnavailable):
        spec = marker.load(names.resolve(settings.name, project))
        if spec is not None:
            # Nothing of it is needed for the database: it is done while the server makes that.
            mending = threading.Thread(target=instances.mend, args=(spec,))
            mending.start()
            try:
                return spec, create(spec, ttl=ttl, source=source, seed=seed, name=name)
            finally:
                mending.join()
    spec = bring_up(spec)
    return spec, create(spec, ttl=ttl, source=source, seed=seed, name=name)


def create(
    spec: Spec,
    *,
    ttl: timedelta,
    source: str | None = None,
    seed: Seed | None = None,
    name: str | None = None,
) -> TemporaryDatabase:
    """A new temporary database of that running instance, as `databases.create` makes it."""
    tools = partial(instances.tool_argv, spec)
    return databases.create(spec, ttl=ttl, source=source, seed=seed, name=name, tools=tools)
