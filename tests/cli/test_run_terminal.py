"""`devdb run` on a terminal: keys, job control, programs that draw, a terminal that goes away."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commandline import Cli
from inside import Inside
from terminal import Terminal

from devdb.model import Spec

SIGNALS = Path(__file__).with_name("signals.py")

pytestmark = pytest.mark.parametrize("shared", ["native"], indirect=True)


@pytest.fixture
def begin(borrowed: Cli, running: Spec) -> Iterator[Callable[..., Terminal]]:
    """Starts a program on a terminal of its own; what still runs at the end is ended."""
    opened: list[Terminal] = []

    def begin_one(*argv: str, **changes: str) -> Terminal:
        env = {**borrowed.env, **changes}
        opened.append(Terminal(list(argv), cwd=borrowed.project, env=env, columns=200))
        return opened[-1]

    yield begin_one
    for each in opened:
        each.close()
    assert Inside(running).entries() == {}


def test_keys_reach_the_command_once_and_not_devdb(
    borrowed: Cli, begin: Callable[..., Terminal]
) -> None:
    shown = begin(*borrowed.argv("run", "--temp", "--", "python3", str(SIGNALS)))
    shown.wait_for("\n")
    for key, number in (("\x03", 2), ("\x1c", 3), ("\x03", 2), ("\x1a", 20)):
        shown.text = ""
        shown.type(key)
        shown.wait_for(f"{number} from 0\n")
        # What devdb passed on of the key would come before what it passes on now.
        os.kill(shown.process.pid, signal.SIGUSR1)
        shown.wait_for(f"10 from {shown.process.pid}\n")
        assert shown.text.count(" from ") == 2
    os.kill(shown.process.pid, signal.SIGTERM)
    assert shown.end() == 128 + signal.SIGTERM


def test_a_job_is_stopped_and_goes_on_with_its_command(
    borrowed: Cli, begin: Callable[..., Terminal]
) -> None:
    shell = begin("bash", "--norc", "--noprofile", "-i", PS1="$ ", TERM="dumb")
    run = f"{' '.join(borrowed.argv('run', '--temp'))} -- "

    def ask(line: str, answer: str) -> None:
        shell.text = ""
        shell.type(line)
        shell.wait_for(answer)

    # A child of the command's might be stopped later than that, and read what is meant for bash.
    ask(f"{run} sh -c 'echo \"up\"; exec cat'\n", "\nup\n")
    ask("one\n", "one\none\n")
    ask("\x1a", "Stopped")
    ask("fg\n", "cat'\n")
    ask("two\n", "two\ntwo\n")
    ask("\x04", "$ ")
    ask('echo "status=$?"\n', "\nstatus=0\n")
    # Stopped by itself, and without a key.
    ask(f"{run} sh -c 'kill -STOP $$; echo \"woken\"; exit 4'\n", "Stopped")
    ask("fg\n", "\nwoken\n")
    ask('echo "status=$?"\n', "\nstatus=4\n")
    # In the background it may not read; in the foreground it may.
    ask("set -b\n", "$ ")
    ask(f"{run} cat &\n", "Stopped")
    ask("fg\n", "cat\n")
    ask("three\n", "three\nthree\n")
    ask("\x03", "$ ")
    ask('echo "status=$?"\n', "\nstatus=130\n")
    ask("exit\n", "exit\n")
    assert shell.end() == 0


@pytest.mark.skipif(shutil.which("less") is None, reason="needs less")
@pytest.mark.parametrize("options", [[], ["--temp"]])
def test_a_program_that_draws(
    borrowed: Cli, begin: Callable[..., Terminal], options: list[str]
) -> None:
    (borrowed.project / "text").write_text("".join(f"line {n}\n" for n in range(1000)))
    shown = begin(*borrowed.argv("run", *options, "--", "less", "text"))
    shown.wait_for("line 22")
    shown.type("G")
    shown.wait_for("line 999")
    shown.type("q")
    assert shown.end() == 0


def test_the_modes_that_a_killed_command_left_are_put_back(
    borrowed: Cli, begin: Callable[..., Terminal]
) -> None:
    script = 'stty raw -echo; echo "raw"; read -r _; kill -9 $$'
    shown = begin(*borrowed.argv("run", "--temp", "--", "sh", "-c", script))
    before = shown.modes()
    shown.wait_for("raw")
    assert shown.modes() != before
    shown.type("\n")
    assert shown.process.wait(timeout=60) == 128 + signal.SIGKILL
    assert shown.modes() == before


def test_a_terminal_that_is_closed_hangs_up_the_command_and_nothing_is_left(
    borrowed: Cli, begin: Callable[..., Terminal], running: Spec
) -> None:
    script = 'trap "echo hung up >> said; exit" HUP; echo "up"; while :; do sleep 0.02; done'
    shown = begin(*borrowed.argv("run", "--temp", "--", "sh", "-c", script))
    shown.wait_for("up")
    shown.hang_up()
    shown.process.wait(timeout=60)
    assert (borrowed.project / "said").read_text() == "hung up\n"
    assert Inside(running).entries() == {}
