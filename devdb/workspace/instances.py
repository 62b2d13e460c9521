"""What instances there are and how they are."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from devdb import engines, marker, wording
from devdb.engines import Engine
from devdb.engines.vitals import Health
from devdb.engines.waiting import begin
from devdb.errors import DevdbError, EngineUnavailable, MarkerLost, NotFound, TimedOut
from devdb.model import ENGINES, SHARED_ENGINES, UNOFFERED_ENGINES, LogLine, Part, Server, Spec
from devdb.workspace import gateway

if TYPE_CHECKING:
    from concurrent.futures import Future

_PATIENCE = 5.0
"""Seconds for all engines together to tell what they have."""


class State(StrEnum):
    """What an instance is doing, seen as a whole."""

    RUNNING = "running"
    DEGRADED = "degraded"
    """A part of it runs, another does not."""
    STOPPED = "stopped"
    UNKNOWN = "unknown"
    """Its engine does not answer."""
    UNMARKED = "no marker"
    """Data or servers that are there without a marker that tells how to get in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """An instance, and what its engine found of it just now."""

    spec: Spec
    """Of one without a marker only the name and the engine are known; its ports are 0."""
    server: Server | None
    trouble: DevdbError | None = None
    """Why its engine could not be asked, or why it has no marker."""
    is_marked: bool = True
    gateway: Part | None = None
    """Its gateway, where it was looked for and the instance has an HTTP port; it may be off."""

    @property
    def state(self) -> State:
        """All of it, in one word."""
        if not self.is_marked:
            return State.UNMARKED
        if self.trouble is not None:
            return State.UNKNOWN
        if self.server is None or self.server.stopped:
            return State.STOPPED
        return State.RUNNING if self.server.running else State.DEGRADED


def engine_of(spec: Spec) -> Engine:
    """The engine the instance lives in."""
    return engines.get(spec.engine, host=spec.host)


def is_expected(engine: str) -> bool:
    """Whether somebody said that this engine is to be there."""
    try:
        return engines.get(engine).is_expected
    except EngineUnavailable:  # on a system that it is not for
        return False


def find(spec: Spec, engine: Engine | None = None) -> Instance:
    """The instance as it is now; by that engine of it, which has connected already, maybe."""
    try:
        return Instance(spec=spec, server=(engine or engine_of(spec)).find(spec.name))
    except DevdbError as error:
        return Instance(spec=spec, server=None, trouble=error)


def look(spec: Spec) -> Instance:
    """As `find`, and its gateway."""
    return replace(find(spec), gateway=gateway.part(spec))


def every() -> tuple[list[Instance], dict[str, DevdbError]]:
    """All instances of this user, by name; and the engines that could not be asked for those
    without a marker, with the reason.

    No engine that hangs makes it take longer than some seconds.
    """
    specs = marker.every()
    asking = _begin_listing()
    looking = [(spec, begin(partial(look, spec))) for spec in specs]
    deadline = time.monotonic() + _PATIENCE
    found = [_in_time(spec, look, deadline) for spec, look in looking]
    others, silent = _unmarked(specs, asking, deadline)
    return sorted([*found, *others], key=lambda one: one.spec.name), silent


def unmarked(name: str | None = None) -> list[Instance]:
    """The instances without a marker that the engines have, or the one of that name."""
    found, _ = _unmarked(marker.every(), _begin_listing(), time.monotonic() + _PATIENCE)
    return [one for one in found if name in (None, one.spec.name)]


def _begin_listing() -> dict[str, Future[list[tuple[Server, str | None]]]]:
    names = {*ENGINES, *UNOFFERED_ENGINES} - {*SHARED_ENGINES}
    return {name: begin(partial(_listed, name)) for name in sorted(names)}


def _listed(name: str) -> list[tuple[Server, str | None]]:
    """What that engine has, and where it is."""
    engine = engines.get(name)
    return [(server, engine.host) for server in engine.list()]


def _in_time(spec: Spec, look: Future[Instance], deadline: float) -> Instance:
    try:
        return look.result(timeout=max(0, deadline - time.monotonic()))
    except TimeoutError:
        return Instance(spec=spec, server=None, trouble=_silence(spec.engine))
    except OSError as error:
        return Instance(spec=spec, server=None, trouble=_of_system(spec.engine, error))


