"""The Python API: `import devdb`, then `with devdb.temp() as db:`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from devdb import config, marker, temporary, urls, workspace
from devdb.errors import EngineUnavailable, NotFound, UsageError
from devdb.model import Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Temporary:
    """A temporary database, for as long as the `with` block lasts."""

    name: str
    """Of the database and of the role that owns it."""
    url: str = field(repr=False)
    """Straight to Postgres."""
    pooled_url: str = field(repr=False)
    """Through PgBouncer."""
    expires: datetime
    """When the servers drop it even if this process never comes to the end of the block."""


@contextmanager
def temp(
    ttl: str = "24h",
    *,
    source: str | None = None,
    seed: str | Path | None = None,
    instance: str | None = None,
) -> Iterator[Temporary]:
    """A database of your own, with a role of its own, dropped at the end of the block.

    `ttl` is as in `devdb temp --ttl` (`90s`, `30m`, `36h`, `7d`); `source` is a database of the
    instance to copy; `seed` a `.sql`, `.sql.gz` or `.dump` file. `instance` is a name; else
    DEVDB_NAME, else the instance of the project the process is in, which is started, or made,
    when it is not running. One that is claimed inside the block is kept.

    Raises devdb.errors.DevdbError.
    """
    lifetime = temporary.parse_ttl(ttl)
    file = Path(seed) if seed is not None else None
    project = config.project_root(Path.cwd())
    settings = config.load(project, {"name": instance}, os.environ)
    spec = marker.load(workspace.resolve(settings.name, project))
    made = None
    if spec is not None:
        with suppress(EngineUnavailable):  # trying is cheaper than asking whether it runs
            made = _create(spec, lifetime, source, file)
    if made is None:
        spec = _start(spec, settings, project)
        made = _create(spec, lifetime, source, file)
    assert spec is not None
    assert made.expires is not None
    try:
        yield Temporary(
            name=made.name,
            url=urls.url(made.direct),
            pooled_url=urls.url(made.pooled),
            expires=made.expires,
        )
    finally:
        _drop(spec, made.name)


def _create(
    spec: Spec, lifetime: timedelta, source: str | None, seed: Path | None
) -> temporary.TemporaryDatabase:
    psql = workspace.psql_argv(spec) if seed is not None else ()
    return temporary.create(spec, ttl=lifetime, source=source, seed=seed, psql=psql)


def _start(spec: Spec | None, settings: config.Settings, project: Path) -> Spec:
    if spec is not None:  # as it is: the settings here may speak of another instance
        settings, project = config.Settings(), spec.project or project
    name = spec.name if spec is not None else workspace.resolve(settings.name, project)
    *_, last = workspace.up(settings, project, name)
    assert isinstance(last, workspace.Ready)
    return last.instance.spec


def _drop(spec: Spec, name: str) -> None:
    """Drop it, unless it has expired already, or was claimed or dropped inside the block."""
    with suppress(NotFound, UsageError):
        temporary.drop(spec, [name])
