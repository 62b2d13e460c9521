"""`up`: from what the user wants to an instance that is ready."""

from __future__ import annotations

import secrets
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from devdb import connections, marker, pgbouncer, postgres, temporary
from devdb.config import Settings, allowed
from devdb.engines import Engine
from devdb.errors import DataMismatch, PortInUse, TimedOut
from devdb.model import PoolMode, Progress, Server, Spec, Step
from devdb.workspace import choice, ports
from devdb.workspace.instances import Instance, State, engine_of, find

PORTS_LOCK = ".ports"
WAIT_SECONDS = 300
PORT_TRIES = 5


class Outcome(StrEnum):
    """What `up` had to do."""

    CREATED = "created"
    STARTED = "started"
    ATTACHED = "attached"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The last thing `up` yields: the instance can be used through both URLs."""

    instance: Instance
    outcome: Outcome
    reason: str
    """Why this engine."""
    changes: tuple[str, ...] = ()
    """What is other than it was before, in words."""
    notes: tuple[str, ...] = ()
    """What else is to be known of this start, e.g. why not on the ports of the preset."""


def up(settings: Settings, project: Path, name: str) -> Iterator[Progress | Ready]:
    """Make the instance, start it, or attach to it; the last item is a Ready.

    `name` is a resolved one. Closing the iterator cancels and undoes a half-made new instance.
    Raises DevdbError.
    """
    ports.of_provider(settings)  # an unknown preset is said before anything is begun
    pgbouncer.refuse_own(settings.pgbouncer)
    allowed.check(settings.postgres, contained=True)  # on this machine: the engine looks again
    with ExitStack() as stack:
        yield from _lock(stack, name)
        spec = marker.load(name)
        if spec is None:
            yield from _create(settings, project, name)
        else:
            yield from _start(spec, settings, project)


def _lock(stack: ExitStack, name: str) -> Iterator[Progress]:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            stack.enter_context(marker.locked(name, timeout=0.25))
        except TimedOut:
            if time.monotonic() > deadline:
                raise
            yield Progress(step=Step.WAIT, detail=f"another devdb is at work on '{name}'")
        else:
            return


def _create(settings: Settings, project: Path, name: str) -> Iterator[Progress | Ready]:
    engine, reason = choice.choose(settings)
    refused: PortInUse | None = None
    for attempt in range(PORT_TRIES):
        with marker.locked(PORTS_LOCK, timeout=30):
            pair, notes = ports.settle(settings, marker.every(), refused, skip=attempt)
            spec = _new_spec(settings, project, name, engine, *pair)
            marker.save(spec)
        complete = False
        try:
            yield Progress(step=Step.CHOOSE, detail=reason)
            server = yield from _run(engine, spec)
            complete = True
        except PortInUse as error:
            # Between looking and listening somebody else may have come; what was asked for stays.
            if attempt + 1 == PORT_TRIES or (settings.port and settings.pool_port):
                raise
            refused = error
            continue
        finally:
            if not complete:
                marker.delete(name)
        spec = _remember(spec, server)
        instance = Instance(spec=spec, server=server)
        yield Progress(step=Step.READY, server=server)
        yield Ready(instance=instance, outcome=Outcome.CREATED, reason=reason, notes=notes)
        return


def _start(spec: Spec, settings: Settings, project: Path) -> Iterator[Progress | Ready]:
    wanted, changes = _changed(spec, settings)
    if spec.project is not None and spec.project != project and not spec.project.exists():
        wanted = replace(wanted, project=project)
        changes = (*changes, f"project is now {project} ({spec.project} is gone)")
    before = find(spec)
    if before.trouble is not None:
        raise before.trouble
    reason = f"{spec.engine}: the instance was made with it"
    yield Progress(step=Step.CHOOSE, detail=reason)
    server = yield from _run(engine_of(wanted), wanted)
    wanted = _remember(wanted, server)
    yield Progress(step=Step.READY, server=server)
    attached = before.state == State.RUNNING and not changes
    yield Ready(
        instance=Instance(spec=wanted, server=server),
        outcome=Outcome.ATTACHED if attached else Outcome.STARTED,
        reason=reason,
        changes=changes,
        notes=(*ports.stays(wanted, settings), *_crowd(wanted)),
    )


def _crowd(spec: Spec) -> tuple[str, ...]:
    """Whose the connections are, where an app has taken all: both URLs wait for one of them."""
    vitals = postgres.vitals(spec.direct) if spec.engine != "fake" else None
    return (connections.taken(spec),) if vitals is not None and vitals.full else ()


def _run(engine: Engine, spec: Spec) -> Generator[Progress, None, Server]:
    """Pass the engine's progress on up to READY; returns the Server it ended with.

    READY is for the caller to tell: whoever stops reading there leaves a whole instance behind.
    """
    server: Server | None = None
    progress = engine.start(replace(spec, reaper=temporary.REAPER))
    try:
        for item in progress:
            if item.server is None:
                yield item
            else:
                server = item.server
    finally:
        close = getattr(progress, "close", None)
        if close is not None:
            close()
    assert server is not None, "an engine's last step carries the server"
    return server


def _remember(spec: Spec, server: Server) -> Spec:
    """The spec with the major of the data in it, saved when that or anything else is new."""
    version = server.part("postgres").version
    major = int(version.split(".")[0]) if version else spec.major
    wanted = replace(spec, major=major)
    if marker.load(spec.name) != replace(wanted, reaper=None):
        marker.save(wanted)
    return wanted


def _new_spec(
    settings: Settings, project: Path, name: str, engine: Engine, direct: int, pooled: int
) -> Spec:
    return Spec(
        name=name,
        project=project,
        engine=engine.name,
        port=direct,
        pool_port=pooled,
        password=secrets.token_urlsafe(18),
        created=datetime.now(UTC).replace(microsecond=0),
        pool_mode=settings.pool_mode or PoolMode.TRANSACTION,
        major=settings.pg,
        postgres_image=settings.image if engine.name == "docker" else None,
        pooler_image=settings.pooler_image if engine.name == "docker" else None,
        docker_host=getattr(engine, "host", None),
        settings=_postgres_settings(settings),
        pooler_settings=settings.pgbouncer,
    )


def _postgres_settings(settings: Settings) -> tuple[tuple[str, str], ...]:
    values = dict(settings.postgres)
    if settings.max_connections is not None:
        values["max_connections"] = str(settings.max_connections)
    return tuple(sorted(values.items()))


def _changed(spec: Spec, settings: Settings) -> tuple[Spec, tuple[str, ...]]:
    """The spec as it is wanted now, and what that changes in words; raises DevdbError."""
    if settings.engine not in ("auto", spec.engine):
        raise DataMismatch(
            f"Instance '{spec.name}' lives in the engine {spec.engine}, not {settings.engine}.",
            f"A second one beside it: devdb up -n {spec.name}-2 --engine {settings.engine}",
        )
    if settings.pg is not None and spec.major is not None and settings.pg != spec.major:
        raise DataMismatch(
            f"'{spec.name}' has data of Postgres {spec.major}; {settings.pg} cannot start it.",
            f"A second one beside it: devdb up -n {spec.name}-{settings.pg} --pg {settings.pg}",
        )
    wishes: dict[str, object | None] = {
        "port": settings.port,
        "pool_port": settings.pool_port,
        "pool_mode": settings.pool_mode,
        "postgres_image": settings.image if spec.engine == "docker" else None,
        "pooler_image": settings.pooler_image if spec.engine == "docker" else None,
        "settings": _postgres_settings(settings) or None,
        "pooler_settings": settings.pgbouncer or None,
    }
    new = {
        key: value
        for key, value in wishes.items()
        if value is not None and value != getattr(spec, key)
    }
    others = [other for other in marker.every() if other.name != spec.name]
    wanted = replace(spec, **new)  # type: ignore[arg-type]
    for key in ("port", "pool_port"):
        if key in new and new[key] not in (spec.port, spec.pool_port):
            ports.refuse_if_taken(getattr(wanted, key), others)
    words = tuple(f"{_words(key)} {_show(getattr(spec, key))} -> {_show(new[key])}" for key in new)
    return wanted, words


def _words(key: str) -> str:
    return {"port": "direct port", "pool_port": "pooled port"}.get(key, key.replace("_", " "))


def _show(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"{key}={setting}" for key, setting in value) or "none"
    return str(value) if value is not None else "default"
