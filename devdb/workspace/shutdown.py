"""`down` and `rm`: stopping keeps everything, removing says first what goes."""

from __future__ import annotations

from dataclasses import dataclass

from devdb import marker, postgres
from devdb.model import Spec
from devdb.workspace.instances import State, engine_of, find

LOCK_SECONDS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What deleting an instance would delete."""

    spec: Spec
    state: State
    location: str
    """Where the data is."""
    databases: tuple[tuple[str, int], ...] | None
    """Name and size in bytes; None when the instance is stopped and cannot be asked."""


def down(spec: Spec) -> bool:
    """Stop the instance, keep its data; returns whether anything was running.

    Raises EngineUnavailable when its engine does not answer.
    """
    with marker.locked(spec.name, timeout=LOCK_SECONDS):
        before = find(spec)
        if before.trouble is not None:
            raise before.trouble
        engine_of(spec).stop(spec.name)
        return before.state != State.STOPPED


def removal(spec: Spec) -> Removal:
    """What `remove` would delete; raises EngineUnavailable."""
    instance = find(spec)
    if instance.trouble is not None:
        raise instance.trouble
    return Removal(
        spec=spec,
        state=instance.state,
        location=instance.server.location if instance.server else "",
        databases=postgres.databases(spec.direct) if instance.state == State.RUNNING else None,
    )


def remove(spec: Spec) -> None:
    """Delete the instance, its data and its marker; raises EngineUnavailable."""
    with marker.locked(spec.name, timeout=LOCK_SECONDS):
        engine_of(spec).stop(spec.name, destroy=True)
        marker.delete(spec.name)
