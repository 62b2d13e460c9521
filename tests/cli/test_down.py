"""`devdb down` keeps everything; `devdb rm` deletes, after saying what."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from commandline import Cli
from terminal import Terminal


@pytest.fixture
def cli(inside: Cli) -> Cli:
    return inside


@pytest.fixture
def three(cli: Cli) -> Cli:
    for name in ("shop-a", "shop-b", "blog"):
        assert cli("up", "-d", "-n", name).code == 0
    return cli


def states(cli: Cli) -> dict[str, str]:
    return {each["name"]: each["state"] for each in cli("ls", "--json").json["data"]["instances"]}


def test_down_stops_this_project_and_keeps_the_data(cli: Cli) -> None:
    urls = cli("up", "-d").out
    done = cli("down")
    assert (done.code, done.out) == (0, "")
    assert "stopped 'shop'; its data stays" in done.err
    assert "was not running" in cli("down").err
    assert cli("up", "-d").out == urls


def test_down_takes_globs_and_all(three: Cli) -> None:
    assert three("down", "shop-*").code == 0
    assert states(three) == {"blog": "running", "shop-a": "stopped", "shop-b": "stopped"}
    done = three("down", "--all", "--json")
    assert [each["was_running"] for each in done.json["data"]["stopped"]] == [True, False, False]


def test_down_of_a_name_without_a_match_stops_nothing(three: Cli) -> None:
    done = three("down", "blog", "nope-*")
    assert done.code == 1
    assert "There is no instance 'nope-*'" in done.error[0]
    assert states(three)["blog"] == "running"


def test_down_all_with_names_is_exit_2(cli: Cli) -> None:
    assert cli("down", "--all", "shop").code == 2


def test_down_all_of_nothing_is_fine(cli: Cli) -> None:
    assert cli("down", "--all").code == 0


def test_rm_off_a_terminal_wants_force_and_says_what_would_go(cli: Cli) -> None:
    cli("up", "-d")
    done = cli("rm", "shop")
    assert done.code == 2
    assert "'shop' (running)" in done.error[0]
    assert cli.env["DEVDB_DATA_DIR"] in done.error[0]
    assert done.error[1] == "  try: devdb rm --force shop"
    assert cli.markers() == ["shop"]


def test_rm_with_force_deletes(three: Cli) -> None:
    done = three("rm", "-f", "shop-*", "--json")
    assert done.code == 0
    assert [each["name"] for each in done.json["data"]["deleted"]] == ["shop-a", "shop-b"]
    assert three.markers() == ["blog"]


def test_rm_without_a_name_is_exit_2_even_with_force(cli: Cli) -> None:
    cli("up", "-d")
    assert cli("rm", "--force").code == 2
    assert cli.markers() == ["shop"]


@pytest.mark.parametrize(("answer", "code", "left"), [("y", 0, []), ("n", 1, ["shop"])])
def test_rm_asks_on_a_terminal(
    cli: Cli, terminal: Callable[..., Terminal], answer: str, code: int, left: list[str]
) -> None:
    cli("up", "-d")
    shown = terminal("rm", "shop")
    shown.wait_for("Delete? [y/N]")
    assert "'shop' (running)" in shown.text
    shown.type(f"{answer}\n")
    assert shown.end() == code
    assert cli.markers() == left


def test_rm_on_a_terminal_takes_the_end_of_input_for_a_no(
    cli: Cli, terminal: Callable[..., Terminal]
) -> None:
    cli("up", "-d")
    shown = terminal("rm", "shop")
    shown.wait_for("[y/N]")
    shown.type("\x04")
    assert shown.end() == 1
    assert cli.markers() == ["shop"]
