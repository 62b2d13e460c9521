"""Servers that die, ports that are taken, data that does not fit, a devdb that is killed."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import world
from libpq import connect
from world import NewSpec

from devdb.engines import Engine
from devdb.errors import DataMismatch, PortInUse, StartFailed
from devdb.model import PartState, Server, Spec, Step


def start(engine: Engine, spec: Spec) -> Server:
    server = list(engine.start(spec))[-1].server
    assert server is not None
    return server


def test_a_killed_server_is_found_dead_and_a_start_repairs_it(
    real_engine: Engine, real_spec: Spec
) -> None:
    start(real_engine, real_spec)
    with connect(real_spec.direct) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")

    for part, other in (("postgres", "pgbouncer"), ("pgbouncer", "postgres")):
        found = world.kill_for_good(real_engine, real_spec, part)
        assert found.part(other).state == PartState.RUNNING
        assert not found.running

        assert start(real_engine, real_spec).running
        for endpoint in (real_spec.direct, real_spec.pooled):
            with connect(endpoint) as connection:
                assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)

    world.kill_for_good(real_engine, real_spec, "pgbouncer")
    world.kill(real_engine, real_spec, "postgres")
    assert start(real_engine, real_spec).running


@pytest.mark.parametrize("which", ["port", "pool_port"])
def test_a_port_somebody_else_holds_is_said_with_its_owner(
    real_engine: Engine, real_spec: Spec, home: Path, which: str
) -> None:
    port = getattr(real_spec, which)
    with _listening(port), pytest.raises(PortInUse) as caught:
        start(real_engine, real_spec)
    assert str(port) in caught.value.message
    assert str(psutil.Process().pid) in caught.value.message
    assert caught.value.hint
    assert real_engine.find(real_spec.name) is None
    marker = str(home / "instances" / real_spec.name / "marker.json")
    assert world.traces(real_spec.name, home) == [marker]


def test_a_port_of_another_instance_is_in_use_and_one_taken_meanwhile_costs_no_data(
    real_engine: Engine, real_spec: Spec, new_spec: NewSpec
) -> None:
    start(real_engine, real_spec)
    with connect(real_spec.direct) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with pytest.raises(PortInUse) as caught:
        start(real_engine, new_spec(real_engine, port=real_spec.port))
    assert str(real_spec.port) in caught.value.message

    real_engine.stop(real_spec.name)
    with _listening(real_spec.port), pytest.raises(PortInUse):
        start(real_engine, real_spec)
    with _listening(real_spec.pool_port), pytest.raises(PortInUse):
        start(real_engine, real_spec)
    start(real_engine, real_spec)
    with connect(real_spec.pooled) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_moved_to_a_taken_port_it_goes_on_where_it_is_and_the_two_can_be_swapped(
    real_engine: Engine, real_spec: Spec, free_port: Callable[[], int]
) -> None:
    started = start(real_engine, real_spec)
    taken = free_port()
    for moved in (replace(real_spec, port=taken), replace(real_spec, pool_port=taken)):
        with _listening(taken), pytest.raises(PortInUse):
            start(real_engine, moved)
        again = start(real_engine, real_spec)
        for part in ("postgres", "pgbouncer"):
            assert again.part(part).started == started.part(part).started

    swapped = replace(real_spec, port=real_spec.pool_port, pool_port=real_spec.port)
    start(real_engine, swapped)
    for endpoint in (swapped.direct, swapped.pooled):
        with connect(endpoint) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


@contextmanager
def _listening(port: int) -> Iterator[None]:
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", port))
        holder.listen()
        yield


def test_data_of_another_major_is_never_started(real_engine: Engine, real_spec: Spec) -> None:
    server = start(real_engine, real_spec)
    version = server.part("postgres").version
    assert version is not None
    major = int(version.split(".")[0])
    real_engine.stop(real_spec.name)
    with pytest.raises(DataMismatch) as caught:
        start(real_engine, replace(real_spec, major=major - 1))
    assert str(major) in caught.value.message
    assert str(major - 1) in caught.value.message
    start(real_engine, replace(real_spec, major=major))


def test_a_setting_postgres_refuses_ends_in_its_own_words(
    real_engine: Engine, real_spec: Spec
) -> None:
    with pytest.raises(StartFailed) as caught:
        start(real_engine, replace(real_spec, settings=(("shared_buffers", "lots"),)))
    assert "shared_buffers" in caught.value.message
    assert start(real_engine, real_spec).running


def test_a_reaper_that_is_dead_makes_it_less_than_running_and_a_start_repairs_it(
    real_engine: Engine, new_spec: NewSpec
) -> None:
    spec = new_spec(real_engine, reaper="while :; do sleep 1; done")
    start(real_engine, spec)

    def found(state: PartState) -> Server | None:
        server = real_engine.find(spec.name)
        return server if server and server.part("reaper").state == state else None

    world.eventually(lambda: found(PartState.RUNNING), "the reaper runs")
    dead = world.kill_for_good(real_engine, spec, "reaper")
    assert dead.serving
    assert not dead.running
    start(real_engine, spec)
    assert world.eventually(lambda: found(PartState.RUNNING), "the reaper runs again").running


KILLED = """
import os, signal, sys
from devdb import engines, marker
spec = marker.load(sys.argv[2])
for progress in engines.get(sys.argv[1]).start(spec):
    if progress.step == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("step", [Step.PREPARE, Step.POSTGRES, Step.PGBOUNCER, Step.LOGIN])
def test_devdb_killed_in_a_fresh_start_leaves_nothing_that_a_start_cannot_take_up(
    engine: Engine, spec: Spec, step: Step, home: Path
) -> None:
    command = [sys.executable, "-c", KILLED, engine.name, spec.name, step.value]
    assert subprocess.run(command, capture_output=True).returncode in (-signal.SIGKILL, 0)
    before = world.processes(spec.name, home)
    server = start(engine, spec)
    assert server.running
    if engine.name != "fake":
        with connect(spec.pooled) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    survivors = {p.pid for p in before} & {p.pid for p in world.processes(spec.name, home)}
    parts = " ".join(part.detail for part in server.parts)
    for process in survivors:
        ancestors = {process, *(p.pid for p in psutil.Process(process).parents())}
        assert any(f"pid {pid}" in parts for pid in ancestors), "an orphan of the killed start"


@pytest.mark.parametrize("step", [Step.PREPARE, Step.POSTGRES, Step.PGBOUNCER, Step.LOGIN])
def test_what_a_killed_start_left_is_destroyed_without_another_start(
    engine: Engine, spec: Spec, step: Step, home: Path
) -> None:
    command = [sys.executable, "-c", KILLED, engine.name, spec.name, step.value]
    assert subprocess.run(command, capture_output=True).returncode in (-signal.SIGKILL, 0)
    engine.stop(spec.name, destroy=True)
    marker = str(home / "instances" / spec.name / "marker.json")
    assert world.traces(spec.name, home) == [marker]
