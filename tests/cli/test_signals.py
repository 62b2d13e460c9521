"""Ctrl-C, a kill and a hang-up while an instance starts: undone, and exit 130."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable

import pytest
import world
from commandline import Cli
from terminal import Terminal

PACE = "1"
"""Seconds that each step of the fake engine takes."""


def until(process: subprocess.Popen[str], text: str) -> None:
    """Until the narration has that text."""
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    pytest.fail(f"{text!r} never came")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_undoes_a_new_instance(cli: Cli, number: signal.Signals) -> None:
    with world.inheriting(number, signal.SIG_DFL):
        process = cli.begin("up", "-d", DEVDB_FAKE_PACE=PACE)
    until(process, "prepare")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "cancelled the start of 'shop'" in err
    assert "Traceback" not in err
    assert cli.markers() == []


def test_more_signals_do_not_cut_the_undo_short(cli: Cli) -> None:
    process = cli.begin("up", "-d", DEVDB_FAKE_PACE=PACE)
    until(process, "prepare")
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert cli.markers() == []


def test_a_signal_keeps_an_instance_that_was_there(cli: Cli) -> None:
    url = cli("up", "-d").out
    cli("down")
    process = cli.begin("up", "-d", DEVDB_FAKE_PACE=PACE)
    until(process, "prepare")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert cli("up", "-d").out == url


def test_a_hang_up_that_was_ignored_stays_ignored(cli: Cli) -> None:
    with world.inheriting(signal.SIGHUP, signal.SIG_IGN):
        process = cli.begin("up", "-d", DEVDB_FAKE_PACE="0.3")
    until(process, "prepare")
    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert len(out.splitlines()) == 2


def test_ctrl_c_on_a_terminal(cli: Cli, terminal: Callable[..., Terminal]) -> None:
    shown = terminal("up", "-d", DEVDB_FAKE_PACE=PACE)
    shown.wait_for("postgres")
    shown.type("\x03")
    assert shown.end() == 130
    assert "cancelled the start of 'shop'" in shown.text
    assert "Traceback" not in shown.text
    assert cli.markers() == []


def test_kill_9_leaves_something_that_the_next_up_makes_whole(cli: Cli) -> None:
    process = cli.begin("up", "-d", DEVDB_FAKE_PACE=PACE)
    until(process, "prepare")
    process.kill()
    process.communicate(timeout=60)
    assert cli("up", "-d").code == 0
    assert cli("status").code == 0


def test_ten_at_once_make_one_instance(cli: Cli) -> None:
    processes = [cli.begin("up", "-d", DEVDB_FAKE_PACE="0.1") for _ in range(10)]
    results = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * 10
    assert len({out for out, _ in results}) == 1
    assert sum("created" in err for _, err in results) == 1
    assert cli.markers() == ["shop"]
