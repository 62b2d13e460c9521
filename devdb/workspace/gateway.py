"""The gateway of an instance, as a part of it that may be off: how it is, on, off."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from devdb import connections, engines, marker, paths, postgres, unprivileged, urls
from devdb.config import Settings
from devdb.config.settings import refuse_same_ports
from devdb.errors import DevdbError, NotFound, PortInUse
from devdb.gateway import process
from devdb.gateway.process import Kind, Sighting
from devdb.gateway.target import Target
from devdb.model import Part, PartState, Spec
from devdb.workspace import ports

PART = "gateway"
LOCK_SECONDS = 120
"""For whoever is at work on the instance to end with it."""
_TRIES = 4


def target(spec: Spec) -> Target:
    """What the gateway of that instance serves; it has an HTTP port."""
    assert spec.http_port is not None
    limit = connections.most(spec) or int(postgres.OWN_SETTINGS["max_connections"])
    return Target(
        name=spec.name,
        port=spec.http_port,
        direct=spec.port,
        pooled=spec.pool_port,
        max_connections=limit,
        directory=_directory(spec.name),
    )


def to_serve(spec: Spec) -> Target:
    """The same, with the mode that its PgBouncer really pools in: an old one has no choice.

    Raises EngineUnavailable.
    """
    server = engines.get(spec.engine, host=spec.host).find(spec.name)
    return replace(target(spec), pool_mode=server.pool_mode if server else spec.pool_mode)


def user() -> tuple[int, int] | None:
    """Uid and gid to run as: for root somebody without privileges, else None, who runs devdb.

    Raises DevdbError where root finds nobody.
    """
    if os.geteuid() != 0:
        return None
    entry = unprivileged.find()
    if entry is None:
        raise DevdbError(
            "The gateway does not run as root, and there is no user to run it as.",
            "Make one: useradd --system postgres",
        )
    return entry.pw_uid, entry.pw_gid


def part(spec: Spec) -> Part | None:
    """How it is now; None where the instance has no HTTP port."""
    if spec.http_port is None:
        return None
    found = process.find(target(spec))
    words = [f"pid {found.pid}"] if found.pid else []
    if found.kind is Kind.SOMEBODY:
        words.append(f"port {spec.http_port} is in use by somebody else")
    if found.kind is Kind.FOREGROUND:
        words.append("in the foreground")
    if found.pid and not found.answers:
        words.append("does not answer")
    elif found.pid and not found.is_current:
        words.append(_OLD)
    return Part(
        name=PART,
        state=PartState.RUNNING if found.answers else PartState.STOPPED,
        version=found.version,
        detail=", ".join(words),
    )


_OLD = "of another devdb, or for ports that the instance had before"


def usurped(spec: Spec) -> DevdbError | None:
    """What is wrong where somebody else is at its HTTP port; None where nobody else is."""
    if spec.http_port is None or process.find(target(spec)).kind is not Kind.SOMEBODY:
        return None
    return process.taken(target(spec))


def with_port(spec: Spec, settings: Settings, *, is_wanted: bool) -> Spec:
    """The instance with the HTTP port that is asked for, saved; where it `is_wanted`, with one.

    For the holder of its lock. Raises PortInUse for one that is taken, UsageError for one of its
    other two.
    """
    asked = settings.http_port
    if asked is None and (spec.http_port is not None or not is_wanted):
        return spec
    if asked is not None and asked == spec.http_port:
        return spec
    own = (settings.port or spec.port, settings.pool_port or spec.pool_port)
    if asked is not None:
        refuse_same_ports({"direct": own[0], "pooled": own[1], "HTTP": asked})
    return _with_new_port(spec, asked, (*own, *spec.ports))


def _with_new_port(spec: Spec, asked: int | None, own: Collection[int]) -> Spec:
    with marker.locked(ports.LOCK, timeout=30):
        spec = replace(spec, http_port=ports.choose_http(asked, _others(spec), own))
        marker.save(spec)
        return spec


def port_of(spec: Spec, settings: Settings, *, keep: bool = True) -> Spec:
    """The instance with an HTTP port: its own, else that of the settings, else the first free one,
    which is then its own.

    Not `keep`: only what it would be. Raises NotFound where the instance was removed, PortInUse,
    UsageError, TimedOut, DevdbError.
    """
    if spec.http_port is not None:
        return spec
    if not keep:
        number = ports.choose_http(settings.http_port, _others(spec), spec.ports)
        return replace(spec, http_port=number)
    with marker.locked(spec.name, timeout=LOCK_SECONDS):
        found = _marked(spec.name)
        return found if found.http_port else with_port(found, settings, is_wanted=True)


def turn_on(
    spec: Spec, before: Spec | None = None, *, is_new: bool = False
) -> tuple[Spec, tuple[str, ...]]:
    """Have it run as it should; returns the instance, and what is to be said.

    `before` is the instance as it was. One in the foreground is left alone. A port that `is_new`
    was chosen just now: where somebody else was quicker, it is another one. For the holder of the
    instance's lock. Raises PortInUse, StartFailed, DevdbError.
    """
    for _ in range(_TRIES if is_new else 0):
        try:
            return spec, _have(spec, before)
        except PortInUse:
            spec = _with_new_port(spec, None, spec.ports)
    return spec, _have(spec, before)


def _have(spec: Spec, before: Spec | None) -> tuple[str, ...]:
    wanted = to_serve(spec)
    notes = _left_behind(before, spec)
    found = process.find(wanted)
    if found.kind is Kind.FOREGROUND:
        return (*notes, *_of_foreground(spec, found))
    if found.kind is Kind.DETACHED and found.is_current:
        return notes
    if found.kind is Kind.SOMEBODY:
        raise process.taken(wanted)
    process.end(wanted.name, wanted.directory)
    try:
        process.start(wanted, user())
    except OSError as error:
        raise DevdbError(
            f"The gateway of '{spec.name}' cannot be started: {error.strerror or error}.",
            paths.way_out(error, wanted.directory),
        ) from error
    return notes


def open_for(name: str) -> Spec:
    """Have the gateway of that instance run, with a port where it has none; the instance then.

    Raises NotFound where it was removed, PortInUse, StartFailed, DevdbError.
    """
    with marker.locked(name, timeout=LOCK_SECONDS):
        before = _marked(name)
        spec = with_port(before, Settings(), is_wanted=True)
        return turn_on(spec, is_new=before.http_port is None)[0]


def turn_off(name: str) -> bool:
    """End the detached one; whether it ran. Raises DevdbError when it would not end."""
    return process.end(name, _directory(name))


def forget(name: str) -> None:
    """Remove what it left in the instance's directory."""
    (_directory(name) / process.LOG).unlink(missing_ok=True)


