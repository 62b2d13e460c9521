"""How many clients the system's own limit on open files lets the native engine take."""

from __future__ import annotations

import resource
import stat
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import world
from inside import login
from knocking import knock
from world import Elsewhere

from devdb import marker
from devdb.engines.native.engine import NativeEngine
from devdb.engines.native.layout import Layout
from devdb.model import Server, Spec

FILES = 512
CLIENTS = FILES - 100 - 150
"""What is left of them after Postgres' connections and PgBouncer's own."""


def started(native: NativeEngine, spec: Spec) -> Server:
    """Start it in a process that may have few files open, and cannot have more."""
    marker.save(spec)
    program = (
        "import sys; from devdb import marker; from devdb.engines.native.engine import NativeEngine"
    )
    run = f"{program}; list(NativeEngine().start(marker.load(sys.argv[1])))"
    subprocess.run(
        [sys.executable, "-c", run, spec.name],
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES)),
    )
    found = native.find(spec.name)
    assert found is not None
    return found


def test_a_low_limit_is_kept_to_and_who_is_too_many_is_refused(
    native: NativeEngine, spec: Spec
) -> None:
    server = started(native, spec)
    assert server.max_clients == CLIENTS
    with ExitStack() as stack:
        # One of the start's own logins may not have gone yet.
        assert {answer[:1] for answer in knock(stack, spec.pooled, CLIENTS - 5)} == {b"R"}
        knock(stack, spec.pooled, 5)
        for answer in knock(stack, spec.pooled, 80):
            assert b"no more connections allowed" in answer
    world.eventually(lambda: login(spec.pooled) == "in", "room for another")


def test_who_asked_for_more_is_told_why_not(native: NativeEngine, spec: Spec) -> None:
    server = started(native, replace(spec, pooler_settings=(("max_client_conn", "5000"),)))
    assert server.max_clients == CLIENTS
    (note,) = [note for note in server.notes if "5000" in note]
    assert f"{CLIENTS} clients" in note
    assert "ulimit" in note


def test_an_instance_goes_on_with_the_limit_it_was_started_with(
    native: NativeEngine, spec: Spec
) -> None:
    if not Path("/proc/self/limits").exists():
        pytest.skip("the system does not tell what another process may have open")
    before = started(native, spec)
    server = list(native.start(spec))[-1].server
    assert server is not None
    assert server.part("pgbouncer").started == before.part("pgbouncer").started
    assert server.max_clients == CLIENTS
    native.stop(spec.name)
    server = list(native.start(spec))[-1].server
    assert server is not None
    assert server.max_clients is not None
    assert server.max_clients > CLIENTS


def test_more_clients_can_be_asked_for_while_it_runs(native: NativeEngine, spec: Spec) -> None:
    few = replace(spec, pooler_settings=(("max_client_conn", "10"),))
    many = replace(spec, pooler_settings=(("max_client_conn", "2000"),))
    assert [list(native.start(each))[-1].server.max_clients for each in (few, many)] == [10, 2000]  # type: ignore[union-attr]


def test_the_console_s_socket_is_where_nobody_else_gets(native: NativeEngine, spec: Spec) -> None:
    """Over it PgBouncer's own user gets to the console as `pgbouncer`, without a password."""
    list(native.start(spec))
    listed = Path("/proc/net/unix")
    if not listed.exists():
        pytest.skip("the system does not list its sockets")
    lines = listed.read_text(encoding="utf-8", errors="replace").splitlines()
    names = {line.split()[-1] for line in lines if f".s.PGSQL.{spec.pool_port}" in line}
    run = Layout.of(spec.name).run
    assert names <= {str(run / f".s.PGSQL.{spec.pool_port}")}
    assert stat.S_IMODE(run.stat().st_mode) == 0o700


def test_there_is_no_such_socket_where_the_path_cannot_carry_one(
    elsewhere: Elsewhere, native: NativeEngine
) -> None:
    if not Path("/proc/net/unix").exists():
        pytest.skip("the system does not list its sockets")
    with tempfile.TemporaryDirectory(prefix="devdb-limits-") as short:
        Path(short).chmod(0o755)
        place = Path(short) / ("a" * 80)
        place.mkdir(mode=0o755)
        with elsewhere(place) as spec:
            list(native.start(spec))
            assert Layout.of(spec.name).socket_directory is None
            names = Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace")
            assert f".s.PGSQL.{spec.pool_port}" not in names
            assert login(replace(spec.pooled, database="pgbouncer", user="pgbouncer")) != "in"
