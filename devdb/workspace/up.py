"""`up`: from what the user wants to an instance that is ready."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path

from devdb import connections, databases, marker, pgbouncer, postgres
from devdb.config import Settings, allowed
from devdb.config.settings import refuse_same_ports
from devdb.engines import Engine
from devdb.engines.refusal import OtherPassword
from devdb.engines.waiting import beside, told
from devdb.errors import (
    DataGone,
    DataMismatch,
    DevdbError,
    EngineUnavailable,
    MarkerLost,
    NamedUnavailable,
    PortInUse,
    ProgramMissing,
    TimedOut,
)
from devdb.listeners import accepts
from devdb.model import SHARED_ENGINES, PoolMode, Progress, Server, Spec, Step
from devdb.workspace import choice, fix, gateway, lasting, ports, recovery
from devdb.workspace.instances import Instance, State, engine_of, find, marker_lost

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
    was: State | None = None
    """How it was before; None: it was not there."""
    changes: tuple[str, ...] = ()
    """What is other than it was before, in words."""
    notes: tuple[str, ...] = ()
    """What else is to be known of this start, e.g. why not on the ports of the preset."""
    failed: DevdbError | None = None
    """What this very command asked for and could not get beside the instance: its gateway."""


def up(
    settings: Settings, project: Path, name: str, *, consent: Collection[str] = ()
) -> Iterator[Progress | Ready]:
    """Make the instance, start it, or attach to it; the last item is a Ready.

    `name` is a resolved one; `consent` has the options of each NeedsConsent that somebody said yes
    to. Closing the iterator cancels and undoes a half-made new instance. Raises DevdbError.
    """
    ports.of_provider(settings)  # an unknown preset is said before anything is begun
    pgbouncer.refuse_own(settings.pgbouncer)
    allowed.check(settings.postgres, contained=True)  # on this machine: the engine looks again
    with ExitStack() as stack:
        yield from _lock(stack, name)
        damaged: marker.Damaged | None = None
        try:
            spec = marker.load(name)
        except marker.Damaged as error:
            spec, damaged = None, error
        if ProgramMissing.option in consent:
            yield from fix.get(fix.remedies(settings, spec, again=False))
        try:
            if spec is not None:
                yield from _start(spec, settings, project, consent)
            else:
                yield from _begin(settings, project, name, consent, damaged)
        except EngineUnavailable as error:
            # What may be missing here does not bring a named one back.
            if ProgramMissing.option in consent or isinstance(error, NamedUnavailable):
                raise
            offer = fix.offer(error, fix.remedies(settings, spec, again=False))
            if offer is None:
                raise
            raise offer from error


def _begin(
    settings: Settings,
    project: Path,
    name: str,
    consent: Collection[str],
    damaged: marker.Damaged | None,
) -> Iterator[Progress | Ready]:
    """Make one of that name, or take over what is left of one whose marker is lost."""
    engine, reason = choice.choose(settings)
    lost = recovery.look(engine, settings, name)
    if lost is not None:
        # Who says the name of one that is everybody's means that one.
        is_meant = lost.engine in SHARED_ENGINES and settings.name is not None
        if MarkerLost.option not in consent and not is_meant:
            raise marker_lost(lost.name, lost.engine, lost.project)
        yield from _adopt(lost, settings, project)
    elif damaged is not None:
        raise DevdbError(
            f"{damaged.message[:-1]}, and no data of it was found.",
            f"Was it in Docker, start Docker and try again; else: devdb rm {name}",
        )
    else:
        yield from _create(settings, project, name, engine, reason)


def as_it_is(spec: Spec, project: Path) -> tuple[Settings, Path, str]:
    """What `up` is to be given to start an instance that is there, from whatever directory.

    The settings of that directory, and its project, may speak of another instance.
    """
    return Settings(), spec.project or project, spec.name


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


def _create(
    settings: Settings, project: Path, name: str, engine: Engine, reason: str
) -> Iterator[Progress | Ready]:
    refused: PortInUse | None = None
    for attempt in range(PORT_TRIES):
        with marker.locked(ports.LOCK, timeout=30):
            others = marker.every()
            pair, notes = ports.settle(settings, others, refused, skip=attempt)
            spec = new_spec(settings, project, name, engine, *pair)
            if settings.http or settings.http_port:
                number = ports.choose_http(settings.http_port, others, pair)
                spec = replace(spec, http_port=number)
            marker.save(spec)
        complete = False
        try:
            yield Progress(step=Step.CHOOSE, detail=reason)
            server, _ = yield from _run(engine, spec)
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
        spec = remember(spec, server)
        spec, told_of_http, failed = yield from _serve_http(spec, settings)
        yield Progress(step=Step.READY, server=server)
        yield Ready(
            instance=_with_gateway(spec, server),
            outcome=Outcome.CREATED,
            reason=reason,
            notes=(*notes, *told_of_http, *_fleeting()),
            failed=failed,
        )
        return


def _start(
    spec: Spec, settings: Settings, project: Path, consent: Collection[str] = ()
) -> Iterator[Progress | Ready]:
    was = spec
    spec = gateway.with_port(spec, settings, is_wanted=bool(settings.http))
    wanted, changes = _changed(spec, settings)
    if spec.project is not None and spec.project != project and not spec.project.exists():
        wanted = replace(wanted, project=project)
        changes = (*changes, f"project is now {project} ({spec.project} is gone)")
    engine = engine_of(spec)
    before = find(spec, engine)
    if before.trouble is not None:
        raise before.trouble
    reason = f"{spec.engine}: the instance was made with it"
    yield Progress(step=Step.CHOOSE, detail=reason)
    try:
        server, notes = yield from _run(engine, wanted)
    except DataGone:
        if DataGone.option not in consent:
            raise
        server, notes = yield from _run(engine, replace(wanted, has_data=False))
        changes = (*changes, "its data was gone: this is new and empty")
    wanted = remember(wanted, server)
    wanted, told_of_http, failed = yield from _serve_http(wanted, settings, was)
    yield Progress(step=Step.READY, server=server)
    attached = before.state == State.RUNNING and not changes
    if was.http_port not in (None, wanted.http_port):
        changes = (*changes, f"HTTP port {was.http_port} -> {wanted.http_port}")
    yield Ready(
        instance=_with_gateway(wanted, server),
        outcome=Outcome.ATTACHED if attached else Outcome.STARTED,
        reason=reason,
        was=before.state,
        changes=changes,
        notes=(*notes, *ports.stays(wanted, settings), *_crowd(wanted), *told_of_http),
        failed=failed,
    )


def _serve_http(
    spec: Spec, settings: Settings, was: Spec | None = None
) -> Generator[Progress, None, tuple[Spec, tuple[str, ...], DevdbError | None]]:
    """Have its gateway run, or not run, as is wanted; `was` is the instance before.

    Returns the instance, what is to be said, and the error where this very command asked for it in
    vain.
    """
    if settings.http is False:
        ended = spec.http_port is not None and gateway.turn_off(spec.name)
        return spec, (("the gateway was ended; its port stays",) if ended else ()), None
    if spec.http_port is None:
        return spec, (), None
    beat = Progress(step=Step.HTTP, detail=f"port {spec.http_port}")
    yield beat
    is_new = settings.http_port is None and (was is None or was.http_port is None)
    turn_on = partial(gateway.turn_on, spec, was, is_new=is_new)
    try:
        return *(yield from told(beat, beside(turn_on))), None
    except DevdbError as error:
        why = f"'{spec.name}' runs, its gateway does not. {error.message}"
        if settings.is_asked_now("http") or settings.is_asked_now("http_port"):
            return spec, (), type(error)(why, error.hint)
        return spec, (f"{why} {error.hint}",), None


def _with_gateway(spec: Spec, server: Server) -> Instance:
    return Instance(spec=spec, server=server, gateway=gateway.part(spec))


def _adopt(spec: Spec, settings: Settings, project: Path) -> Iterator[Progress | Ready]:
    """Write the marker anew, by what the engine still knows, and start it."""
    changes: tuple[str, ...] = ("its marker was lost, and is made anew",)
    if spec.engine in SHARED_ENGINES:
        changes = ("it was not used from here before",)
    is_lost, renewed = not spec.password, False
    while True:
        if is_lost:
            spec = replace(spec, password=secrets.token_urlsafe(18), rekeyed=True)
        with marker.locked(ports.LOCK, timeout=30):
            direct, pooled = _ports_of(spec, settings)
            spec = replace(spec, project=spec.project or project, port=direct, pool_port=pooled)
            marker.save(spec)
        if is_lost:
            yield from recovery.set_password(spec)
            changes = (*changes, "its password was lost, and is a new one: the URLs have changed")
            renewed = True
        try:
            for item in _start(spec, settings, project):
                if renewed and isinstance(item, Progress) and item.step == Step.READY:
                    databases.renew(spec)
                if isinstance(item, Ready):
                    yield replace(item, changes=(*changes, *item.changes))
                else:
                    yield item
        except OtherPassword:
            if renewed:
                raise
            is_lost = True
        else:
            return


def _ports_of(spec: Spec, settings: Settings) -> tuple[int, int]:
    """Its ports; others in place of those that are not known, or have become another instance's.

    Of one that was made from another machine: those that are somebody's on this one, too.
    """
    others = [other for other in marker.every() if other.name != spec.name]
    held = {0, *(port for other in others for port in other.ports)}
    if spec.engine in SHARED_ENGINES:
        held |= {port for port in (spec.port, spec.pool_port) if port and accepts(port)}
    known, wanted = (spec.port, spec.pool_port), (settings.port, settings.pool_port)
    if held.isdisjoint(known):
        return known
    asked = tuple(want if port in held else None for port, want in zip(known, wanted, strict=True))
    free = ports.choose((asked[0], asked[1]), others)
    return (
        free[0] if spec.port in held else spec.port,
        free[1] if spec.pool_port in held else spec.pool_port,
    )


def _fleeting() -> tuple[str, ...]:
    """Said once, when an instance is made: `doctor` says it again."""
    found = lasting.warning()
    return (f"{found.message}: {found.fix}",) if found else ()


def _crowd(spec: Spec) -> tuple[str, ...]:
    """Whose the connections are, where an app has taken all: both URLs wait for one of them."""
    health = postgres.health(spec.direct)
    return (connections.taken(spec),) if health is not None and health.full else ()


def _run(engine: Engine, spec: Spec) -> Generator[Progress, None, tuple[Server, tuple[str, ...]]]:
    """Pass the engine's progress on up to READY; returns the Server and the notes it ended with.

    READY is for the caller to tell: whoever stops reading there leaves a whole instance behind.
    """
    last: Progress | None = None
    progress = engine.start(replace(spec, reaper=databases.REAPER))
    try:
        for item in progress:
            if item.server is None:
                yield item
            else:
                last = item
    finally:
        close = getattr(progress, "close", None)
        if close is not None:
            close()
    assert last is not None, "an engine's last step carries the server"
    assert last.server is not None
    return last.server, last.notes


def remember(spec: Spec, server: Server) -> Spec:
    """The spec with what is known of the data in it, saved when that or anything else is new."""
    version = server.part("postgres").version
    major = int(version.split(".")[0]) if version else spec.major
    wanted = replace(spec, major=major, has_data=True)
    if marker.load(spec.name) != replace(wanted, reaper=None):
        marker.save(wanted)
    return wanted


def new_spec(
    settings: Settings, project: Path, name: str, engine: Engine, direct: int, pooled: int
) -> Spec:
    """A new instance as the settings want it, on those ports, with a password of its own."""
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
        postgres_image=settings.image if engine.takes_images else None,
        pooler_image=settings.pooler_image if engine.takes_images else None,
        host=engine.host,
        settings=_postgres_settings(settings),
        pooler_settings=settings.pgbouncer,
    )


def _postgres_settings(settings: Settings) -> tuple[tuple[str, str], ...]:
    values = dict(settings.postgres)
    if settings.max_connections is not None:
        values["max_connections"] = str(settings.max_connections)
    if settings.log_min_duration_statement is not None:
        values["log_min_duration_statement"] = str(settings.log_min_duration_statement)
    return tuple(sorted(values.items()))


def _wanted_settings(spec: Spec, settings: Settings) -> tuple[tuple[str, str], ...] | None:
    """Those said now; an option that was given before holds until it is again, as all others do."""
    said = _postgres_settings(settings)
    if not said or settings.postgres:
        return said or None
    return tuple(sorted({**dict(spec.settings), **dict(said)}.items()))


def _changed(spec: Spec, settings: Settings) -> tuple[Spec, tuple[str, ...]]:
    """The spec as it is wanted now, and what that changes in words; raises DevdbError."""
    if settings.engine not in ("auto", spec.engine):
        raise DataMismatch(
            f"Instance '{spec.name}' lives in the engine {spec.engine}, not {settings.engine}.",
            f"A second one beside it: devdb up -n {spec.name}-2 --engine {settings.engine}",
        )
    choice.refuse_elsewhere(spec, settings)
    if settings.pg is not None and spec.major is not None and settings.pg != spec.major:
        raise DataMismatch(
            f"'{spec.name}' has data of Postgres {spec.major}; {settings.pg} cannot start it.",
            f"A second one beside it: devdb up -n {spec.name}-{settings.pg} --pg {settings.pg}",
        )
    takes_images = engine_of(spec).takes_images
    wishes: dict[str, object | None] = {
        "port": settings.port,
        "pool_port": settings.pool_port,
        "pool_mode": settings.pool_mode,
        "postgres_image": settings.image if takes_images else None,
        "pooler_image": settings.pooler_image if takes_images else None,
        "settings": _wanted_settings(spec, settings),
        "pooler_settings": settings.pgbouncer or None,
    }
    new = {
        key: value
        for key, value in wishes.items()
        if value is not None and value != getattr(spec, key)
    }
    others = [other for other in marker.every() if other.name != spec.name]
    wanted = replace(spec, **new)  # type: ignore[arg-type]
    _refuse_same(wanted)
    for key in ("port", "pool_port"):
        if key in new and new[key] not in (spec.port, spec.pool_port):
            ports.refuse_if_taken(getattr(wanted, key), others)
    words = tuple(
        f"{_setting_name(key)} {_setting_text(getattr(spec, key))} -> {_setting_text(new[key])}"
        for key in new
    )
    return wanted, words


def _refuse_same(spec: Spec) -> None:
    known = {"direct": spec.port, "pooled": spec.pool_port, "HTTP": spec.http_port}
    refuse_same_ports({kind: port for kind, port in known.items() if port is not None})


def _setting_name(key: str) -> str:
    return {"port": "direct port", "pool_port": "pooled port"}.get(key, key.replace("_", " "))


def _setting_text(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"{key}={setting}" for key, setting in value) or "none"
    return str(value) if value is not None else "default"
