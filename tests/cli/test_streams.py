"""stdout is data, stderr is narration, whatever the streams and the locale are like."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from commandline import Cli, Done, ended


def piped(cli: Cli, script: str, **env: str) -> Done:
    """A line of shell, with `devdb` in it."""
    command = " ".join(cli.argv())
    argv = ["bash", "-o", "pipefail", "-c", script.replace("devdb", command)]
    return ended(argv, cwd=cli.project, env=cli.environment(**env))


def test_a_reader_that_goes_away_is_no_error(cli: Cli) -> None:
    cli("up", "-d")
    done = piped(cli, "devdb logs -f | head -n 1")
    assert done.out.strip() == "postgres            postgres is ready"
    assert done.err == ""


def test_a_reader_of_the_narration_that_goes_away_does_not_stop_the_start(cli: Cli) -> None:
    done = piped(cli, "devdb up -d 2> >(head -n 1 >/dev/null)", DEVDB_FAKE_PACE="0.3")
    assert done.code == 0
    assert len(done.out.splitlines()) == 2


def test_a_full_disk_behind_stdout_is_an_error_in_two_lines(cli: Cli) -> None:
    cli("up", "-d")
    done = piped(cli, "devdb url >/dev/full")
    assert done.code == 1
    assert len(done.err.splitlines()) == 2
    assert "No space left" in done.err


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams_are_no_error(cli: Cli, closed: str) -> None:
    cli("up", "-d")
    assert piped(cli, f"devdb url {closed}").code == 0


@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
)
def test_a_locale_without_the_characters_is_no_error(cli: Cli, locale: dict[str, str]) -> None:
    project = cli.project.with_name("größe-日本")
    project.mkdir()
    (project / "pyproject.toml").touch()
    assert cli("up", "-d", cwd=project, **locale).code == 0
    assert cli("status", cwd=project, **locale).code == 0
    data = cli("ls", "--json", cwd=project, **locale).json["data"]
    assert data["instances"][0]["project"] == str(project)


def test_a_directory_name_that_is_no_utf8_is_no_error(cli: Cli) -> None:
    project = Path(str(cli.project.with_name("caf")) + "\udce9")
    project.mkdir()
    (project / "pyproject.toml").touch()
    assert cli("up", "-d", cwd=project).code == 0
    assert cli("status", cwd=project).code == 0
    assert cli("ls", "--json", cwd=project).json["data"]["instances"][0]["project"] == str(project)


def test_a_bug_is_two_lines_and_a_traceback_only_on_demand(cli: Cli) -> None:
    broken = replace(cli, env={**cli.env, "DEVDB_FAKE_PACE": "not a number"})
    done = broken("up", "-d")
    assert done.code == 1
    assert len(done.err.splitlines()) == 2
    assert "This is a bug in devdb: ValueError" in done.error[0]
    assert "DEVDB_DEBUG=1" in done.error[1]
    assert "Traceback" in broken("up", "-d", DEVDB_DEBUG="1").err


def test_a_current_directory_that_is_gone_is_an_error(cli: Cli) -> None:
    done = piped(cli, "mkdir gone && cd gone && rmdir ../gone && devdb status")
    assert done.code == 1
    assert "current directory is gone" in done.err


def test_no_home_is_no_error(cli: Cli) -> None:
    assert cli("up", "-d", HOME=None).code == 0
    assert cli("url", HOME=None).code == 0


def test_no_home_of_an_ordinary_user_is_two_lines(unprivileged: Cli) -> None:
    done = unprivileged("up", "-d", HOME="/nonexistent", DEVDB_DATA_DIR=None)
    assert done.code == 1
    assert len(done.error) == 2
    assert "/nonexistent" in done.error[0]
    assert "DEVDB_DATA_DIR" in done.error[1]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become a user who is not there")
@pytest.mark.parametrize("command", ["up", "ls", "doctor"])
def test_a_user_without_home_and_passwd_entry_is_told_what_to_set(
    unprivileged: Cli, home: Path, command: str
) -> None:
    prefix = ("setpriv", "--reuid=54321", "--clear-groups")
    nowhere = ("HOME", "DEVDB_DATA_DIR", "DEVDB_CACHE_DIR")
    env = {key: value for key, value in unprivileged.env.items() if key not in nowhere}
    nobody = replace(unprivileged, prefix=prefix, env=env)
    done = nobody(command)
    assert done.code == 1
    assert done.out == ""
    assert "uid 54321 has no passwd entry" in done.error[0]
    assert "DEVDB_DATA_DIR" in done.error[1]
    shutil.chown(home, 54321)
    assert nobody(command, DEVDB_DATA_DIR=str(home)).code == 0
