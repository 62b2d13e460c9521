"""New data is copied from a template: whose it is, when it is not taken, when it goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import world
from docker import APIClient
from libpq import connect
from world import NewSpec

from devdb.engines.docker import config, labels, template
from devdb.engines.docker.client import Connection
from devdb.engines.docker.engine import DockerEngine
from devdb.engines.docker.image import Image, find_image
from devdb.model import Server, Spec

Starts = Callable[[Spec], Server]

NOT_COPIED = None
"""The image's entry point made the data."""


def provided(cache: Path) -> dict[str, Any]:
    """The volume of the one template of that cache, once it has been made."""

    def made() -> list[dict[str, Any]]:
        found = world.templates(str(cache))
        return [] if "container" in dict(found) else [item for _, item in found]

    [volume] = world.eventually(made, "a template", timeout=60)
    return dict(volume)


def copied_from(spec: Spec, client: APIClient) -> str | None:
    """The volume that the instance's Postgres was told to copy."""
    container = client.inspect_container(world.container(spec.name, "postgres"))
    mounts = {mount["Destination"]: mount for mount in container["Mounts"]}
    if config.TEMPLATE not in mounts:
        return NOT_COPIED
    assert not mounts[config.TEMPLATE]["RW"]
    return str(mounts[config.TEMPLATE]["Name"])


def identifier(spec: Spec) -> object:
    """What initdb gives each data directory of its own, so that copies have the same."""
    with connect(spec.pooled) as connection:
        row = connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone()
    assert row is not None
    return row[0]


def image_of_tests(client: APIClient) -> Image:
    found = find_image(client, os.environ["DEVDB_POSTGRES_IMAGE"])
    assert found is not None
    return found


@pytest.mark.parametrize("major", [15, 18])
def test_instances_after_the_first_are_whole_copies_and_stay_as_they_are(
    major: int,
    cache: Path,
    engine: DockerEngine,
    new_spec: NewSpec,
    start: Starts,
    image: Callable[[str], str],
    client: APIClient,
) -> None:
    reference = image(f"devdb-test/postgres:{major}")
    first, second, third = (new_spec(engine, postgres_image=reference) for _ in range(3))
    start(first)
    assert copied_from(first, client) is NOT_COPIED
    volume = provided(cache)["Name"]
    for spec in (second, third):
        start(spec)
        assert copied_from(spec, client) == volume
    assert identifier(second) == identifier(third) != identifier(first)
    password = next((cache / "volumes").iterdir()).read_text()
    assert len(password) == 32
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(replace(second.direct, password=password))
    with connect(second.direct) as connection:
        names = {str(row[0]) for row in connection.execute("SELECT pg_ls_dir('.')")}
    assert "PG_VERSION" in names
    assert not {name for name in names if name.startswith("devdb")}, "left by the making"
    before = world.container(second.name, "postgres")
    for _ in range(2):
        assert start(second).running
        assert world.container(second.name, "postgres") == before
        engine.stop(second.name)


def test_a_template_without_its_password_is_made_anew_and_goes_when_nobody_has_it(
    cache: Path, engine: DockerEngine, new_spec: NewSpec, start: Starts, client: APIClient
) -> None:
    first, second, third = (new_spec(engine) for _ in range(3))
    start(first)
    old = provided(cache)["Name"]
    start(second)
    assert copied_from(second, client) == old
    (cache / "volumes" / old).unlink()
    start(third)
    assert copied_from(third, client) is NOT_COPIED
    world.eventually(
        lambda: "container" not in dict(world.templates(str(cache))), "it is made", timeout=60
    )
    names = {item["Name"] for _, item in world.templates(str(cache))}
    assert old in names
    assert len(names) == 2
    engine.stop(second.name, destroy=True)
    assert {item["Name"] for _, item in world.templates(str(cache))} == names - {old}


