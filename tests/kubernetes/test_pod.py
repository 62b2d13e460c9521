"""An instance that runs: its pod is replaced, its forwarder ends, others use it too."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import kube
import psutil
import psycopg
import pytest
import world
from instances import Instance
from libpq import connect
from world import NewSpec, Starts

from devdb import certificates, databases, marker, psql
from devdb.engines import Engine, programs
from devdb.engines.forward import Forwarder
from devdb.errors import DataMismatch
from devdb.model import Endpoint, PartState, Spec

SOON = 60.0


def answer(endpoint: Endpoint) -> int | None:
    """What is kept there; None where nobody gets in."""
    try:
        with connect(endpoint) as connection:
            row = connection.execute("SELECT answer FROM kept").fetchone()
    except psycopg.OperationalError:
        return None
    return row[0] if row else None


def forwarders(spec: Spec, home: Path) -> list[psutil.Process]:
    """All that brings its ports to this data home."""
    directory = str((home / "instances" / spec.name).resolve())
    return [each for each in psutil.process_iter() if _works_in(each, directory)]


def _works_in(process: psutil.Process, directory: str) -> bool:
    try:
        return process.cwd() == directory
    except psutil.Error:
        return False


def test_another_pod_or_another_forwarder_has_the_same_urls_and_data(
    engine: Engine, start: Starts, new_spec: NewSpec, home: Path
) -> None:
    spec = new_spec(engine)
    start(spec)
    with connect(spec.direct) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    before = kube.pod(spec.name)["metadata"]
    kube.kubectl("delete", "pod", before["name"], "--wait=false")
    world.eventually(lambda: answer(spec.direct) is None, "the old pod's end")
    # Whoever gets in is in the new one, and whoever gets in once stays in.
    for endpoint in (spec.direct, spec.pooled):
        world.eventually(lambda: answer(endpoint) == 42, "another pod", timeout=SOON)  # noqa: B023
        assert answer(endpoint) == 42
    assert kube.pod(spec.name)["metadata"]["uid"] != before["uid"]

    [command] = [
        each for each in forwarders(spec, home) if "port-forward" in " ".join(each.cmdline())
    ]
    command.kill()
    world.eventually(lambda: answer(spec.pooled) == 42, "the command again", timeout=SOON)

    for each in forwarders(spec, home):
        each.send_signal(signal.SIGKILL)
    found = engine.find(spec.name)
    assert found is not None
    assert found.part("forwarder").state == PartState.DEAD
    assert answer(spec.direct) is None
    engine.mend(spec.name)
    assert answer(spec.direct) == answer(spec.pooled) == 42
    # The cluster asks a new pod once a second whether it listens.
    world.eventually(lambda: (one := engine.find(spec.name)) and one.running, "all of it")


@pytest.mark.parametrize("part", ["postgres", "pgbouncer"])
def test_a_server_that_died_a_moment_ago_is_no_failed_start(
    engine: Engine, start: Starts, new_spec: NewSpec, part: str
) -> None:
    spec = new_spec(engine)
    start(spec)
    for _ in range(2):  # the kubelet starts it again at once, and then after a while
        kube.kill(spec.name, part)
        assert start(spec).running
        for endpoint in (spec.direct, spec.pooled):
            with connect(endpoint) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_team_mate_attaches_and_what_one_does_the_other_sees(
    engine: Engine,
    start: Starts,
    new_spec: NewSpec,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = new_spec(engine)
    mine = start(spec)
    ca = certificates.ca_path(spec.name).read_text()

    elsewhere = world.new_directory("mate")
    monkeypatch.setenv("DEVDB_DATA_DIR", str(elsewhere))
    known = engine.recover(spec.name)
    assert known is not None
    assert (known.password, known.project, known.has_data) == (spec.password, None, True)
    own = replace(known, port=spec.port + 2, pool_port=spec.pool_port + 2)
    marker.save(own)
    theirs = start(own)
    for part in ("postgres", "pgbouncer"):
        assert theirs.part(part).started == mine.part(part).started
    assert certificates.ca_path(spec.name).read_text() == ca
    made = databases.create(own, ttl=timedelta(hours=1))
    with connect(replace(made.pooled, port=spec.pool_port)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)

    engine.leave(spec.name)
    assert not world.listening(own.port)
    found = engine.find(spec.name)
    assert found is not None
    assert found.serving
    assert not Forwarder(spec.name).is_running()

    engine.stop(spec.name, destroy=True)
    marker.delete(spec.name)
    world.remove(elsewhere)
    monkeypatch.setenv("DEVDB_DATA_DIR", str(home))
    assert engine.find(spec.name) is None
    world.eventually(lambda: not forwarders(spec, home), "the forwarder's end", timeout=SOON)
    assert not world.listening(spec.port)


def test_a_lost_secret_costs_the_password_and_no_data(
    engine: Engine, start: Starts, new_spec: NewSpec
) -> None:
    spec = new_spec(engine)
    start(spec)
    with connect(spec.direct) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    engine.stop(spec.name)
    [secret] = [item for kind, item in kube.objects(spec.name) if kind == "secret"]
    kube.kubectl("delete", "secret", secret["metadata"]["name"])
    known = engine.recover(spec.name)
    assert known is not None
    assert (known.password, known.port, known.has_data) == ("", 0, True)
    with pytest.raises(DataMismatch, match="password is lost"):
        start(spec)
    renewed = replace(spec, password="another-one", rekeyed=True, has_data=True)
    engine.set_password(renewed)
    assert start(renewed).running
    assert answer(renewed.direct) == answer(renewed.pooled) == 42
    assert answer(spec.direct) is None


def test_without_programs_here_those_of_the_pod_do(
    shared: Instance, running: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "_clients", lambda *_, **__: ())
    made = databases.create(running, ttl=timedelta(hours=1))
    engine = shared.engine
    for argv, user, password in (
        (engine.psql_argv(running.name, pooled=True), [], running.password),
        (
            engine.tool_argv(running.name, "psql"),
            ["-U", made.direct.user, "-d", made.name],
            made.direct.password,
        ),
    ):
        done = subprocess.run(
            [*argv, *user, "-XAt"],
            input="SELECT current_user;\nSELECT 1/0;\n",
            env=psql.environment(password, os.environ),
            capture_output=True,
            text=True,
        )
        assert done.stdout == f"{user[1] if user else 'devdb'}\n"
        assert "division by zero" in done.stderr
        assert password not in " ".join(argv)
    databases.drop(running, [made.name])
