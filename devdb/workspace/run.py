"""`run`: the instance that a command runs on, the variables it gets, its database's long life."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from devdb import marker, pgbouncer, sessions, wire
from devdb.config import Settings
from devdb.errors import DevdbError, NotFound
from devdb.model import PartState, Spec
from devdb.workspace import names

if TYPE_CHECKING:
    from devdb.databases import TemporaryDatabase
    from devdb.workspace.environment import Variables

_LOGIN_SECONDS = 2.0
_FILE = ".env"


def instance(settings: Settings, project: Path, bring_up: Callable[[Spec | None], Spec]) -> Spec:
    """The instance that is meant, running.

    `bring_up` starts the instance of that Spec as it is, or the project's own, made where there is
    none, for None. Raises DevdbError.
    """
    spec = None
    with suppress(names.Gone):
        spec = marker.load(names.resolve(settings.name, project))
    if spec is not None and is_running(spec):
        return spec
    return bring_up(spec)


def is_running(spec: Spec) -> bool:
    """Whether both of its servers run.

    Who lets us in knows the instance's passwords, so it is nobody else: that is quickly asked. Only
    where one does not (it has no room, maybe) is the engine asked, which knows it for certain.
    """
    try:
        with sessions.plain(spec.direct, timeout=_LOGIN_SECONDS), pgbouncer.console(spec):
            return True
    except wire.FAILURES:
        from devdb.workspace import instances  # 20 ms that mostly nobody needs

        return instances.find(spec).state == instances.State.RUNNING


def variables(
    spec: Spec,
    settings: Settings,
    project: Path,
    directory: Path,
    *,
    made: TemporaryDatabase | None = None,
) -> tuple[Variables, list[str]]:
    """What `env` would write to the `.env` of the directory, and what was made for it, in words.

    Those of the temporary database `made`, where there is one. Databases beside the project's own
    are made where variables lead there, and the gateway is started. Raises DevdbError.
    """
    from devdb.workspace import environment

    whose = made or spec
    news: list[str] = []

    def gated() -> Spec:
        from devdb.workspace import gateway  # 30 ms that mostly nobody needs

        found = gateway.port_of(spec, settings)
        part = gateway.part(found)
        if part is None or part.state != PartState.RUNNING:
            found = gateway.open_for(spec.name)
            news.append(f"started the gateway of '{spec.name}'")
        return found

    chosen = environment.variables(
        whose.direct,
        whose.pooled,
        settings,
        project,
        gated=gated,
        directory=directory,
        file=directory / _FILE,
    )
    return chosen, [*news, *environment.ensure_databases(spec, chosen)]


class Living:
    """In its block a temporary database lives on: its `ttl` begins anew when half of it is over.

    Whoever is killed in it leaves a database that has `ttl` to live, at most.
    """

    def __init__(self, spec: Spec, name: str, ttl: timedelta) -> None:
        self._spec, self._name, self._ttl = spec, name, ttl
        self._over = threading.Event()

    def __enter__(self) -> Living:
        # Left to itself where the server hangs: what waits for it is not the command.
        threading.Thread(target=self._extend, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: object, trace: TracebackType | None
    ) -> None:
        self._over.set()

    def _extend(self) -> None:
        from devdb import databases

        half = pause = self._ttl.total_seconds() / 2
        while not self._over.wait(pause):
            try:
                databases.extend(self._spec, self._name, self._ttl)
                pause = half
            except NotFound:  # somebody dropped it
                return
            except DevdbError:  # the servers are being restarted, maybe
                pause = max(1.0, half / 8)