def test_a_template_that_is_not_whole_is_not_taken_and_made_anew(
    cache: Path, engine: DockerEngine, new_spec: NewSpec, start: Starts, client: APIClient
) -> None:
    """As a power cut, or whoever removes the container that makes one, leaves it."""
    start(new_spec(engine))
    whole = provided(cache)["Name"]
    where = config.layout(image_of_tests(client))
    spoil = ["docker", "run", "--rm", "-v", f"{whole}:/t", "--entrypoint", "rm"]
    spoil += [os.environ["DEVDB_POSTGRES_IMAGE"], f"/t/{where}/{config.WHOLE}"]
    subprocess.run(spoil, check=True, capture_output=True)
    spec = new_spec(engine)
    start(spec)
    assert copied_from(spec, client) == whole
    world.eventually(
        lambda: "container" not in dict(world.templates(str(cache))), "it is made", timeout=60
    )
    [kept] = (cache / "volumes").iterdir()
    assert kept.name != whole
    another = new_spec(engine)
    start(another)
    assert copied_from(another, client) == kept.name
    assert identifier(another) != identifier(spec)


def test_the_template_of_an_image_that_is_gone_goes_with_an_instance(
    cache: Path,
    derived: Callable[..., str],
    derived_images: list[str],
    engine: DockerEngine,
    new_spec: NewSpec,
    start: Starts,
    client: APIClient,
) -> None:
    name = derived(os.environ["DEVDB_POSTGRES_IMAGE"], "LABEL gone=soon")
    spec = new_spec(engine, postgres_image=name)
    start(spec)
    volume = provided(cache)["Name"]
    engine.stop(spec.name)
    client.remove_image(name, force=True)
    derived_images.remove(name)
    engine.stop(spec.name, destroy=True)
    assert volume not in {item["Name"] for _, item in world.templates("")}


def test_what_an_images_own_files_make_is_never_copied(
    cache: Path,
    derived: Callable[..., str],
    engine: DockerEngine,
    new_spec: NewSpec,
    start: Starts,
    client: APIClient,
) -> None:
    sql = "CREATE TABLE drawn AS SELECT gen_random_uuid() AS id;"
    files = {"docker-entrypoint-initdb.d/draw.sql": sql}
    name = derived(os.environ["DEVDB_POSTGRES_IMAGE"], files=files)
    drawn = set()
    for _ in range(2):
        spec = new_spec(engine, postgres_image=name)
        start(spec)
        assert copied_from(spec, client) is NOT_COPIED
        with connect(spec.pooled) as connection:
            drawn.add(connection.execute("SELECT id FROM drawn").fetchone())
    assert len(drawn) == 2
    assert world.templates(str(cache)) == []


@pytest.mark.parametrize(
    ("environment", "has_init_files", "copyable"),
    [
        ({}, False, True),
        ({}, True, False),
        ({"POSTGRES_INITDB_WALDIR": "/elsewhere"}, False, False),
    ],
)
def test_only_data_that_is_all_in_its_volume_is_copied(
    environment: dict[str, str], has_init_files: bool, copyable: bool
) -> None:
    image = Image(reference="r", id="i", environment=environment, user="", volumes=())
    assert template.is_copyable(image, has_init_files=has_init_files) == copyable


def test_an_image_that_starts_as_an_ordinary_user_has_templates_too(
    cache: Path,
    derived: Callable[..., str],
    engine: DockerEngine,
    new_spec: NewSpec,
    start: Starts,
    client: APIClient,
) -> None:
    name = derived(os.environ["DEVDB_POSTGRES_IMAGE"], "USER postgres")
    first, second = (new_spec(engine, postgres_image=name) for _ in range(2))
    start(first)
    volume = provided(cache)["Name"]
    start(second)
    assert copied_from(second, client) == volume
    assert identifier(second) != identifier(first)


