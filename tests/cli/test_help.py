"""Help, version, completion: what one finds without reading anything else."""

from __future__ import annotations

import re
import subprocess

import pytest
from commandline import Cli

from devdb import __version__
from devdb.cli.app import SECTIONS

COMMANDS = [name for section in SECTIONS.values() for name in section]


def test_devdb_alone_shows_the_help(cli: Cli) -> None:
    done = cli()
    assert (done.code, done.err) == (0, "")
    assert cli("--help").out == done.out
    for name in COMMANDS:
        assert re.search(rf"^  {name}\s+\w", done.out, re.MULTILINE)


def test_version(cli: Cli) -> None:
    assert cli("--version").out == f"devdb {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(cli: Cli, command: str) -> None:
    done = cli(command, "-h")
    assert done.code == 0
    assert f"Usage: devdb {command}" in done.out


@pytest.mark.parametrize(
    ("typed", "meant"), [("statsu", "devdb status"), ("strat", "devdb "), ("xyzzy", "devdb --help")]
)
def test_an_unknown_command_is_exit_2_with_the_likeliest(cli: Cli, typed: str, meant: str) -> None:
    done = cli(typed)
    assert done.code == 2
    assert done.error[0] == f"error: There is no command '{typed}'."
    assert done.error[1].startswith(f"  try: {meant}")


def completed(cli: Cli, *words: str) -> list[str]:
    """What bash would be offered for the last word."""
    done = subprocess.run(
        cli.argv(),
        cwd=cli.project,
        env=cli.environment(
            _DEVDB_COMPLETE="complete_bash",
            COMP_WORDS=" ".join(["devdb", *words]),
            COMP_CWORD=str(len(words)),
        ),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.split()


def test_completion(cli: Cli) -> None:
    cli("up", "-d", "-n", "shop")
    cli("up", "-d", "-n", "blog")
    assert "status" in completed(cli, "sta")
    assert completed(cli, "url", "-n", "b") == ["blog"]
    assert completed(cli, "down", "") == ["blog", "shop"]
    assert completed(cli, "rm", "s") == ["shop"]
    assert completed(cli, "url", "--for", "asy") == ["asyncpg"]
    assert completed(cli, "env", "--preset", "her") == ["heroku"]
    assert completed(cli, "up", "--engine", "n") == ["native"]
    assert "--pooled" in completed(cli, "url", "--p")


def test_completion_of_unreadable_instances_offers_nothing(cli: Cli) -> None:
    cli("up", "-d")
    cli.change_marker("shop", format=99)
    assert completed(cli, "down", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(cli: Cli, shell: str) -> None:
    done = cli("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert done.code == 0
    assert "_DEVDB_COMPLETE" in done.out
