"""Ctrl-C at each step of a start, READY among them: what is said of the instance is so."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType

import pytest
import world
from commandline import Cli, ended

from devdb import marker
from devdb.engines.fake import FakeEngine
from devdb.model import Step

SIGNALLED = """
import os, signal, sys
from devdb.workspace import up
from devdb.cli.boundary import main
run = up.up
wanted, number = sys.argv[1], int(sys.argv[2])
del sys.argv[1:3]

def watched(*arguments, **rest):
    pending = {wanted}  # a step that lasts is told again and again
    for item in run(*arguments, **rest):
        name = item.step.value if hasattr(item, "step") else "end"
        if name in pending:
            pending.clear()
            os.kill(os.getpid(), number)
        yield item

up.up = watched
main()
"""
"""A devdb that gets a signal right before it is told of that step."""
STEPS = [step.value for step in Step if step not in (Step.WAIT, Step.PULL, Step.INSTALL)]
LATE = (Step.READY.value, "end")


def signalled(
    cli: Cli, step: str, number: int = signal.SIGINT, env: Mapping[str, str] = MappingProxyType({})
) -> tuple[int, str, str]:
    argv = [sys.executable, "-c", SIGNALLED, step, str(int(number)), "up", "-d"]
    done = ended(argv, cwd=cli.project, env={**cli.env, **env})
    return done.code, done.out, done.err


def state() -> str:
    server = FakeEngine().find("shop")
    if server is None:
        return "nothing"
    return "running" if server.running else "stopped" if server.stopped else "degraded"


@pytest.mark.parametrize("step", [*STEPS, "end"])
def test_a_new_one_is_gone_again(cli: Cli, step: str, free_port: Callable[[], int]) -> None:
    port = free_port()
    env = {"DEVDB_HTTP_PORT": str(port)} if step == Step.HTTP else {}
    code, out, err = signalled(cli, step, env=env)
    assert (code, out) == (130, "")
    assert err.endswith("cancelled the start of 'shop'\n")
    assert "created" not in err
    assert (state(), cli.markers()) == ("nothing", [])
    assert not world.listening(port)


@pytest.mark.parametrize("step", [Step.PREPARE.value, *LATE])
def test_one_that_was_stopped_is_stopped_again(cli: Cli, step: str) -> None:
    cli("up", "-d")
    before = marker.load("shop")
    cli("down")
    code, out, err = signalled(cli, step, signal.SIGTERM)
    assert (code, out) == (130, "")
    assert err.endswith("cancelled the start of 'shop'; it is stopped, its data is kept\n")
    assert (state(), marker.load("shop")) == ("stopped", before)


@pytest.mark.parametrize("step", [Step.PREPARE.value, *LATE])
def test_one_that_ran_runs_on(cli: Cli, step: str) -> None:
    urls = cli("up", "-d").out
    code, out, err = signalled(cli, step)
    if step in LATE:  # there is nothing to undo: it finishes
        assert (code, out) == (0, urls)
        assert "attached to 'shop'" in err
    else:
        assert (code, out) == (130, "")
        assert err.endswith("cancelled the start of 'shop'; it runs, as before\n")
    assert state() == "running"


def test_changes_that_were_made_are_not_called_cancelled(cli: Cli) -> None:
    cli("up", "-d")
    cli("down")
    (cli.project / "devdb.toml").write_text("[postgres]\nwork_mem = '8MB'\n")
    code, out, err = signalled(cli, "ready")
    assert code == 0
    assert len(out.splitlines()) == 2
    assert "changed: settings" in err
    assert state() == "running"
