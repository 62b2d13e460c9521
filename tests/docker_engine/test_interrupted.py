"""devdb killed with -9 after each change that a start makes in the engine, and what comes then."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import world
from docker import APIClient
from libpq import connect

from devdb.engines.docker import config, create, find, image_contents, labels, template
from devdb.engines.docker.client import Connection
from devdb.engines.docker.engine import DockerEngine
from devdb.engines.docker.image import find_image
from devdb.engines.images import wanted_images
from devdb.model import PartState, PoolMode, Server, Spec, Step

Starts = Callable[[Spec], Server]

KILLED = """
import os, signal, sys, threading
import requests
from devdb import engines, marker

name, method, wanted, cancel_at = sys.argv[1:]
count, lock = [0], threading.Lock()
send = requests.Session.request

def counted(self, verb, url, **options):
    response = send(self, verb, url, **options)
    if verb in method.split(","):
        with lock:
            count[0] += 1
            if count[0] == int(wanted):
                os.kill(os.getpid(), signal.SIGKILL)
    return response

requests.Session.request = counted
progress = engines.get("docker").start(marker.load(name))
for item in progress:
    if item.step == cancel_at:
        break
progress.close()
"""

CHANGES = 12
"""Two volumes, a network, two containers made, filled and started, one volume removed, and a
sync of the disk, which is two requests."""


def run(spec: Spec, *, methods: str, after: int, cancel_at: str = "") -> int:
    """Start the instance in a process that is killed after so many changes; its exit status."""
    command = [sys.executable, "-c", KILLED, spec.name, methods, str(after), cancel_at]
    return subprocess.run(command, capture_output=True).returncode


def assert_whole(spec: Spec) -> None:
    """Both URLs work, and there is nothing but what an instance consists of."""
    for endpoint in (spec.direct, spec.pooled):
        with connect(endpoint) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    parts = [
        (item.get("Labels") or item["Config"]["Labels"])["devdb.part"]
        for _, item in world.docker_objects(spec.name)
    ]
    assert sorted(parts) == ["data", "network", "pgbouncer", "postgres"]


@pytest.fixture
def known(connection: Connection, client: APIClient) -> None:
    """What is asked of an image once is known, and made: the changes are those of every start."""
    postgres, pooler = (find_image(client, ref) for ref in wanted_images(None, None, None))
    assert postgres is not None
    assert pooler is not None
    asker = labels.Identity("test-nobody", "")
    image_contents.has_init_files(client, postgres, asker)
    image_contents.binary_version(client, pooler, labels.PGBOUNCER, asker)
    image_contents.server_user_id(client, postgres, asker)
    image_contents.postgres_has_tls(client, postgres, asker)
    if template.find(connection, postgres) is None:
        template.provide(connection, postgres, 0, tried=None, copy="test-nobody")
    world.eventually(
        lambda: "container" not in dict(world.templates(postgres.id)), "a template", timeout=60
    )


@pytest.mark.parametrize("after", range(1, CHANGES + 1))
def test_a_fresh_start_killed_after_any_change_is_taken_up(
    after: int, known: None, spec: Spec, start: Starts
) -> None:
    assert run(spec, methods="POST,PUT,DELETE", after=after) == -signal.SIGKILL
    assert start(spec).running
    assert_whole(spec)


def test_there_are_no_more_changes_than_were_tried(known: None, spec: Spec) -> None:
    assert run(spec, methods="POST,PUT,DELETE", after=CHANGES + 1) == 0
    assert_whole(spec)


@pytest.mark.parametrize("after", range(1, 6))
def test_a_cancelled_start_killed_while_it_cleans_up_is_taken_up(
    after: int, known: None, spec: Spec, start: Starts
) -> None:
    killed = run(spec, methods="DELETE", after=after, cancel_at=Step.LOGIN)
    assert killed == -signal.SIGKILL
    assert start(spec).running
    assert_whole(spec)


def test_a_server_that_the_engine_kills_while_it_starts_is_started_anew(
    known: None, spec: Spec, engine: DockerEngine, client: APIClient
) -> None:
    """As the last request of a devdb that is dead may have it do."""
    killed = False
    for progress in engine.start(spec):
        if progress.step == Step.LOGIN and not killed:
            client.kill(labels.identity_of_new(spec.name).object_name(labels.POSTGRES))
            killed = True
    assert killed
    assert progress.step == Step.READY
    assert_whole(spec)


def test_a_question_to_an_image_that_was_cut_short_leaves_no_container(
    cache: Path, spec: Spec, start: Starts
) -> None:
    for after in (5, 6, 7):
        assert run(spec, methods="POST", after=after) == -signal.SIGKILL
    assert start(spec).running
    assert_whole(spec)


def test_a_first_start_goes_on_without_devdb_and_is_attached_to(
    spec: Spec, start: Starts, client: APIClient
) -> None:
    _kill_at_login(spec)
    before = _state(client, spec)["StartedAt"]
    assert start(spec).running
    assert _state(client, spec)["StartedAt"] == before
    assert_whole(spec)


POOL_MODE = {"pool_mode": PoolMode.SESSION}
SETTING = {"settings": (("work_mem", "7MB"),)}


@pytest.mark.parametrize(
    ("server", "changes"),
    [
        ("goes on", POOL_MODE),
        ("goes on", SETTING),
        ("is killed too", {**POOL_MODE, **SETTING}),  # its data is made anew, whatever changed
    ],
    ids=["pool mode", "setting", "killed"],
)
def test_a_first_start_that_was_killed_is_taken_up_with_other_settings(
    server: str,
    changes: dict[str, Any],
    spec: Spec,
    start: Starts,
    engine: DockerEngine,
    client: APIClient,
) -> None:
    _kill_at_login(spec)
    if server == "is killed too":
        client.kill(labels.identity_of_new(spec.name).object_name(labels.POSTGRES))
    changed = replace(spec, **changes)
    for _ in range(2):
        assert start(changed).pool_mode == changed.pool_mode
        assert_whole(changed)
        with connect(changed.pooled) as connection:
            work_mem = dict(changed.settings).get("work_mem", "4MB")
            assert connection.execute("SHOW work_mem").fetchone() == (work_mem,)
            # The last thing that initdb does is to make the two other ones.
            found = connection.execute("SELECT datname FROM pg_database ORDER BY 1").fetchall()
            assert [row[0] for row in found] == ["main", "postgres", "template0", "template1"]
        engine.stop(spec.name)


def test_data_whose_making_was_interrupted_is_discarded(
    spec: Spec, start: Starts, client: APIClient
) -> None:
    _kill_at_login(spec)
    client.kill(labels.identity_of_new(spec.name).object_name(labels.POSTGRES))
    assert start(spec).running
    assert_whole(spec)


def test_an_unfinished_start_is_found_as_not_ready_and_stops_like_any_other(
    spec: Spec, engine: DockerEngine
) -> None:
    _kill_at_login(spec)
    found = engine.find(spec.name)
    assert found is not None
    assert not found.stopped
    engine.stop(spec.name)
    found = engine.find(spec.name)
    assert found is not None
    assert found.stopped
    assert {part.state for part in found.parts} <= {PartState.STOPPED, PartState.DEAD}


@pytest.mark.parametrize("by_hand", [True, False])
def test_data_that_was_used_is_never_discarded_even_if_it_is_called_unfinished(
    by_hand: bool, spec: Spec, start: Starts, engine: DockerEngine, client: APIClient
) -> None:
    """As after a kill between the last login and the removal of the sign."""
    start(spec)
    with connect(spec.direct) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    identity = labels.identity_of_new(spec.name)
    client.create_volume(
        identity.object_name(labels.UNFINISHED),
        labels=identity.of_spec(spec, labels.UNFINISHED),
    )
    if by_hand:
        for part in (labels.POSTGRES, labels.PGBOUNCER):
            client.stop(identity.object_name(part))
    else:
        engine.stop(spec.name)
    assert start(spec).running
    assert_whole(spec)
    with connect(spec.pooled) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_a_container_made_after_its_volume_was_removed_is_destroyed_with_what_it_brought(
    spec: Spec, engine: DockerEngine, client: APIClient, home: Path
) -> None:
    data = _half_made(client, spec)
    client.remove_volume(labels.identity_of_new(spec.name).object_name(labels.DATA))
    identity = labels.identity_of_new(spec.name)
    plan, network = _plan(client, spec), create.make_network(client, spec, identity)
    create.make_container(client, spec, identity, plan, network, data)
    engine.stop(spec.name, destroy=True)
    assert world.traces(spec.name, home) == [_marker(spec, home)]


@pytest.mark.parametrize("round", range(5))
def test_a_request_the_engine_has_not_carried_out_yet_leaves_nothing(
    round: int,
    spec: Spec,
    engine: DockerEngine,
    client: APIClient,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a devdb that is dead has asked for begins after the first look at what there is."""
    data = _half_made(client, spec)
    asked: list[socket.socket] = []

    def look(client: APIClient, identity: labels.Identity) -> find.Found:
        found = find_look(client, identity)
        if not asked:
            asked.append(_ask_for_postgres(engine, client, spec, data))
        return found

    find_look = find.look
    monkeypatch.setattr(find, "look", look)
    engine.stop(spec.name, destroy=True)
    with asked[0] as connection:
        assert connection.recv(100).startswith((b"HTTP/1.1 201", b"HTTP/1.1 409"))
    assert world.traces(spec.name, home) == [_marker(spec, home)]