def _unmarked(
    specs: Sequence[Spec],
    asking: dict[str, Future[list[tuple[Server, str | None]]]],
    deadline: float,
) -> tuple[list[Instance], dict[str, DevdbError]]:
    found: list[Instance] = []
    silent: dict[str, DevdbError] = {}
    there: list[tuple[str, Server, str | None]] = []
    for engine, asked in asking.items():
        try:
            listed = asked.result(timeout=max(0, deadline - time.monotonic()))
        except TimeoutError:
            silent[engine] = _silence(engine)
        except DevdbError as error:
            silent[engine] = error
        except OSError as error:
            silent[engine] = _of_system(engine, error)
        else:
            there += [(engine, *each) for each in listed]
    # Once more: one that is being made has its marker before all else.
    marked = {(spec.name, spec.engine) for spec in (*specs, *marker.every())}
    damaged = marker.unreadable()
    for engine, server, host in there:
        if (server.name, engine) not in marked:
            trouble = damaged.get(server.name)
            found.append(_of_unmarked(server.name, engine, server, host, trouble))
    # A damaged marker whose data no engine has.
    seen = {one.spec.name for one in found}
    found += [
        _of_unmarked(name, "", None, None, error)
        for name, error in damaged.items()
        if name not in seen
    ]
    return found, silent


def _of_unmarked(
    name: str, engine: str, server: Server | None, host: str | None, damage: DevdbError | None
) -> Instance:
    spec = Spec(
        name=name,
        project=None,
        engine=engine,
        port=0,
        pool_port=0,
        password="",
        created=datetime.now(UTC),
        host=host,
    )
    trouble = damage or marker_lost(name, engine)
    return Instance(spec=spec, server=server, trouble=trouble, is_marked=False)


def marker_lost(name: str, engine: str, project: Path | None = None) -> MarkerLost:
    """The error for an instance without a marker, which asks whether to take it over.

    `project`: whose it was, where that is known.
    """
    if engine in SHARED_ENGINES:
        return MarkerLost(
            f"There is an instance '{name}' in the engine {engine} already, a team-mate's maybe.",
            f"Use that one: devdb up -n {name}   or make your own by another name, with -n",
            f"Use '{name}' together with whoever else does?",
        )
    whose = f" of {project}" if project else ""
    return MarkerLost(
        f"There is an instance '{name}'{whose} in the engine {engine}, but its marker is lost.",
        f"Take it over: devdb up -n {name} --adopt   or delete it: devdb rm {name}",
        f"Take '{name}' over, with its data?",
    )


def _silence(engine: str) -> TimedOut:
    return TimedOut(f"The engine {engine} did not answer within {_PATIENCE:g} s.", "devdb doctor")


def _of_system(engine: str, error: OSError) -> DevdbError:
    return DevdbError(f"The engine {engine} cannot tell: {error}.", "devdb doctor")


def matching(patterns: Sequence[str]) -> list[Spec]:
    """The instances whose names match any of the globs; raises NotFound for one without a match.

    Those without a marker too: of them only the name and the engine are known.
    """
    specs = marker.every()
    names = {spec.name for spec in specs}
    if not names.issuperset(patterns):
        specs += [one.spec for one in unmarked()]
    chosen: dict[tuple[str, str], Spec] = {}
    for pattern in patterns:
        hits = [spec for spec in specs if fnmatch.fnmatchcase(spec.name, pattern)]
        if not hits:
            known = [spec.name for spec in specs]
            meant = wording.did_you_mean(pattern, known)
            there_are = f"There are: {', '.join(known)}." if known else "devdb ls"
            raise NotFound(f"There is no instance '{pattern}'.", f"{meant}{there_are}")
        chosen.update({(spec.name, spec.engine): spec for spec in hits})
    return list(chosen.values())


def health(spec: Spec) -> Health:
    """Log in through both URLs and ask; takes a few milliseconds when all is well."""
    with engine_of(spec).vitals(spec) as vitals:
        return vitals.ask()


def mend(spec: Spec) -> None:
    """Bring back what looks after a running instance, where it is gone; mostly it is not.

    It is not what was asked for: that it fails is for `status` to tell.
    """
    with suppress(DevdbError, OSError):
        engine_of(spec).mend(spec.name)


def logs(spec: Spec, *, tail: int, follow: bool) -> Iterator[LogLine | None]:
    """The last `tail` lines of each server, then, with `follow`, what comes; None: nothing."""
    return engine_of(spec).logs(spec.name, tail=tail, follow=follow)


def psql_argv(spec: Spec, *, pooled: bool = False, files: bool = False) -> list[str]:
    """The command that opens psql on the instance; it reads PGPASSWORD. See `Engine.psql_argv`."""
    return list(engine_of(spec).psql_argv(spec.name, pooled=pooled, files=files))


def tool_argv(spec: Spec, tool: str) -> Sequence[str]:
    """The command that runs a client program no older than the server, for devdb itself."""
    return engine_of(spec).tool_argv(spec.name, tool)
