"""Making a temporary database: empty, as a copy, or seeded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from devdb.model import Spec
from devdb.temporary.database import TemporaryDatabase


def create(
    spec: Spec,
    *,
    ttl: timedelta,
    source: str | None = None,
    seed: Path | None = None,
    name: str | None = None,
    psql: Sequence[str] = (),
) -> TemporaryDatabase:
    """A new database with a role of its own, for `ttl` from the moment it is ready.

    `source` is a database of the instance to copy; sessions on it are ended for that. `seed` is
    a `.sql`, `.sql.gz` or `.dump` file to run in it as the new role; it needs `psql`, the
    instance's `Engine.psql_argv()`. On failure nothing is left of it.

    Raises UsageError for a name, a ttl or a seed that cannot be; NotFound for an unknown source.
    """
    raise NotImplementedError