def _half_made(client: APIClient, spec: Spec) -> dict[str, str]:
    """Volumes, and no container yet; the labels of the one with the data."""
    identity = labels.identity_of_new(spec.name)
    data = identity.of_data(spec, major=17, layout=".")
    create.make_volumes(client, spec, identity, data)
    return data


def _plan(client: APIClient, spec: Spec) -> config.Blueprint:
    image = find_image(client, wanted_images(None, None, None)[0])
    assert image is not None
    return config.for_postgres(
        spec, image, layout=".", owner=0, pooler_everywhere=False, makes_database=False
    )


def _ask_for_postgres(
    engine: DockerEngine, client: APIClient, spec: Spec, data: dict[str, str]
) -> socket.socket:
    """The connection on which its container was asked for; nobody has read the answer."""
    plan, identity = _plan(client, spec), labels.identity_of_new(spec.name)
    volume = {
        "Type": "volume",
        "Source": identity.object_name(labels.DATA),
        "Target": plan.volume,
        "VolumeOptions": {"Labels": data},
    }
    its = plan.labelled(spec, identity)
    wanted = {"Image": plan.image, "Labels": its, "HostConfig": {"Mounts": [volume]}}
    body = json.dumps(wanted).encode()
    name = identity.object_name(labels.POSTGRES)
    head = (
        f"POST /containers/create?name={name} HTTP/1.1\r\nHost: docker\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(engine.host.removeprefix("unix://"))
    connection.sendall(head.encode() + body)
    return connection


def _marker(spec: Spec, home: Path) -> str:
    return str(home / "instances" / spec.name / "marker.json")


def _kill_at_login(spec: Spec) -> None:
    """As soon as both containers have been started: Postgres is making its data."""
    code = KILLED.replace("        break\n", "        os.kill(os.getpid(), signal.SIGKILL)\n")
    command = [sys.executable, "-c", code, spec.name, "", "0", Step.LOGIN.value]
    status = subprocess.run(command, capture_output=True, text=True)
    assert status.returncode == -signal.SIGKILL, status.stderr


def _state(client: APIClient, spec: Spec) -> dict[str, Any]:
    container = client.inspect_container(world.container(spec.name, labels.POSTGRES))
    state: dict[str, Any] = container["State"]
    return state
