"""Which instance a command means, from the directory it is given in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from commandline import Cli
from terminal import Terminal


@pytest.fixture
def cli(inside: Cli) -> Cli:
    return inside


def project(cli: Cli, path: str) -> Path:
    directory = cli.project.parent / path
    directory.mkdir(parents=True)
    (directory / "pyproject.toml").touch()
    return directory


def name_in(cli: Cli, directory: Path) -> str:
    name: str = cli("up", "--json", cwd=directory).json["data"]["instance"]["name"]
    return name


def test_two_projects_of_one_name_get_an_instance_each(cli: Cli) -> None:
    first, second = project(cli, "a/app"), project(cli, "b/app")
    assert name_in(cli, first) == "app"
    other = name_in(cli, second)
    assert other.startswith("app-")
    assert len(other) == len("app-") + 4
    assert name_in(cli, first) == "app"
    assert name_in(cli, second) == other
    assert cli("url", cwd=first).out != cli("url", cwd=second).out


@pytest.mark.parametrize(
    ("directory", "name"),
    [
        ("a b", "a-b"),
        ("Größe", "groe"),
        ("日本", "project"),
        ("pgbouncer", "pgbouncer"),
        ("..x", "x"),
        ("x" * 200, "x" * 40),
        ("$(touch pwned)", "touch-pwned"),
        ("-rf", "rf"),
    ],
)
def test_a_directory_of_any_name_makes_a_name(cli: Cli, directory: str, name: str) -> None:
    here = project(cli, directory)
    assert name_in(cli, here) == name
    assert cli("status", cwd=here).code == 0
    assert list(here.iterdir()) == [here / "pyproject.toml"]


def test_a_directory_below_belongs_to_the_project(cli: Cli) -> None:
    url = cli("up", "-d").out.splitlines()[0]
    below = cli.project / "src" / "deep"
    below.mkdir(parents=True)
    assert cli("url", cwd=below).out.strip() == url


def test_a_name_is_taken_from_any_directory(cli: Cli, tmp_path: Path) -> None:
    url = cli("up", "-d", "-n", "other").out.splitlines()[0]
    assert cli("url", "-n", "other", cwd=tmp_path).out.strip() == url


def test_a_project_that_vanished_is_an_error_off_a_terminal(cli: Cli) -> None:
    cli("up", "-d")
    moved = cli.project.rename(cli.project.with_name("elsewhere"))
    again = project(cli, "new/shop")
    done = cli("up", "-d", cwd=again)
    assert done.code == 1
    assert f"Instance 'shop' belongs to {cli.project}, which is gone." in done.error[0]
    assert "devdb up -n shop" in done.error[1]
    assert cli("up", "-d", "-n", "shop", cwd=moved).code == 0
    assert cli("status", "--json", cwd=moved).json["data"]["project"] == str(moved)


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1)])
def test_on_a_terminal_it_can_be_adopted(
    cli: Cli, terminal: Callable[..., Terminal], answer: str, code: int
) -> None:
    cli("up", "-d")
    old = cli("url").out.strip()
    cli.project.rename(cli.project.with_name("elsewhere"))
    cli.project.with_name("again").mkdir()
    again = project(cli, "again/shop")
    shown = terminal("up", "-d", cwd=again)
    shown.wait_for(f"Take it over for {again}? [y/N]")
    shown.type(f"{answer}\n")
    assert shown.end() == code
    if answer == "y":
        assert old in shown.text
        assert cli("url", cwd=again).out.strip() == old
    else:
        assert "which is gone" in shown.text


def test_up_means_the_only_instance_of_a_project_and_names_the_other(cli: Cli) -> None:
    url = cli("up", "-d", "-n", "pg16").out
    done = cli("up", "-d")
    assert done.out == url
    assert f"'pg16' is the only instance of {cli.project}" in done.err
    assert "devdb up -n shop" in done.err
    assert cli.markers() == ["pg16"]
    assert cli("url").err == ""
    assert cli("up", "-d", "-n", "shop").out != url
    own = cli("up", "-d")
    assert "only instance" not in own.err
    assert "attached to 'shop'" in own.err


@pytest.mark.parametrize("command", ["up -d", "url", "env", "temp"])
def test_of_several_instances_none_is_guessed(cli: Cli, command: str) -> None:
    for name in ("pg15", "pg16"):
        cli("up", "-d", "-n", name)
    done = cli(*command.split())
    assert done.code == 2
    assert "pg15, pg16" in done.error[0]
    assert "-n pg15" in done.error[1]
    assert "devdb up -n shop" in done.error[1]
    assert cli.markers() == ["pg15", "pg16"]


def test_a_second_instance_of_a_project_does_not_change_its_default(cli: Cli) -> None:
    cli("up", "-d")
    cli("up", "-d", "-n", "pg16")
    assert cli("status", "--json").json["data"]["name"] == "shop"


@pytest.fixture
def monorepo(cli: Cli) -> Path:
    """The project as a repository with packages in it."""
    (cli.project / ".git").mkdir()
    for package in ("apps/web", "api", "libs/core"):
        (cli.project / package).mkdir(parents=True)
        (cli.project / package / "package.json").write_text("{}")
    return cli.project


def test_in_a_package_the_instance_around_it_is_meant_and_said(cli: Cli, monorepo: Path) -> None:
    url = cli("up", "-d").out
    for package in ("apps/web", "api"):
        below = monorepo / package / "src"
        below.mkdir()
        done = cli("url", cwd=below)
        assert (done.code, done.out) == (0, url.splitlines()[0] + "\n")
        assert f"in {package} the instance of {monorepo} is meant" in done.err
    assert cli("up", "-d", cwd=monorepo / "api").out == url
    assert cli("url", "-n", "shop", cwd=monorepo / "api").err == ""
    assert cli.markers() == ["shop"]


def test_a_settings_file_around_a_package_is_meant_before_there_is_an_instance(
    cli: Cli, monorepo: Path
) -> None:
    (monorepo / "apps" / "devdb.toml").write_text('name = "frontends"')
    done = cli("up", "-d", cwd=monorepo / "apps" / "web")
    assert done.code == 0
    assert cli.markers() == ["frontends"]
    assert cli("up", "-d", cwd=monorepo / "api").code == 0
    assert cli.markers() == ["api", "frontends"]


def test_a_package_with_a_settings_file_or_an_instance_is_one_of_its_own(
    cli: Cli, monorepo: Path
) -> None:
    cli("up", "-d", cwd=monorepo / "api")  # there was none around it then
    root = cli("up", "-d").out
    (monorepo / "apps" / "web" / "devdb.toml").touch()
    for package in ("api", "apps/web"):
        done = cli("up", "-d", cwd=monorepo / package)
        assert done.out != root
        assert "is meant" not in done.err
    assert cli.markers() == ["api", "shop", "web"]


def test_nothing_around_a_repository_is_meant(cli: Cli, monorepo: Path) -> None:
    """A home directory can have an instance, and a submodule is a repository of its own."""
    cli("up", "-d", cwd=monorepo.parent)
    assert cli("url").code == 1
    cli("up", "-d")
    (monorepo / "libs" / "core" / ".git").write_text("gitdir: ../../.git/modules/core")
    assert cli("url", cwd=monorepo / "libs" / "core").code == 1


def test_a_quiet_temp_says_that_it_made_an_instance(cli: Cli) -> None:
    """The fake engine has no databases: what is said before is what counts here."""
    cli("up", "-d", "-n", "shop")
    done = cli("temp", "-q", "-n", "shpo")
    assert "created the instance 'shpo' beside 'shop', which stays" in done.err
    assert "devdb rm shpo" in done.err


@pytest.mark.parametrize("command", ["url", "psql", "status", "env", "logs", "down", "rm -f"])
def test_a_name_that_is_nearly_one_is_told(cli: Cli, command: str) -> None:
    cli("up", "-d", "-n", "billing")
    done = cli(*command.split(), "-n", "biling")
    assert done.code == 1
    assert done.error[0] == "error: There is no instance 'biling'."
    assert "Did you mean 'billing'? devdb up -n biling makes it." in done.error[1]


def test_a_settings_file_that_names_the_instance_of_another_project_is_told(cli: Cli) -> None:
    cli("up", "-d")
    other = project(cli, "other")
    (other / "devdb.toml").write_text('name = "shop"')
    done = cli("url", cwd=other)
    assert done.code == 0
    assert f"devdb.toml names 'shop', the instance of {cli.project}" in done.err
    assert cli("url").err == ""