KILLED = """
import os, signal, sys
import requests
from docker import APIClient
from devdb.engines.docker import template
from devdb.engines.docker.client import Connection
from devdb.engines.docker.image import find_image

wanted = int(sys.argv[1])
count = 0
send = requests.Session.request

def counted(self, verb, url, **options):
    global count
    response = send(self, verb, url, **options)
    count += verb in ("POST", "PUT")  # not what it removes, which others may have left
    if count == wanted:
        if wanted == 3:  # however long the next look takes, it comes while the template is made
            client.pause(template._maker_name(connection, image))
        os.kill(os.getpid(), signal.SIGKILL)
    return response

client = APIClient()
connection = Connection(client, "", "")
image = find_image(client, os.environ["DEVDB_POSTGRES_IMAGE"])
requests.Session.request = counted
template.provide(connection, image, 0, tried=None, copy="")
"""


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_template_whose_making_was_cut_short_is_made_by_the_next(
    after: int, cache: Path, client: APIClient, connection: Connection
) -> None:
    """Made, filled, started: from then on the engine goes on by itself."""
    command = [sys.executable, "-c", KILLED, str(after)]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    image = image_of_tests(client)
    found = template.find(connection, image)
    tried = found.template if found else None
    template.provide(connection, image, 0, tried=tried, copy="devdb-test-nobody")
    if after == 3:
        client.unpause(template._maker_name(connection, image))
    volume = provided(cache) if after == 3 else None
    names = {path.name for path in (cache / "volumes").iterdir()}
    now = template.find(connection, image)
    assert now is not None
    assert volume is None or volume["Name"] == now.template == tried
    assert now.template in names


def copying(place: Path, *, path: str | None = None) -> int:
    """Run what a container runs before its server, with `place` for the engine.

    In a process group of its own: with a container's first process all others of it end.
    """
    variables = {"PGDATA": str(place / "data"), "PATH": path or os.environ["PATH"]}
    arguments = [str(place / "template"), "touch", str(place / "started")]
    argv = ["sh", "-c", config._COPY, "sh", *arguments]
    return subprocess.run(argv, env=variables, start_new_session=True).returncode


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A place with a template in it."""
    base = tmp_path / "template" / "base"
    base.mkdir(parents=True)
    (tmp_path / "template" / config.WHOLE).write_text("18\n")
    for number in range(20):
        (base / str(number)).write_text("x" * 9000)
    return tmp_path


def contents(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): path.read_text()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_half_a_copy_is_no_data_and_is_ended_by_the_next_start(place: Path) -> None:
    shims = place / "shims"
    shims.mkdir()
    # Half of the files, one of them half, and then the power is cut.
    script = '#!/bin/sh\ncd "$PGDATA/base"; head -c 100 /dev/zero >3; : >4; kill -9 0\n'
    (shims / "cp").write_text(script)
    (shims / "cp").chmod(0o755)
    assert copying(place, path=f"{shims}:{os.environ['PATH']}") == -signal.SIGKILL
    assert not (place / "data" / "PG_VERSION").exists()
    assert not (place / "started").exists()
    assert copying(place) == 0
    assert (place / "started").exists()
    wanted = contents(place / "template")
    wanted["PG_VERSION"] = wanted.pop(config.WHOLE)
    assert contents(place / "data") == wanted


@pytest.mark.parametrize(
    "there", [{"PG_VERSION": "18\n", "base": "mine"}, {"base": "mine"}], ids=["data", "a file"]
)
def test_what_is_there_is_never_overwritten(place: Path, there: dict[str, str]) -> None:
    (place / "data").mkdir()
    for name, text in there.items():
        (place / "data" / name).write_text(text)
    assert copying(place) == 0
    assert contents(place / "data") == there
    assert (place / "started").exists()


def test_a_template_in_the_making_is_not_copied(place: Path) -> None:
    (place / "template" / config.WHOLE).rename(place / "template" / "PG_VERSION")
    assert copying(place) == 0
    assert not (place / "data").exists()
    assert (place / "started").exists()


def test_templates_whose_password_is_gone_go_whosever_they_are(
    cache: Path, client: APIClient, connection: Connection
) -> None:
    kept = cache / "volumes" / "there"
    kept.parent.mkdir(parents=True)
    kept.touch()
    names = {}
    for place in (kept, cache / "nowhere"):
        facts = {labels.TEMPLATE: "of-another", labels.IMAGE: image_of_tests(client).id}
        made = client.create_volume(labels={**facts, labels.KEPT_AT: str(place)})
        names[place] = made["Name"]
    template.remove_useless(connection)
    left = {item["Name"] for _, item in world.templates(str(cache))}
    assert left == {names[kept]}
