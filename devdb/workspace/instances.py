"""What instances there are and how they are."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from devdb import engines, marker, pgbouncer, postgres, wording
from devdb.engines import Engine
from devdb.engines.fake import FakeEngine
from devdb.errors import DevdbError, NotFound
from devdb.model import LogLine, Server, Spec


class State(StrEnum):
    """What an instance is doing, seen as a whole."""

    RUNNING = "running"
    DEGRADED = "degraded"
    """A part of it runs, another does not."""
    STOPPED = "stopped"
    UNKNOWN = "unknown"
    """Its engine does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A marked instance, and what its engine found of it just now."""

    spec: Spec
    server: Server | None
    trouble: DevdbError | None = None
    """Why its engine could not be asked."""

    @property
    def state(self) -> State:
        """All of it, in one word."""
        if self.trouble is not None:
            return State.UNKNOWN
        if self.server is None or self.server.stopped:
            return State.STOPPED
        return State.RUNNING if self.server.running else State.DEGRADED


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What the two servers say of themselves after a real login."""

    postgres: postgres.Vitals | None
    """None: no login through the direct URL."""
    pgbouncer: pgbouncer.Vitals | None
    """None: no login through the pooled URL."""

    @property
    def ready(self) -> bool:
        """Whether both URLs can be used."""
        both = (self.postgres, self.pgbouncer)
        return all(vitals is not None and not vitals.full for vitals in both)


def engine_of(spec: Spec) -> Engine:
    """The engine the instance lives in."""
    return engines.get(spec.engine, docker_host=spec.docker_host)


def find(spec: Spec) -> Instance:
    """The instance as it is now."""
    try:
        return Instance(spec=spec, server=engine_of(spec).find(spec.name))
    except DevdbError as error:
        return Instance(spec=spec, server=None, trouble=error)


def every() -> list[Instance]:
    """All instances of this user, by name."""
    return [find(spec) for spec in marker.every()]


def matching(patterns: Sequence[str]) -> list[Spec]:
    """The instances whose names match any of the globs; raises NotFound for one without a match."""
    specs = marker.every()
    chosen: dict[str, Spec] = {}
    for pattern in patterns:
        hits = [spec for spec in specs if fnmatch.fnmatchcase(spec.name, pattern)]
        if not hits:
            known = [spec.name for spec in specs]
            meant = wording.did_you_mean(pattern, known)
            there_are = f"There are: {', '.join(known) or 'none'}."
            raise NotFound(f"There is no instance '{pattern}'.", f"{meant}{there_are}")
        chosen.update({spec.name: spec for spec in hits})
    return list(chosen.values())


def health(spec: Spec) -> Health:
    """Log in through both URLs and ask; takes a few milliseconds when all is well."""
    if spec.engine == FakeEngine.name:
        made_up = FakeEngine().vitals(spec.name)
        return Health(postgres=made_up[0], pgbouncer=made_up[1])
    return Health(postgres=postgres.vitals(spec.direct), pgbouncer=pgbouncer.vitals(spec))


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
    """The command that runs a client program of the server's own version, for devdb itself."""
    return engine_of(spec).tool_argv(spec.name, tool)
