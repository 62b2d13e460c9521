"""Help, version, completion: what one finds without reading anything else."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from commandline import Cli, Done
from commandtree import GROUPS, TREE, Typed
from terminal import Terminal

from devdb import __version__
from devdb.cli import aliases, shells
from devdb.cli.app import SECTIONS
from devdb.cli.grammar import SUMMARY, summary
from devdb.model import UNOFFERED_ENGINES

COMMANDS = [name for section in SECTIONS.values() for name in section]
ALIASES = {
    **dict.fromkeys(("start", "open"), "up"),
    "stop": "down",
    **dict.fromkeys(("list", "ps"), "ls"),
    **dict.fromkeys(("destroy", "delete", "remove"), "rm"),
    **dict.fromkeys(("connect", "shell"), "psql"),
    **dict.fromkeys(("temp list", "temp ps"), "temp ls"),
    **dict.fromkeys(("temp rm", "temp remove", "temp delete", "temp destroy"), "temp drop"),
}


Inside = Callable[..., Done]


def path(typed: Typed) -> str:
    return typed.path


def test_devdb_alone_shows_the_help(inside: Inside) -> None:
    done = inside()
    assert (done.code, done.err) == (0, "")
    for words in (("--help",), ("-h",), ("help",), ("help", "help"), ("help", "--help")):
        assert inside(*words).out == done.out
    for name in COMMANDS:
        assert re.search(rf"^  {name}\s+\w", done.out, re.MULTILINE)


@pytest.mark.parametrize("word", ["--version", "-V", "version"])
def test_version(inside: Inside, word: str) -> None:
    assert inside(word).out == f"devdb {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(inside: Inside, command: str) -> None:
    done = inside(command, "-h")
    assert done.code == 0
    assert f"Usage: devdb {command}" in done.out
    assert inside("help", command).out == done.out


def test_help_in_front_of_words_is_the_help_behind_them(inside: Inside) -> None:
    shown = inside("temp", "claim", "--help").out
    assert inside("help", "temp", "claim").out == shown
    assert inside("temp", "help", "claim").out == shown
    assert inside("temp", "help").out == inside("temp", "--help").out
    wrong = inside("help", "temp", "clam")
    assert (wrong.code, wrong.error) == (
        2,
        ["error: devdb temp has no command 'clam'.", "  try: devdb temp claim"],
    )
    assert inside("help", "psql", "-c", "select 1").out == inside("psql", "--help").out


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_what_other_tools_call_it_is_the_command(inside: Inside, alias: str, name: str) -> None:
    shown = inside(*name.split(), "--help")
    assert inside(*alias.split(), "--help").out == shown.out
    assert inside("help", *alias.split()).out == shown.out


def test_the_commands_of_other_tools_work_with_all_options(cli: Cli, inside: Inside) -> None:
    assert inside("start", "-d", "-n", "blog", "--json").json["command"] == "up"
    assert [each["name"] for each in inside("ps", "--json").json["data"]["instances"]] == ["blog"]
    assert inside("list", "--json").json["command"] == "ls"
    assert cli("shell", "-n", "blog", "-c", "select 1").code == 0
    assert inside("stop", "--all", "--json").json["command"] == "down"
    assert inside("temp", "-n", "blog", "ps", "--json").code != 2
    assert inside("delete", "blog").code == 2  # asks, and nobody is there
    assert inside("destroy", "-f", "blog", "--json").json["command"] == "rm"
    assert cli.markers() == []


def test_open_opens_the_dashboard(cli: Cli, terminal: Callable[..., Terminal]) -> None:
    shown = terminal("open", columns=100)
    shown.wait_for("Quit & stop")
    shown.type("q")
    assert shown.end() == 0
    assert cli.markers() == ["shop"]


def test_what_other_tools_call_it_is_shown_nowhere(inside: Inside) -> None:
    for typed in GROUPS:
        words = re.findall(r"^  (\w+)  ", inside(*typed.words, "--help").out, re.MULTILINE)
        real = set(typed.command.list_commands(None))
        assert real <= set(words)
        hidden = set(typed.command.meanings(None)) - real
        assert {"list", "ps"} <= hidden
        assert hidden & set(words) == set()
        offered = set(completed(inside, *typed.words, ""))
        assert offered == real
    assert completed(inside, "sta") == ["status"]


@pytest.mark.parametrize("typed", TREE, ids=path)
def test_each_summary_is_whole_in_80_columns(inside: Inside, typed: Typed) -> None:
    said = summary(typed.command)
    if typed.words:  # what is the whole of it stands above everything, not in a list
        assert 10 < len(said) <= SUMMARY
        assert not said.endswith("...")
    shown = inside(*typed.words, "--help").out
    for line in shown.splitlines():
        assert len(line) <= 80, line
    if typed.is_group:
        for name in typed.command.list_commands(None):
            text = summary(typed.command.get_command(None, name))
            assert re.search(rf"^  {name} +{re.escape(text)}$", shown, re.MULTILINE)


def test_the_engine_that_is_for_tests_is_offered_nowhere(inside: Inside) -> None:
    for engine in UNOFFERED_ENGINES:
        for typed in TREE:
            assert engine not in inside(*typed.words, "--help").out
        assert engine not in inside("up", "--engine", "podman").err
        assert engine not in inside("ls", DEVDB_ENGINE="podman").err
        assert engine not in completed(inside, "up", "--engine", "")
        assert engine not in completed(inside, "up", "--engine", engine[:2])
        assert inside("up", "-d", "--engine", engine).code == 0


def completed(inside: Inside, *words: str) -> list[str]:
    """What bash would be offered for the last word."""
    done = inside(
        _DEVDB_COMPLETE="complete_bash",
        COMP_WORDS=" ".join(["devdb", *words]),
        COMP_CWORD=str(len(words)),
    )
    assert (done.code, done.err) == (0, "")
    return done.out.split()


def test_completion(inside: Inside) -> None:
    inside("up", "-d", "-n", "shop")
    inside("up", "-d", "-n", "blog")
    assert completed(inside, "url", "-n", "b") == ["blog"]
    assert completed(inside, "down", "") == ["blog", "shop"]
    assert completed(inside, "rm", "s") == ["shop"]
    assert completed(inside, "remove", "s") == ["shop"]
    assert completed(inside, "url", "--for", "asy") == ["asyncpg"]
    assert completed(inside, "env", "--preset", "her") == ["heroku"]
    assert "--pooled" in completed(inside, "url", "--p")
    assert completed(inside, "help", "temp", "c") == ["claim"]
    assert "temp" in completed(inside, "help", "")


@pytest.mark.parametrize("typed", GROUPS, ids=path)
def test_a_shell_shows_whole_summaries(inside: Inside, typed: Typed) -> None:
    done = inside(
        _DEVDB_COMPLETE="complete_fish",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
        _TYPER_COMPLETE_ARGS=f"{typed.path} ",
    )
    commands = typed.command.list_commands(None)
    wanted = {name: summary(typed.command.get_command(None, name)) for name in commands}
    assert dict(line.split("\t") for line in done.out.splitlines()) == wanted


@pytest.mark.parametrize("typed", TREE, ids=path)
def test_an_option_that_takes_a_choice_completes_it(inside: Inside, typed: Typed) -> None:
    for option in typed.options:
        if "|" in (option.metavar or ""):
            choices = option.metavar.strip("[]").split("|")
            assert completed(inside, *typed.words, option.opts[-1], "") == choices


def test_completion_of_unreadable_instances_offers_nothing(cli: Cli, inside: Inside) -> None:
    inside("up", "-d")
    cli.change_marker("shop", format=99)
    assert completed(inside, "down", "") == []
    assert completed(inside, "temp", "--from", "") == []
    assert completed(inside, "temp", "claim", "") == []


def test_completion_of_an_instance_that_does_not_answer_offers_nothing(inside: Inside) -> None:
    inside("up", "-d")
    for words in (("temp", "--from", ""), ("temp", "drop", ""), ("temp", "-n", "no", "claim", "")):
        assert completed(inside, *words) == []


@pytest.mark.parametrize("shell", shells.SHELLS)
def test_completion_scripts_are_printed_for_whom_they_are_asked(inside: Inside, shell: str) -> None:
    done = inside("--show-completion", shell)
    assert (done.code, done.err) == (0, "")
    assert "_DEVDB_COMPLETE" in done.out
    assert f"complete_{shell}" in done.out


def test_a_shell_is_detected_by_what_is_around(cli: Cli) -> None:
    command = " ".join([*cli.argv("--show-completion"), "; true"])
    run = subprocess.run(
        ["bash", "-c", command],
        env=cli.environment(SHELL="/usr/bin/fish"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "complete_bash" in run.stdout
    assert shells.detected(["python3", "-zsh", "sshd"], "/bin/bash") == "zsh"
    assert shells.detected(["pwsh.exe"], "") == "powershell"
    assert shells.detected(["python3", "sh", "init"], "/usr/bin/fish") == "fish"
    assert shells.detected(["python3", "sh"], "/bin/dash") is None


def test_a_shell_that_is_none_is_two_lines(inside: Inside) -> None:
    for flag in ("--show-completion", "--install-completion"):
        done = inside(flag, "bsah")
        assert done.code == 2
        assert done.error == [
            f"error: {flag}: 'bsah' is unknown.",
            "  try: Did you mean 'bash'? Known: bash, zsh, fish, powershell.",
        ]
    done = inside("--install-completion", "powershell")
    assert done.code == 2
    assert "devdb --show-completion powershell" in done.error[1]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_once_it_is_installed(cli: Cli, tmp_path: Path) -> None:
    home = Path(cli.env["HOME"])
    home.mkdir(exist_ok=True)
    (home / ".bashrc").write_text("export MINE=1")
    for _ in range(2):
        done = cli("--install-completion", "bash")
        assert (done.code, done.out) == (0, "")
        assert str(home) in done.err
    rc = (home / ".bashrc").read_text().splitlines()
    assert rc == ["export MINE=1", f"source {home}/.bash_completions/devdb.sh"]
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "devdb").write_text(f'#!/bin/sh\nexec {sys.executable} -m devdb "$@"\n')
    (programs / "devdb").chmod(0o755)
    script = """
        source ~/.bashrc
        COMP_WORDS=(devdb temp cl) COMP_CWORD=2 COMPREPLY=()
        $(complete -p devdb | sed 's/.*-F \\([^ ]*\\) .*/\\1/') devdb
        echo "${COMPREPLY[@]}"
    """
    ran = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=cli.project,
        env=cli.environment(PATH=f"{programs}:{cli.env['PATH']}"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert (ran.stdout, ran.stderr) == ("claim\n", "")


@pytest.mark.parametrize(
    ("shell", "file", "start"),
    [
        ("zsh", ".zfunc/_devdb", ".zshrc"),
        ("fish", ".config/fish/completions/devdb.fish", None),
    ],
)
def test_completion_is_put_where_the_shell_looks(
    cli: Cli, inside: Inside, shell: str, file: str, start: str | None
) -> None:
    home = Path(cli.env["HOME"])
    assert inside("--install-completion", shell).code == 0
    assert (home / file).read_text() == inside("--show-completion", shell).out
    if start is not None:
        assert "compinit" in (home / start).read_text()


def test_every_alias_is_of_a_command_that_is_there() -> None:
    known = {name for typed in GROUPS for name in typed.command.list_commands(None)}
    assert set(aliases.meanings(known).values()) == known
    assert {word for words in aliases.ALIASES.values() for word in words} & set(COMMANDS) == {"rm"}
    assert set(aliases.ALIASES) <= known
