"""The parts of `scripts/first-minute`: a terminal that is typed at, and pip's settings carried."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from system import reach
from system.shell import CommandFailed
from system.terminal import Answer, Terminal

LISTING = r"""
:env:.cert='/from/a/variable'
global.extra-index-url='file:///srv/index/simple\nfile:///srv/more/simple'
global.timeout='15'
install.no-compile='true'
""".strip()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal(["bash", "--noprofile", "--norc"], owner=os.getuid())
    terminal.set_up()
    yield terminal
    terminal.close()


def ask(terminal: Terminal, line: str, *answers: Answer) -> tuple[int, str]:
    said = terminal.ask(line, *answers, patience=60)
    return said.code, said.text


def test_a_line_has_its_exit_code_and_what_it_said(terminal: Terminal) -> None:
    assert ask(terminal, "echo one; echo two >&2; (exit 7)") == (7, "one\ntwo\n")
    assert ask(terminal, r"printf '\e[1mbold\e[0m\n'") == (0, "bold\n")
    assert ask(terminal, "[ -t 0 ] && [ -t 1 ] && stty size") == (0, "40 120\n")


def test_a_new_shell_tells_it_too(terminal: Terminal) -> None:
    assert ask(terminal, "exec bash --noprofile --norc") == (0, "")
    assert ask(terminal, "false") == (1, "")


def test_questions_are_answered_in_turn_and_marks_may_be_missed(terminal: Terminal) -> None:
    questions = "read -rp 'first? ' a; read -rp 'second? ' b; echo $a-$b"
    answers = Answer("first?", "y\n"), Answer("never shown", ""), Answer("second?", "n\n")
    said = terminal.ask(questions, *answers, patience=60)
    assert said.text.splitlines()[-1] == "y-n"
    assert said.answered == sorted(said.answered)
    assert len(said.answered) == 3


def test_a_line_that_does_not_end_is_told_with_what_it_said(terminal: Terminal) -> None:
    with pytest.raises(CommandFailed, match=r"(?s)`read.*` came to no end:.*and then"):
        terminal.ask("read -rp 'and then '", patience=0.5)


def test_pip_reads_what_was_carried(tmp_path: Path) -> None:
    settings = reach.parse_pip_settings(LISTING)
    file = tmp_path / "pip.conf"
    file.write_text(reach.pip_conf(settings))
    command = [sys.executable, "-m", "pip", "config", "list"]
    env = {"PIP_CONFIG_FILE": str(file), "HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path)}
    listed = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    carried = reach.parse_pip_settings(listed)
    assert {name: value.split() for name, value in carried.items() if name in settings} == {
        name: value.split() for name, value in settings.items()
    }
    assert "global.cert" not in settings


def test_local_indexes_are_shown_to_the_root_with_what_lies_beside_them(tmp_path: Path) -> None:
    index, wheels, file = tmp_path / "index/simple", tmp_path / "wheels", tmp_path / "constraints"
    for directory in (index, wheels):
        directory.mkdir(parents=True)
    file.touch()
    values = [f"{index.as_uri()} {wheels}", str(file), str(tmp_path / "gone"), "15", "wheels"]
    assert reach.places(values) == sorted([index.parent, wheels, file])


def test_only_what_reaches_packages_is_carried_of_the_environment() -> None:
    carried = {
        "PIP_INDEX_URL": "i",
        "UV_FIND_LINKS": "f",
        "https_proxy": "p",
        "NO_PROXY": "n",
        "SSL_CERT_FILE": "s",
        "REQUESTS_CA_BUNDLE": "r",
    }
    others = {"DOCKER_HOST": "d", "PGHOST": "h", "HOME": "/", "DEVDB_PG": "17", "PIPE": "x"}
    assert reach.environment(carried | others) == carried
