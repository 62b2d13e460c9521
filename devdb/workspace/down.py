"""`down` and `rm`: stopping keeps everything, removing says first what goes."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from devdb import certificates, databases, marker, postgres
from devdb.errors import DevdbError, EngineUnavailable
from devdb.model import Spec
from devdb.workspace import gateway
from devdb.workspace.instances import Instance, State, engine_of, find


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What deleting an instance would delete."""

    spec: Spec
    state: State
    location: str
    """Where the data is."""
    databases: tuple[tuple[str, int], ...] | None
    """Name and size in bytes; None when the instance is stopped and cannot be asked."""
    claimed: tuple[str, ...]
    """Those of the databases that were temporary and have been claimed."""
    size: int | None
    """Bytes of all of it, where it is a directory that can be read."""


def down(spec: Spec) -> bool:
    """Stop the instance, keep its data; returns whether anything was running.

    Raises EngineUnavailable when its engine does not answer.
    """
    if not spec.engine:
        return False
    with marker.locked(spec.name, timeout=gateway.LOCK_SECONDS):
        served = gateway.turn_off(spec.name)
        engine = engine_of(spec)
        before = find(spec, engine)
        if before.trouble is not None:
            engine.leave(spec.name)  # its ports here are free all the same
            raise before.trouble
        engine.stop(spec.name)
        return served or before.state != State.STOPPED


def removal(spec: Spec) -> Removal:
    """What `remove` would delete; raises EngineUnavailable."""
    instance = find(spec) if spec.engine else Instance(spec=spec, server=None)
    if instance.trouble is not None:
        raise instance.trouble
    running = instance.server is not None and instance.server.serving
    location = instance.server.location if instance.server else ""
    return Removal(
        spec=spec,
        state=instance.state,
        location=location,
        databases=postgres.databases(spec.direct) if running else None,
        claimed=_claimed(spec) if running else (),
        size=_size(location),
    )


def remove(spec: Spec) -> None:
    """Delete the instance, its data and its marker; raises EngineUnavailable."""
    with marker.locked(spec.name, timeout=gateway.LOCK_SECONDS):
        gateway.turn_off(spec.name)
        gateway.forget(spec.name)
        if spec.engine:  # a damaged marker may be all that is left of one
            engine_of(spec).stop(spec.name, destroy=True)
        marker.delete(spec.name)


def forget(spec: Spec) -> None:
    """Delete the marker, and leave the data where it is; `up --adopt` finds it there again.

    Stops what runs on this machine. An engine that does not answer does not hinder it.
    """
    with marker.locked(spec.name, timeout=gateway.LOCK_SECONDS):
        gateway.turn_off(spec.name)
        gateway.forget(spec.name)
        with suppress(EngineUnavailable):
            engine_of(spec).leave(spec.name)
        certificates.remove(spec.name)
        marker.delete(spec.name)


def _claimed(spec: Spec) -> tuple[str, ...]:
    try:
        found = databases.every(spec)
    except DevdbError:
        return ()
    return tuple(each.name for each in found if each.state == databases.Stage.CLAIMED)


def _size(location: str) -> int | None:
    """Files may come and go meanwhile: it is a figure for a question, not an account."""
    if not location or not Path(location).is_dir():
        return None
    total = 0
    for directory, _, files in os.walk(location):
        for file in files:
            with suppress(OSError):
                total += Path(directory, file).lstat().st_size
    return total
