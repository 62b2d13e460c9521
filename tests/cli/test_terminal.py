"""`devdb up` on a terminal: the dashboard, and the line that is rewritten."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from commandline import Cli
from terminal import Terminal


@pytest.mark.parametrize(("key", "state"), [("d", "running"), ("q", "stopped")])
def test_the_dashboard_opens_and_is_left(
    cli: Cli, terminal: Callable[..., Terminal], key: str, state: str
) -> None:
    shown = terminal("up", columns=120)
    shown.wait_for("127.0.0.1")
    shown.type(key)
    assert shown.end() == 0
    assert cli("ls", "--json").json["data"]["instances"][0]["state"] == state


def test_env_is_written_before_the_dashboard_opens(
    cli: Cli, terminal: Callable[..., Terminal]
) -> None:
    shown = terminal("up", "--env", ".env", columns=120)
    shown.wait_for("127.0.0.1")
    shown.type("d")
    assert shown.end() == 0
    assert "DATABASE_URL=" in (cli.project / ".env").read_text()


def test_with_detach_a_step_under_way_is_one_line_that_is_rewritten(
    terminal: Callable[..., Terminal],
) -> None:
    shown = terminal("up", "-d", columns=40, DEVDB_FAKE_PACE="0.6")
    assert shown.end() == 0
    assert "\r\x1b[K  prepare    data directory" in shown.text
    last = [line.rpartition("\r\x1b[K")[2] for line in shown.text.split("\n")]
    assert sum(line.startswith("  prepare") for line in last) == 1


def test_a_dumb_terminal_gets_no_control_sequence(terminal: Callable[..., Terminal]) -> None:
    shown = terminal("up", "-d", TERM="dumb", DEVDB_FAKE_PACE="0.3")
    assert shown.end() == 0
    assert "\x1b" not in shown.text


@pytest.mark.parametrize(
    "words", ["up", "up -d", "status", "ls", "logs", "doctor", "url --copy", "env", "url -n nope"]
)
def test_a_dumb_terminal_gets_text_alone(
    cli: Cli, terminal: Callable[..., Terminal], words: str
) -> None:
    cli("up", "-d")
    shown = terminal(*words.split(), columns=200, TERM="dumb", SSH_CONNECTION="a 1 b 2")
    shown.end()
    assert shown.text
    assert "\x1b" not in shown.text


@pytest.mark.parametrize("words", ["up -d", "status", "ls", "logs", "doctor", "url -n nope"])
def test_no_color_is_heeded(cli: Cli, terminal: Callable[..., Terminal], words: str) -> None:
    cli("up", "-d")
    shown = terminal(*words.split(), columns=200, NO_COLOR="1")
    shown.end()
    assert re.findall(r"\x1b\[[\d;]*m", shown.text) == []


def test_a_dumb_terminal_gets_the_urls_and_no_dashboard(
    cli: Cli, terminal: Callable[..., Terminal]
) -> None:
    shown = terminal("up", columns=200, TERM="dumb")
    assert shown.end() == 0
    direct, pooled = cli("up", "-d").out.splitlines()
    assert shown.text.splitlines()[-2:] == [direct, pooled]
