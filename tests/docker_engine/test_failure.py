"""What a start learns from the engine while it waits: a port that is gone, a server that talks."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack

import pytest
import world
from docker import APIClient

from devdb.engines.docker import failure
from devdb.engines.docker.attempt import Attempt
from devdb.engines.docker.config import Blueprint
from devdb.engines.docker.engine import DockerEngine
from devdb.errors import PortInUse
from devdb.model import Server, Spec

Starts = Callable[[Spec], Server]


@pytest.mark.parametrize("which", ["port", "pool_port"])
def test_a_port_taken_after_it_was_found_free_is_in_use(
    engine: DockerEngine, spec: Spec, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = Attempt._check_ports
    with ExitStack() as stack:

        def check_then_lose(attempt: Attempt, todo: list[Blueprint]) -> None:
            check(attempt, todo)
            stack.enter_context(socket.create_server(("127.0.0.1", getattr(spec, which))))

        monkeypatch.setattr(Attempt, "_check_ports", check_then_lose)
        with pytest.raises(PortInUse, match=str(getattr(spec, which))):
            list(engine.start(spec))
    assert engine.find(spec.name) is None


def test_progress_is_heard_however_much_noise_follows_it(
    start: Starts, spec: Spec, client: APIClient
) -> None:
    start(spec)
    container, heard = world.container(spec.name, "postgres"), dict[str, str]()
    failure._has_news(client, container, heard)
    assert not failure._has_news(client, container, heard)

    def say(script: str) -> None:
        """Write to the container's log, and wait until the engine has it."""
        before = len(client.logs(container))
        command = ["sh", "-c", f"({script}; echo FATAL: end) > /proc/1/fd/2"]
        run = client.exec_create(container, command, user="0")
        client.exec_start(run["Id"])
        world.eventually(lambda: b"FATAL: end" in client.logs(container)[before:], "it is read")

    say("for n in $(seq 300); do echo FATAL: the database system is starting up; done")
    assert not failure._has_news(client, container, heard)
    say("echo redo in progress; for n in $(seq 300); do echo FATAL: starting up; done")
    assert failure._has_news(client, container, heard)
