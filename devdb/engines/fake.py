"""An engine without servers: for tests of what reads the stream, and for pictures.

It keeps its state in files beside the marker, so that it outlives the process like a real one.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from devdb import paths, pgbouncer
from devdb.engines import Engine
from devdb.engines.refusal import data_gone
from devdb.engines.vitals import Health, Vitals
from devdb.marker import make_private_directory
from devdb.model import Finding, LogLine, Part, PartState, Progress, Server, Spec, Step
from devdb.pgbouncer import PgBouncerHealth
from devdb.postgres import PostgresHealth

_STEPS = (
    (Step.PREPARE, "data directory"),
    (Step.POSTGRES, "starting"),
    (Step.PGBOUNCER, "starting"),
    (Step.LOGIN, "waiting for SELECT 1 through both URLs"),
)
_PARTS = {"postgres": "18.0", "pgbouncer": "1.25.2"}
_HEARTBEAT = 0.25


def at(host: str | None) -> Engine:
    """An engine of files, wherever that is."""
    del host
    return FakeEngine()


class FakeEngine(Engine):
    """Takes `pace` seconds (default: DEVDB_FAKE_PACE, else 0) for each step of a start."""

    name = "fake"

    def __init__(self, pace: float | None = None) -> None:
        self.pace = float(os.environ.get("DEVDB_FAKE_PACE", "0")) if pace is None else pace

    def check(self) -> Sequence[Finding]:
        """Nothing can be wrong."""
        return []

    def require(self, *, major: int | None, image: str | None, pooler_image: str | None) -> None:
        """Nothing is needed."""

    def start(self, spec: Spec) -> Iterator[Progress]:
        """Go through the steps, write the state."""
        fresh = self._read(spec.name) is None
        if fresh and spec.has_data:
            raise data_gone(spec, str(_file(spec.name)))
        done = False
        try:
            for step, detail in _STEPS:
                yield from self._step(step, detail)
            server = self.find(spec.name)
            if server is None or not server.running:
                self._write(spec.name, dict.fromkeys(_PARTS, "running"))
            done = True
        finally:
            if fresh and not done:
                self.stop(spec.name, destroy=True)
        yield Progress(step=Step.READY, server=self.find(spec.name))

    def find(self, name: str) -> Server | None:
        """What the state file says."""
        state = self._read(name)
        if state is None:
            return None
        started = datetime.fromisoformat(state["started"])
        parts = tuple(
            Part(
                name=part,
                state=PartState(state["parts"][part]),
                version=version,
                started=started if state["parts"][part] == "running" else None,
                detail="" if state["parts"][part] == "running" else state.get("detail", ""),
            )
            for part, version in _PARTS.items()
        )
        return Server(
            name=name,
            engine=self.name,
            parts=parts,
            location=str(_file(name).parent),
            max_clients=pgbouncer.CLIENTS,
        )

    def list(self) -> Sequence[Server]:
        """Those with a state file."""
        names = sorted(path.parent.name for path in paths.instances_home().glob("*/fake.json"))
        return [server for name in names if (server := self.find(name)) is not None]

    def recover(self, name: str) -> Spec | None:
        """Ports and passwords of a fake are made up."""
        state = self._read(name)
        if state is None:
            return None
        return Spec(
            name=name,
            project=None,
            engine=self.name,
            port=0,
            pool_port=0,
            password=secrets.token_urlsafe(18),
            created=datetime.fromisoformat(state["started"]),
            major=18,
            has_data=True,
        )

    def set_password(self, spec: Spec) -> None:
        """Nobody can log in to a fake one."""

    def stop(self, name: str, *, destroy: bool = False) -> None:
        """Write that it is stopped, or remove the state."""
        state = self._read(name)
        if state is not None and not destroy:
            self._write(name, dict.fromkeys(_PARTS, "stopped"), started=state["started"])
        if destroy:
            _file(name).unlink(missing_ok=True)

    def kill(self, name: str, part: str) -> None:
        """Let one server die, as kill -9 would."""
        state = self._read(name)
        assert state is not None
        parts = {**state["parts"], part: "dead"}
        self._write(name, parts, started=state["started"], detail="killed by signal 9")

    def mend(self, name: str) -> None:
        """Nobody looks after a fake."""

    def logs(self, name: str, *, tail: int, follow: bool) -> Iterator[LogLine | None]:
        """A line of each server, one more when they are followed, then silence."""
        if self._read(name) is None:
            return
        yield from [LogLine(part=part, text=f"{part} is ready") for part in _PARTS][-tail:]
        if follow:
            yield from self._silence()
            yield LogLine(part="postgres", text="checkpoint complete")
        while follow:
            yield from self._silence()

    def _silence(self) -> Iterator[None]:
        time.sleep(_HEARTBEAT)
        yield None

    def psql_argv(self, name: str, *, pooled: bool = False, files: bool = False) -> Sequence[str]:
        """A command that does nothing."""
        return ["true", name, *(["pooled"] if pooled else []), *(["files"] if files else [])]

    def tool_argv(self, name: str, tool: str) -> Sequence[str]:
        """A command that does nothing."""
        return ["true", name, tool]

    def vitals(self, spec: Spec) -> Vitals:
        """What its servers would say of themselves: nobody can log in to a fake one."""
        return _MadeUp(spec)

    def _step(self, step: Step, detail: str) -> Iterator[Progress]:
        end = time.monotonic() + self.pace
        yield Progress(step=step, detail=detail)
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _HEARTBEAT))
            yield Progress(step=step, detail=detail)

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            values: dict[str, Any] = json.loads(_file(name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return values

    def _write(
        self,
        name: str,
        parts: dict[str, str],
        *,
        started: str | None = None,
        detail: str = "",
    ) -> None:
        now = datetime.now(UTC).isoformat()
        make_private_directory(_file(name).parent)
        values = {"parts": parts, "started": started or now, "detail": detail}
        _file(name).write_text(json.dumps(values), encoding="utf-8")


class _MadeUp(Vitals):
    """Made up, of those that run: servers answer also where their engine does not."""

    def ask(self) -> Health:
        server = FakeEngine().find(self.spec.name)
        started = {part.name: part.started for part in server.parts} if server else {}
        health = None
        if since := started.get("postgres"):
            health = PostgresHealth(
                version=_PARTS["postgres"],
                started=since,
                connections=4,
                max_connections=100,
                full=False,
            )
        pooler = PgBouncerHealth(version=_PARTS["pgbouncer"], clients=12, servers=4)
        return Health(postgres=health, pgbouncer=pooler if started.get("pgbouncer") else None)


def _file(name: str) -> Path:
    return paths.instance_dir(name) / "fake.json"
