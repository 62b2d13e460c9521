"""An instance whose data or whose marker is gone: never silently, and never a dead end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import world
from commandline import Cli
from terminal import Terminal

from devdb import marker
from devdb.engines import Engine
from devdb.engines.fake import FakeEngine


@pytest.fixture
def cli(inside: Cli) -> Cli:
    return inside


def marker_of(cli: Cli) -> Path:
    return Path(cli.env["DEVDB_DATA_DIR"]) / "instances" / cli.name / "marker.json"


def lose_data(cli: Cli) -> None:
    cli("up", "-d")
    cli("down")
    FakeEngine().stop(cli.name, destroy=True)


@pytest.mark.parametrize("command", [("up", "-d"), ("up", "--json"), ("psql",), ("temp", "-q")])
def test_data_that_is_gone_is_told_by_all_that_would_start_it(
    cli: Cli, command: tuple[str, ...]
) -> None:
    lose_data(cli)
    done = cli(*command)
    assert done.code == 1
    if "--json" in command:
        assert done.json["error"]["code"] == "data_gone"
        assert "devdb up -n shop --anew" in done.json["error"]["hint"]
    else:
        assert "The data of 'shop' is gone" in done.error[0]
        assert "devdb up -n shop --anew" in done.error[1]
    assert FakeEngine().find("shop") is None
    assert "its data is gone" in cli("doctor").out


def test_a_new_one_in_its_place_keeps_ports_and_password(cli: Cli) -> None:
    lose_data(cli)
    before = cli("url").out
    done = cli("up", "-d", "--anew")
    assert done.code == 0
    assert "changed: its data was gone: this is new and empty" in done.err
    assert cli("url").out == before
    assert "changed" not in cli("up", "-d", "--anew").err


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1)])
def test_on_a_terminal_one_is_asked(
    cli: Cli, terminal: Callable[..., Terminal], answer: str, code: int
) -> None:
    lose_data(cli)
    shown = terminal("up", "-d", columns=200)
    shown.wait_for("Make a new, empty one in its place? [y/N]")
    shown.type(f"{answer}\n")
    assert shown.end() == code
    assert (FakeEngine().find("shop") is not None) is (code == 0)


@pytest.mark.parametrize("left", [None, "", '{"format": 1, "na'])
def test_an_instance_without_a_marker_is_shown_with_the_way_out(
    cli: Cli, left: str | None, tmp_path: Path
) -> None:
    cli("up", "-d")
    cli("up", "-d", "-n", "blog", cwd=tmp_path)
    marker_of(cli).unlink()
    if left is not None:
        marker_of(cli).write_text(left)
    listed = cli("ls")
    assert listed.code == 0
    assert "devdb up -n shop --adopt" in listed.err
    rows = {line.split()[0]: line.split()[1:3] for line in listed.out.splitlines()[1:]}
    assert rows == {"blog": ["running", "fake"], "shop": ["no", "marker"]}
    data = cli("ls", "--json").json["data"]
    assert set(data) == {"owner", "data", "instances", "not_asked"}
    (found,) = (each for each in data["instances"] if each["name"] == "shop")
    assert (found["state"], found["url"], found["port"]) == ("no marker", None, None)
    for command in (("status",), ("url",), ("logs",), ("up", "-d"), ("psql",)):
        done = cli(*command)
        assert done.code == 1, command
        assert "devdb up -n shop --adopt" in done.error[1], command
    assert cli("doctor").code == 1
    assert "devdb up -n shop --adopt" in cli("doctor").out
    assert cli("status", "-n", "blog").code == 0
    assert "stopped 'shop'" in cli("down", "shop").err
    adopted = cli("up", "-d", "--adopt")
    assert adopted.code == 0
    assert "changed: its marker was lost, and is made anew" in adopted.err
    assert cli("status").code == 0


def test_on_a_terminal_one_is_asked_whether_to_take_it_over(
    cli: Cli, terminal: Callable[..., Terminal]
) -> None:
    cli("up", "-d")
    marker_of(cli).unlink()
    shown = terminal("up", "-d", columns=200)
    shown.wait_for("Take 'shop' over, with its data? [y/N]")
    shown.type("y\n")
    assert shown.end() == 0
    assert marker.load("shop") is not None


def test_down_and_rm_reach_one_without_a_marker(cli: Cli) -> None:
    cli("up", "-d")
    marker_of(cli).unlink()
    assert "stopped 'shop'" in cli("down", "--all").err
    refused = cli("rm")
    assert refused.code == 2
    assert cli("rm", "shop").code == 2
    assert FakeEngine().find("shop") is not None
    assert cli("rm", "-f", "shop").code == 0
    assert cli("ls").out == ""
    assert cli.markers() == []


def test_one_is_forgotten_without_its_data(cli: Cli, tmp_path: Path) -> None:
    """Where its engine answers, and where that is gone for good."""
    cli("up", "-d")
    done = cli("rm", "shop", "--keep-data", "--json").json["data"]
    assert done == {
        "deleted": [],
        "forgotten": [{"name": "shop", "engine": "fake"}],
        "failed": [],
    }
    assert marker.load("shop") is None
    found = FakeEngine().find("shop")
    assert found is not None
    assert found.stopped
    again = cli("rm", "--keep-data", "shop")
    assert (again.code, again.error[0]) == (
        1,
        "error: 'shop' has no marker: there is nothing to forget.",
    )
    assert cli("up", "-d", "--adopt").code == 0
    cli.change_marker("shop", engine="docker", docker_host=f"unix://{tmp_path}/gone.sock")
    assert cli("rm", "-f", "shop").code == 3
    gone = cli("rm", "--keep-data", "shop")
    assert gone.code == 0
    assert "forgot 'shop'; its data stays where it is (devdb up -n shop --adopt)" in gone.err
    assert marker.load("shop") is None


def test_a_damaged_marker_may_be_all_that_there_is(cli: Cli) -> None:
    lose_data(cli)
    marker_of(cli).write_text("")
    assert "no marker" in cli("ls").out
    assert "is damaged" in cli("up", "-d").error[0]
    assert cli("down", "shop").code == 0
    assert cli("rm", "-f", "shop").code == 0
    assert cli.markers() == []
    assert cli("up", "-d").code == 0


def test_an_engine_that_hangs_is_not_waited_for(cli: Cli, tmp_path: Path) -> None:
    """It accepts, and never answers."""
    cli("up", "-d")
    with world.silent_socket(tmp_path / "engine.sock") as place:
        cli("up", "-d", "-n", "blog")
        cli.change_marker("blog", engine="docker", docker_host=f"unix://{place}")
        done = cli("ls", "--json", DOCKER_HOST=f"unix://{place}")
    assert done.code == 0
    states = {(one["name"], one["engine"]): one["state"] for one in done.json["data"]["instances"]}
    assert states["shop", "fake"] == "running"
    assert states["blog", "docker"] == "unknown"
    assert "docker" in done.json["data"]["not_asked"]


def query(url: str, sql: str) -> str:
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        row = connection.execute(sql.encode()).fetchone()
    assert row is not None
    return str(row[0])


def test_it_is_taken_over_with_all_that_it_had(real: Cli, real_engine: Engine) -> None:
    """With the password that its servers know; and with a new one where that is lost as well."""
    before = real("up", "-d").out
    made = real("temp", "--json").json["data"]
    before_marker = marker.load(real.name)
    marker_of(real).unlink()
    assert real("up", "-d").code == 1
    done = real("up", "-d", "--adopt", DEVDB_PORT=None, DEVDB_POOL_PORT=None)
    assert (done.code, done.out) == (0, before), done.err
    after_marker = marker.load(real.name)
    assert before_marker is not None
    assert after_marker is not None
    for field in ("project", "port", "pool_port", "password", "major", "settings"):
        assert getattr(after_marker, field) == getattr(before_marker, field), field
    assert query(made["pooled_url"], "SELECT 1") == "1"

    marker_of(real).unlink()
    if real_engine.name == "docker":
        world.lose_containers(real.name)
    else:
        userlist = marker_of(real).parent / "native" / "etc" / "userlist.txt"
        userlist.write_text("")
    done = real("up", "-d", "--adopt")
    assert done.code == 0, done.err
    assert "the URLs have changed" in done.err
    (listed,) = real("temp", "ls", "--json").json["data"]["databases"]
    assert listed["url"] != made["url"]
    for url in (*done.out.split(), listed["url"], listed["pooled_url"]):
        assert query(url, "SELECT 1") == "1"

    assert real("rm", "--keep-data", real.name).code == 0
    assert real("up", "-d").code == 1
    assert real("up", "-d", "--adopt").out == done.out
    assert query(listed["pooled_url"], "SELECT 1") == "1"


@pytest.mark.parametrize("real_engine", ["native"], indirect=True)
def test_of_another_user_nothing_is_taken_over(real: Cli) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may look into another user's instances")
    real("up", "-d")
    real("down")
    marker_of(real).unlink()
    native = marker_of(real).parent / "native"
    os.chown(native, 65534, 65534)
    done = real("up", "-d", "--adopt")
    assert done.code == 1
    assert "belongs to nobody" in done.error[0]
    os.chown(native, 0, 0)
    assert real("up", "-d", "--adopt").code == 0


@pytest.mark.parametrize("real_engine", ["native"], indirect=True)
def test_data_that_may_have_been_put_back_is_not_touched(real: Cli) -> None:
    """What says that it is whole was lost, as where a `devdb rm` was cut short."""
    real("up", "-d")
    real("down")
    native = marker_of(real).parent / "native"
    initialised = native / "initialised"
    for path in native.iterdir():
        if path.name != "data":
            world.remove(path)
    done = real("up", "-d")
    assert done.code == 1
    assert f"touch {initialised}" in done.error[1]
    assert (native / "data" / "PG_VERSION").exists()
    initialised.touch()
    assert real("up", "-d").code == 0
