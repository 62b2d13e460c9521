"""`devdb doctor --fix` and `devdb up --fix`: what is missing is got, by somebody's consent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import available
import psycopg
import pytest
import world
from commandline import Cli
from terminal import Terminal

from devdb.engines.native import binaries, missing


@pytest.fixture
def bare(cli: Cli, tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Cli]:
    """A machine with a Postgres and no PgBouncer, whose package manager can install one."""
    if reason := available.why_not("native"):
        pytest.skip(f"native engine: {reason}")
    pooler = binaries.pooler().path
    if pooler.parent in map(Path, binaries.POOLER_PLACES):
        pytest.skip(f"devdb finds {pooler} without PATH")
    path, installed, system = (tmp_path / name for name in ("path", "installed", "system"))
    path.mkdir()
    system.mkdir()
    for program in Path("/bin").iterdir():
        if program.name not in ("apt-get", "pgbouncer", *missing.MANAGERS):
            (system / program.name).symlink_to(program)
    # Homebrew refuses root, dnf needs it.
    manager = path / ("dnf" if os.geteuid() == 0 else "brew")
    copy = f"{shutil.which('cp')} -R {pooler.parent.parent} {installed}"
    manager.write_text(f'#!/bin/sh\n[ "$1 $2" = "install pgbouncer" ] || shift\n{copy}\n')
    manager.chmod(0o755)
    cache = world.new_directory("cache")
    for kept in Path(os.environ["DEVDB_CACHE_DIR"]).iterdir():
        if kept.name != "pgbouncer":
            (cache / kept.name).symlink_to(kept)
    env = {
        **cli.env,
        "DEVDB_ENGINE": "native",
        "DEVDB_PG_BIN": str(binaries.postgres(None, data=None).directory),
        "DEVDB_CACHE_DIR": str(cache),
        "DEVDB_PORT": str(free_port()),
        "DEVDB_POOL_PORT": str(free_port()),
        "PATH": f"{path}{os.pathsep}{installed}/bin{os.pathsep}{system}",
    }
    bare = replace(cli, env=env)
    yield bare
    assert bare("rm", "--force", *bare.markers()).code == 0 or not bare.markers()
    world.eventually(lambda: not world.mentioning(cache), "nobody is at work in the cache")
    shutil.rmtree(cache)


@pytest.fixture
def on_terminal(bare: Cli) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_one(*args: str) -> Terminal:
        opened.append(bare.on_terminal(*args, columns=120))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


def works(urls: str) -> bool:
    """Whether both URLs, the last two lines, answer."""
    for url in urls.split()[-2:]:
        with psycopg.connect(url, prepare_threshold=None) as connection:
            connection.execute("SELECT 1")
    return True


def test_off_a_terminal_up_gets_nothing_and_names_the_command(bare: Cli) -> None:
    done = bare("up", "-d")
    assert (done.code, done.out) == (3, "")
    assert done.error[0] == "error: There is no PgBouncer on this machine."
    assert done.error[1].startswith("  try: Get it: devdb up --fix;")
    assert bare.markers() == []


def test_with_the_option_up_gets_it_unasked(bare: Cli) -> None:
    done = bare("up", "-d", "--fix")
    assert done.code == 0, done.err
    assert "  install    PgBouncer, by " in done.err
    assert works(done.out)
    again = bare("up", "-d", "--fix")
    assert again.code == 0
    assert "install" not in again.err


@pytest.mark.parametrize("answer", ["y", "n"])
def test_on_a_terminal_up_asks(
    bare: Cli, on_terminal: Callable[..., Terminal], answer: str
) -> None:
    shown = on_terminal("up", "-d")
    shown.wait_for("[y/N] ")
    assert "There is no PgBouncer on this machine." in shown.text
    assert " pgbouncer. Get it now?" in shown.text
    shown.type(f"{answer}\n")
    assert shown.end() == (0 if answer == "y" else 3)
    assert bare.markers() == ([bare.name] if answer == "y" else [])
    if answer == "y":
        assert works(bare("up", "-d").out)


def test_the_dashboard_asks_too(bare: Cli, on_terminal: Callable[..., Terminal]) -> None:
    shown = on_terminal("up")
    shown.wait_for("Get it now?")
    shown.type("y")
    shown.wait_for("127.0.0.1")
    shown.type("d")
    assert shown.end() == 0
    assert works(bare("up", "-d").out)


def test_an_instance_whose_pooler_is_gone_is_offered_it_by_whoever_starts_it(
    bare: Cli, on_terminal: Callable[..., Terminal]
) -> None:
    assert bare("up", "-d", "--fix").code == 0
    assert bare("down").code == 0
    shutil.rmtree(Path(bare.env["PATH"].split(os.pathsep)[1]).parent)
    shutil.rmtree(Path(bare.env["DEVDB_CACHE_DIR"]))
    shown = on_terminal("psql", "-Atc", "SELECT 40 + 2")
    shown.wait_for("[y/N] ")
    shown.type("y\n")
    assert shown.end() == 0, shown.text
    assert "42" in shown.text


def test_doctor_says_what_it_would_get_and_gets_it_for_who_says_yes(
    bare: Cli, on_terminal: Callable[..., Terminal]
) -> None:
    before = bare("doctor", "--json").json["data"]
    [remedy] = before["remedies"]
    assert remedy["subject"] == "PgBouncer"
    assert remedy["how"] in bare("doctor").out
    refused = bare("doctor", "--fix")
    assert refused.code == 2
    assert remedy["how"] in refused.err
    assert refused.error[0] == "error: This gets programs, and nobody can be asked here."
    assert refused.error[1] == "  try: devdb doctor --fix --yes"
    shown = on_terminal("doctor", "--fix")
    shown.wait_for("Go on? [y/N] ")
    shown.type("\n")
    assert shown.end() == 1
    assert "Nothing was changed." in shown.text
    assert bare("doctor", "--json").json["data"]["remedies"] == before["remedies"]
    done = bare("doctor", "--fix", "--yes", "--json")
    assert done.code == 0, done.out
    assert done.json["data"]["fixed"] == [f"PgBouncer, by {remedy['how']}"]
    assert done.json["data"]["remedies"] == []
    again = bare("doctor", "--fix")
    assert (again.code, again.err) == (
        0,
        "nothing is missing, or too old, that devdb can get here\n",
    )


def test_a_command_that_fails_is_told_in_its_own_words(bare: Cli) -> None:
    manager = next(Path(bare.env["PATH"].split(os.pathsep)[0]).iterdir())
    manager.write_text("#!/bin/sh\necho resolving\necho 'error: no such package' >&2\nexit 7\n")
    for words in (("up", "-d", "--fix"), ("doctor", "--fix", "--yes")):
        done = bare(*words)
        assert done.code == 1
        assert done.error[0].endswith("PgBouncer could not be had: error: no such package.")
    assert bare.markers() == []
