"""Docker stopped under a running dashboard."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import available
import pytest
import world
from driving import NAME, Driver

from devdb import config, marker
from devdb.config import Settings
from devdb.errors import EngineUnavailable
from devdb.tui.app import DevdbApp
from devdb.workspace import down, up


class Relay:
    """A Docker socket that can be switched off: it passes on to the one that really answers."""

    def __init__(self, path: Path, target: str) -> None:
        self.path = path
        self._target = target
        self._open: list[socket.socket] = []
        self.switch_on()

    def switch_on(self) -> None:
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(self.path))
        self._server.listen()
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def switch_off(self) -> None:
        self.path.unlink()
        for end in (self._server, *self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._open.clear()

    def _accept(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                ours, _ = server.accept()
                theirs = socket.socket(socket.AF_UNIX)
                theirs.connect(self._target)
                self._open += [ours, theirs]
                for source, sink in ((ours, theirs), (theirs, ours)):
                    threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def relay(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    if reason := available.why_not("docker"):
        if "docker" in available.required():
            pytest.fail(f"the docker engine is required here, but: {reason}")
        pytest.skip(f"docker engine: {reason}")
    target = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not target.startswith("unix://"):
        pytest.skip(f"docker engine: {target} is no socket to stand in for")
    relay = Relay(home / "docker.sock", target.removeprefix("unix://"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{relay.path}")
    yield relay
    relay.switch_off()


@pytest.fixture
def settings(relay: Relay, project: Path, free_port: Callable[[], int]) -> Settings:
    options = {"engine": "docker", "port": free_port(), "pool_port": free_port()}
    return config.load(project, options, os.environ)


# The Docker SDK leaves a socket it could not connect to the garbage collector.
@pytest.mark.filterwarnings("ignore:.*socket:pytest.PytestUnraisableExceptionWarning")
def test_docker_gone_is_shown_nothing_crashes_and_its_return_is_seen(
    drive: Callable[..., DevdbApp], relay: Relay, settings: Settings, project: Path, home: Path
) -> None:
    list(up.up(settings, project, NAME))
    spec = marker.load(NAME)
    assert spec is not None
    assert spec.host == f"unix://{relay.path}"

    async def scenario(user: Driver) -> None:
        first = await user.ready()
        relay.switch_off()
        await user.sees("✕ the engine does not answer")
        await user.press("l")
        await user.sees("esc Back")
        await user.press("escape", "r")
        await user.sees("✕ not started")
        relay.switch_on()
        await user.press("r")
        await user.until(lambda: user.app.screen is not first, "another screen")
        await user.ready()
        relay.switch_off()
        await user.sees("✕ the engine does not answer")
        await user.press("q")
        ending = await user.ended()
        assert ending.error is None, "it ran before, so it is only left"

    try:
        drive(scenario)
        with pytest.raises(EngineUnavailable):
            down.down(spec)
    finally:
        relay.switch_on()
        down.remove(spec)
        gc.collect()
    assert world.traces(NAME, home) == []