def take_over(name: str, settings: Settings) -> tuple[Spec, bool]:
    """Make room for one in the foreground: end the detached one.

    Returns the instance, with an HTTP port, and whether one was ended. For the holder of its lock.
    Raises NotFound where it was removed; PortInUse where somebody else has the port, or another
    one in the foreground.
    """
    spec = with_port(_marked(name), settings, is_wanted=True)
    wanted = target(spec)
    found = process.find(wanted)
    if found.kind is Kind.FOREGROUND:
        raise PortInUse(
            f"The gateway of '{name}' runs in the foreground already (pid {found.pid}).",
            f"End that one first, or use it: {urls.http(spec)}",
        )
    if found.kind is Kind.SOMEBODY:
        raise process.taken(wanted)
    return spec, turn_off(name)


def _others(spec: Spec) -> list[Spec]:
    return [other for other in marker.every() if other.name != spec.name]


def _marked(name: str) -> Spec:
    spec = marker.load(name)
    if spec is None:
        raise NotFound(f"'{name}' was removed.", f"devdb up -n {name} makes it anew.")
    return spec


def _left_behind(before: Spec | None, spec: Spec) -> tuple[str, ...]:
    """Of one in the foreground at the HTTP port that the instance had before."""
    if before is None or before.http_port in (None, spec.http_port):
        return ()
    found = process.find(target(before))
    return _of_foreground(before, found) if found.kind is Kind.FOREGROUND else ()


def _of_foreground(spec: Spec, found: Sighting) -> tuple[str, ...]:
    if found.is_current and found.answers:
        return ()
    where = f"the gateway in the foreground (pid {found.pid}, port {spec.http_port})"
    return (f"{where} is {_OLD}; start it again: devdb http -n {spec.name}",)


def _directory(name: str) -> Path:
    """With symlinks resolved: processes are recognised by the paths in their arguments."""
    return Path(os.path.realpath(paths.instance_dir(name)))
