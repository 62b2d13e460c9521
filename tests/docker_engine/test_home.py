"""Whose an object in an engine is: of this user on this machine, by a random id; once by a path."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import world
from docker import APIClient
from libpq import connect
from world import NewSpec, Starts

from devdb import marker
from devdb.engines.docker import find, home, template
from devdb.engines.docker.client import Connection
from devdb.engines.docker.engine import DockerEngine
from devdb.errors import DevdbError
from devdb.model import Level, Spec

ASK = "from devdb.engines.docker import home; print(home.ensure())"


def answer(spec: Spec) -> str:
    """What is in the table that `fill` made; empty where there is none."""
    with connect(spec.direct) as connection:
        there = connection.execute("SELECT to_regclass('kept')").fetchone()
        if there == (None,):
            return ""
        found = connection.execute("SELECT answer FROM kept").fetchone()
        return str(found[0]) if found else ""


def fill(spec: Spec, words: str) -> None:
    with connect(spec.direct) as connection:
        connection.execute("CREATE TABLE kept (answer text)")
        connection.execute("INSERT INTO kept VALUES (%s)", (words,))


def containers(spec: Spec) -> dict[str, str]:
    """When each of its containers was started, by its id."""
    found = world.docker_objects(spec.name)
    return {item["Id"]: item["State"]["StartedAt"] for kind, item in found if kind == "container"}


def test_the_id_is_made_once_by_ten_at_once_and_is_nobody_elses_to_read() -> None:
    ten = [
        subprocess.Popen([sys.executable, "-c", ASK], stdout=subprocess.PIPE, text=True)
        for _ in range(10)
    ]
    said = {process.communicate(timeout=60)[0].strip() for process in ten}
    assert said == {home.existing()}
    assert home.existing() != home.of_path()
    assert home._place().stat().st_mode & 0o777 == 0o600


def test_without_an_id_nothing_is_written_by_looking(engine: DockerEngine, home: Path) -> None:
    assert engine.find("test-nobody") is None
    engine.stop("test-nobody", destroy=True)
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"\0" * 32, b"0" * 31])
def test_an_id_that_is_damaged_is_an_error_and_not_another_one(content: bytes) -> None:
    home.ensure()
    home._place().write_bytes(content)
    with pytest.raises(DevdbError, match="not as devdb wrote it"):
        home.ensure()
    assert home._place().read_bytes() == content


def test_what_was_labelled_with_the_path_alone_is_ours_on_this_machine(
    spec: Spec,
    start: Starts,
    engine: DockerEngine,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Found, listed, taken over with its data and without a restart, and removed."""
    with monkeypatch.context() as before:
        before.setattr(home, "ensure", home.of_path)
        start(spec)
    fill(spec, "old")
    made = containers(spec)
    home.ensure()
    assert all(
        item["Name"].lstrip("/").startswith(f"devdb-{home.of_path()}-{spec.name}-")
        for _, item in world.docker_objects(spec.name)
    )
    found = engine.find(spec.name)
    assert found is not None
    assert found.running
    assert spec.name in {server.name for server in engine.list()}
    recovered = engine.recover(spec.name)
    assert recovered is not None
    assert recovered.password == spec.password
    assert start(replace(spec, has_data=True)).running
    assert containers(spec) == made
    # A container that has to be made anew is the old data's still.
    assert start(replace(spec, has_data=True, settings=(("work_mem", "5MB"),))).running
    assert containers(spec) != made
    assert answer(spec) == "old"
    # On another machine's engine it could be anybody's.
    assert find.look_for(replace(connection, host="ssh://box"), spec.name) is None
    assert find.look_for(connection, spec.name) is not None


def test_two_data_homes_at_one_path_share_no_instance(
    start: Starts, engine: DockerEngine, new_spec: NewSpec, home: Path
) -> None:
    """As on two laptops that use one engine."""
    spec, other = new_spec(engine), new_spec(engine)
    other = replace(other, name=spec.name)
    aside = [home.with_name(f"{home.name}-{name}") for name in ("first", "second")]
    start(spec)
    fill(spec, "first")
    made = containers(spec)
    home.rename(aside[0])
    home.mkdir(mode=0o755)
    assert engine.find(spec.name) is None
    assert engine.recover(spec.name) is None
    lost = [f for f in engine.check() if spec.name in f.message]
    assert [finding.level for finding in lost] == [Level.WARNING]
    for kind, item in world.docker_objects(spec.name):
        assert (item["Name"].lstrip("/") in (lost[0].fix or "")) == (kind != "network")
    marker.save(other)
    assert start(other).running
    assert (answer(spec), answer(other)) == ("first", "")
    engine.stop(other.name, destroy=True)
    home.rename(aside[1])
    aside[0].rename(home)
    assert containers(spec) == made
    assert answer(spec) == "first"
    for path in sorted(aside[1].rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    aside[1].rmdir()


def test_templates_of_others_are_neither_taken_nor_removed(
    client: APIClient, connection: Connection, tmp_path: Path
) -> None:
    """Of another machine's cache with our path; here, without a label, the path says whose."""
    gone = {"devdb.template": "test-any", "devdb.image": "", "devdb.kept-at": str(tmp_path / "no")}
    far = replace(connection, host="ssh://box")
    whose = {"theirs": "0" * 8, "ours": home.ensure()}
    made = {
        word: client.create_volume(labels={**gone, "devdb.home": digits})["Name"]
        for word, digits in whose.items()
    }
    try:
        template.remove_useless(connection)
        assert {item["Name"] for _, item in world.templates(str(tmp_path))} == {*made.values()}
        template.remove_useless(far)
        assert {item["Name"] for _, item in world.templates(str(tmp_path))} == {made["theirs"]}
    finally:
        world.lose_templates(str(tmp_path))
