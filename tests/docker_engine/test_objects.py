"""What an instance is made of in the engine, looked at without devdb's own code."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import world
from docker import APIClient
from libpq import connect
from world import NewSpec

from devdb.engines.docker.engine import DockerEngine
from devdb.errors import PortInUse
from devdb.model import PartState, Server, Spec

Starts = Callable[[Spec], Server]
REAPER = "while :; do sleep 1; done"


def objects(name: str, kind: str) -> dict[str, dict[str, Any]]:
    """What there is of the instance, by part."""
    return {
        (item.get("Labels") or item["Config"]["Labels"])["devdb.part"]: item
        for found, item in world.docker_objects(name)
        if found == kind
    }


def test_it_is_three_containers_a_volume_and_a_network(
    start: Starts, spec: Spec, client: APIClient
) -> None:
    before = anonymous_volumes(client)
    start(replace(spec, project=Path("/a/project"), reaper=REAPER))
    made = anonymous_volumes(client) - before

    containers = objects(spec.name, "container")
    assert set(containers) == {"postgres", "pgbouncer", "reaper"}
    assert set(objects(spec.name, "volume")) == {"data"}
    assert set(objects(spec.name, "network")) == {"network"}
    for item in (*containers.values(), *objects(spec.name, "volume").values()):
        labels = item.get("Labels") or item["Config"]["Labels"]
        assert labels["devdb.instance"] == spec.name
        assert labels["devdb.project"] == "/a/project"
        assert len(labels["devdb.home"]) == 8
        assert labels["devdb.home"] in item["Name"]
    networks = {name for c in containers.values() for name in c["NetworkSettings"]["Networks"]}
    assert networks == {objects(spec.name, "network")["network"]["Name"]}
    # Those of other tests' containers go with them; one that an image's own became would stay.
    world.eventually(lambda: not made & anonymous_volumes(client), "no anonymous volume")


def anonymous_volumes(client: APIClient) -> set[str]:
    return {v["Name"] for v in client.volumes()["Volumes"] or [] if not v["Labels"]}


def test_ports_are_published_on_127_0_0_1_alone(start: Starts, spec: Spec) -> None:
    start(replace(spec, reaper=REAPER))
    published = {
        part: container["HostConfig"]["PortBindings"] or {}
        for part, container in objects(spec.name, "container").items()
    }
    here = "127.0.0.1"
    assert published == {
        "postgres": {"5432/tcp": [{"HostIp": here, "HostPort": str(spec.port)}]},
        "pgbouncer": {"6432/tcp": [{"HostIp": here, "HostPort": str(spec.pool_port)}]},
        "reaper": {},
    }


def test_each_container_runs_as_it_should(start: Starts, spec: Spec) -> None:
    start(replace(spec, reaper=REAPER))
    containers = objects(spec.name, "container")
    for part in ("postgres", "reaper"):
        assert containers[part]["HostConfig"]["Init"] is True
    for container in containers.values():
        host = container["HostConfig"]
        assert host["RestartPolicy"]["Name"] == "unless-stopped"
        assert not host["Binds"], "bind mounts break on engines in a virtual machine"
        assert not host["Privileged"]
        assert container["Config"]["Healthcheck"]["Test"] == ["NONE"]
        assert host["LogConfig"]["Config"], "logs would grow without end"
    assert containers["postgres"]["Config"]["StopSignal"] == "SIGINT"
    assert containers["postgres"]["Config"]["StopTimeout"] >= 60
    for part in ("pgbouncer", "reaper"):
        assert containers[part]["Config"]["User"] == "65534:65534"


def test_no_secret_is_in_what_inspect_shows(start: Starts, spec: Spec) -> None:
    start(replace(spec, reaper=REAPER))
    shown = json.dumps([item for _, item in world.docker_objects(spec.name)])
    bootstrap = spec.derive("docker bootstrap")
    for secret in (spec.password, spec.pooler_password, bootstrap, "SCRAM-SHA-256$"):
        assert secret not in shown


def test_files_with_secrets_are_their_reader_s_alone(
    start: Starts, spec: Spec, client: APIClient
) -> None:
    start(replace(spec, reaper=REAPER))
    modes = {}
    for part in ("postgres", "pgbouncer", "reaper"):
        command = ["sh", "-c", "cd /etc/devdb && stat -c '%n %a %u' *"]
        run = client.exec_create(world.container(spec.name, part), command, user="0")
        for line in client.exec_start(run["Id"]).decode().splitlines():
            name, mode, owner = line.split()
            modes[f"{part}/{name}"] = (mode, owner)
    run = client.exec_create(world.container(spec.name, "postgres"), ["id", "-u", "postgres"])
    server = client.exec_start(run["Id"]).decode().strip()
    assert modes == {
        "postgres/server.key": ("400", server),
        "postgres/server.crt": ("444", "0"),
        "postgres/ca.crt": ("444", "0"),
        "pgbouncer/server.key": ("400", "65534"),
        "pgbouncer/server.crt": ("444", "0"),
        "pgbouncer/ca.crt": ("444", "0"),
        "postgres/password": ("400", "0"),
        "postgres/pgpass": ("600", "0"),
        "postgres/pg_hba.conf": ("444", "0"),
        "postgres/postgresql.conf": ("444", "0"),
        "pgbouncer/pgbouncer.ini": ("400", "65534"),
        "pgbouncer/userlist.txt": ("400", "65534"),
        "reaper/pgpass": ("600", "65534"),
        "reaper/reaper.sh": ("444", "0"),
    }


def test_the_password_the_data_was_made_with_lets_nobody_in(start: Starts, spec: Spec) -> None:
    import psycopg

    start(spec)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(replace(spec.direct, password=spec.derive("docker bootstrap")))


def test_two_users_may_have_an_instance_of_one_name_in_one_engine(
    engine: DockerEngine,
    start: Starts,
    new_spec: NewSpec,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine = new_spec(engine)
    start(mine)
    monkeypatch.setenv("DEVDB_DATA_DIR", str(tmp_path))
    assert engine.find(mine.name) is None
    assert mine.name not in [server.name for server in engine.list()]
    engine.stop(mine.name, destroy=True)
    theirs = replace(new_spec(engine), name=mine.name)
    try:
        start(theirs)
        with connect(theirs.direct) as connection:
            connection.execute("CREATE TABLE theirs ()")
    finally:
        engine.stop(mine.name, destroy=True)

    monkeypatch.setenv("DEVDB_DATA_DIR", str(home))
    found = engine.find(mine.name)
    assert found is not None
    assert found.running
    with connect(mine.pooled) as connection:
        assert connection.execute("SELECT to_regclass('theirs')").fetchone() == (None,)


def test_a_port_another_container_publishes_is_said_with_its_name(
    engine: DockerEngine, start: Starts, new_spec: NewSpec
) -> None:
    first = new_spec(engine)
    start(first)
    second = new_spec(engine, pool_port=first.port)
    with pytest.raises(PortInUse) as caught:
        list(engine.start(second))
    container = world.container(first.name, "postgres")
    name = next(i["Name"] for _, i in world.docker_objects(first.name) if i["Id"] == container)
    assert name.lstrip("/") in caught.value.message
    assert f"'{first.name}'" in caught.value.message
    assert "--pool-port" in caught.value.hint


def test_the_reaper_comes_and_goes_with_the_spec(start: Starts, spec: Spec) -> None:
    started = start(replace(spec, reaper=REAPER)).part("postgres").started
    assert start(replace(spec, reaper=REAPER)).part("reaper").state == PartState.RUNNING
    without = start(spec)
    assert [part.name for part in without.parts] == ["postgres", "pgbouncer"]
    assert without.part("postgres").started == started


def test_containers_that_were_removed_by_hand_come_back_with_the_data(
    start: Starts, spec: Spec, client: APIClient
) -> None:
    start(spec)
    with connect(spec.direct) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    DockerEngine().stop(spec.name)
    for container in objects(spec.name, "container").values():
        client.remove_container(container["Id"], v=True)
    client.remove_network(objects(spec.name, "network")["network"]["Id"])

    found = DockerEngine().find(spec.name)
    assert found is not None
    assert found.stopped
    assert start(spec).running
    with connect(spec.pooled) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_a_network_that_was_removed_by_hand_comes_back(
    engine: DockerEngine, start: Starts, spec: Spec, client: APIClient
) -> None:
    start(spec)
    engine.stop(spec.name)
    client.remove_network(objects(spec.name, "network")["network"]["Id"])
    assert start(spec).running


def test_somebody_s_container_in_the_network_does_not_stand_in_the_way_of_destroy(
    engine: DockerEngine, start: Starts, spec: Spec, client: APIClient, home: Path
) -> None:
    start(spec)
    guest = _guest(client, spec)
    try:
        engine.stop(spec.name, destroy=True)
        marker = str(home / "instances" / spec.name / "marker.json")
        assert world.traces(spec.name, home) == [marker]
        assert client.inspect_container(guest)["State"]["Running"]
    finally:
        client.remove_container(guest, v=True, force=True)


def test_a_postgres_that_has_another_address_is_reached_through_the_pooler(
    start: Starts, spec: Spec, client: APIClient
) -> None:
    """Engines may give it one at every start, and resolvers keep an old one for an hour."""
    start(spec)
    before = _address(client, spec)
    client.stop(world.container(spec.name, "postgres"))
    guest = _guest(client, spec)
    try:
        assert start(spec).running
        assert _address(client, spec) != before
        with connect(spec.pooled) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        client.remove_container(guest, v=True, force=True)


def _guest(client: APIClient, spec: Spec) -> str:
    """The id of somebody's container in the instance's network; it has the first free address."""
    guest = client.create_container(
        objects(spec.name, "container")["postgres"]["Image"],
        entrypoint=["sleep"],
        command=["600"],
        host_config=client.create_host_config(
            network_mode=objects(spec.name, "network")["network"]["Name"],
            tmpfs={"/var/lib": ""},
        ),
    )["Id"]
    client.start(guest)
    return str(guest)


def _address(client: APIClient, spec: Spec) -> str:
    """Postgres' address in the instance's network."""
    container = client.inspect_container(world.container(spec.name, "postgres"))
    (network,) = container["NetworkSettings"]["Networks"].values()
    return str(network["IPAddress"])


def test_a_database_that_somebody_dropped_is_made_again(start: Starts, spec: Spec) -> None:
    start(spec)
    with connect(spec.direct, database="postgres") as connection:
        connection.execute("DROP DATABASE main WITH (FORCE)")
    start(spec)
    with connect(spec.pooled) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("main",)


def test_data_whose_password_is_lost_is_not_started(start: Starts, spec: Spec) -> None:
    from devdb.errors import DataMismatch

    start(spec)
    DockerEngine().stop(spec.name)
    with pytest.raises(DataMismatch, match="earlier instance"):
        start(replace(spec, password="another"))
    assert start(spec).running


def test_psql_of_the_container_is_used_where_the_machine_has_none(
    engine: DockerEngine,
    start: Starts,
    spec: Spec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import shutil
    import subprocess

    start(spec)
    docker = shutil.which("docker")
    assert docker is not None
    (tmp_path / "docker").symlink_to(docker)
    monkeypatch.setenv("PATH", str(tmp_path))
    for pooled in (False, True):
        argv = engine.psql_argv(spec.name, pooled=pooled)
        assert argv[0] == str(tmp_path / "docker")
        assert spec.password not in " ".join(argv)
        run = subprocess.run(
            [*argv, "-At"], input="SELECT current_user;", capture_output=True, text=True
        )
        assert (run.stdout.strip(), run.stderr) == ("devdb", "")
