"""An engine without servers: for tests of what reads the stream, and for pictures.

It keeps its state in files beside the marker, so that it outlives the process like a real one.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from devdb import paths, pgbouncer
from devdb.engines import Engine
from devdb.engines.refusal import data_gone
from devdb.engines.vitals import Health, Vitals
from devdb.marker import make_private_directory
from devdb.model import (
    DATABASE,
    HOST,
    USER,
    Finding,
    LogLine,
    Part,
    PartState,
    Progress,
    Server,
    Spec,
    Step,
)
from devdb.monitor.backends import Backend
from devdb.monitor.look import Look
from devdb.monitor.pools import Pool
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
    """Made up, of those that run: servers answer also where their engine does not.

    There are the clients that DEVDB_FAKE_CLIENTS says, some at odds with each other; else nobody.
    """

    def look(self, *, stays: bool = True) -> tuple[Health, Look]:
        del stays
        server = FakeEngine().find(self.spec.name)
        started = {part.name: part.started for part in server.parts} if server else {}
        clients = int(os.environ.get("DEVDB_FAKE_CLIENTS", "0"))
        crowd = _BACKENDS if clients else ()
        since, pooler_since = started.get("postgres"), started.get("pgbouncer")
        health = Health(
            postgres=PostgresHealth(
                version=_PARTS["postgres"],
                started=since,
                connections=len(crowd),
                max_connections=100,
                full=False,
            )
            if since
            else None,
            pgbouncer=PgBouncerHealth(version=_PARTS["pgbouncer"], clients=clients, servers=25)
            if since and pooler_since
            else None,
        )
        backends = tuple(replace(each, started=since) for each in crowd) if since else None
        look = Look(
            pools=(_POOLS if clients else ()) if pooler_since else None,
            backends=backends,
            max_connections=100,
            max_clients=pgbouncer.CLIENTS,
        )
        return health, look


def _pool(database: str, clients: int, waiting: int, used: int, queries: float) -> Pool:
    return Pool(
        database=database,
        users=(USER if database == DATABASE else database,),
        mode="transaction",
        active=clients,
        waiting=waiting,
        oldest_wait=9.2 if waiting else 0.0,
        used=used,
        open=min(20, used + 2),
        size=20,
        per_second=queries,
    )


_POOLS = (
    _pool(DATABASE, 46, 6, 20, 1240.0),
    _pool("shop", 12, 0, 2, 86.0),
    _pool("temp_quiet_heron", 2, 0, 0, 0.0),
)


def _backend(
    pid: int,
    application: str,
    state: str,
    age: float,
    query: str,
    *,
    database: str = DATABASE,
    pooled: bool = True,
    waits_for: str = "",
    blocked_by: tuple[int, ...] = (),
) -> Backend:
    return Backend(
        pid=pid,
        started=datetime(2026, 1, 1, tzinfo=UTC),
        database=database,
        role=USER,
        application=application,
        client=f"{HOST}:{pid + 40_000}",
        is_pooled=pooled,
        state=state,
        age=age,
        waits_for=waits_for,
        blocked_by=blocked_by,
        query=query,
    )


_STOCK = "UPDATE products SET stock = stock - 1 WHERE id = 42"
_LOCK, _ROW = "Lock: transactionid", "Lock: tuple"
_BACKENDS = (
    _backend(4711, "psql", "idle in transaction", 41.0, _STOCK, pooled=False),
    _backend(4802, "checkout", "active", 38.5, _STOCK, waits_for=_LOCK, blocked_by=(4711,)),
    _backend(4805, "checkout", "active", 31.2, _STOCK, waits_for=_ROW, blocked_by=(4802,)),
    _backend(4806, "checkout", "active", 12.9, _STOCK, waits_for=_ROW, blocked_by=(4802,)),
    _backend(
        4731, "worker", "active", 2.4, "SELECT * FROM orders WHERE paid ORDER BY at", pooled=False
    ),
    _backend(4733, "shop", "active", 0.1, "INSERT INTO carts DEFAULT VALUES", database="shop"),
    _backend(4720, "shop", "idle", 3.0, "SELECT 1", database="shop"),
    _backend(4698, "DBeaver", "idle", 512.0, "SHOW search_path", pooled=False),
)


def _file(name: str) -> Path:
    return paths.instance_dir(name) / "fake.json"
