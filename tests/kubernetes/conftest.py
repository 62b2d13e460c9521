"""Fixtures for what only Kubernetes has: its engine, and a way to its API server to cut."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import kube
import pytest
import specs
import world
from instances import Instance
from system import cluster

from devdb import engines
from devdb.engines import Engine


@pytest.fixture
def engine() -> Engine:
    """The kubernetes engine, where kubectl's configuration points."""
    return engines.get("kubernetes")


@pytest.fixture
def shared(instances: Callable[[str], Instance]) -> Instance:
    """The instance in Kubernetes that runs for all who only look."""
    return instances("kubernetes")


@pytest.fixture
def namespace() -> Iterator[str]:
    """A new namespace, ready for pods."""
    name = specs.new_name("test")
    kube.kubectl("create", "namespace", name)
    account = ("get", "serviceaccount", "default", "-n", name)
    world.eventually(lambda: kube.kubectl(*account, check=False), "its account")
    yield name
    kube.kubectl("delete", "namespace", name, "--wait=false")


class Road:
    """The way to the API server, as kubectl's configuration has it: one that can be cut."""

    def __init__(self, directory: Path) -> None:
        self.port = specs.free_port()
        self.kubeconfig = directory / "kubeconfig"
        config = json.loads(Path(os.environ[kube.CONFIG]).read_text())
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{self.port}"
        self.kubeconfig.write_text(json.dumps(config))
        self._process: subprocess.Popen[bytes] | None = None

    def open(self) -> None:
        """Have it lead there."""
        there = cluster.SERVER.removeprefix("https://")
        listen = f"TCP-LISTEN:{self.port},bind=127.0.0.1,fork,reuseaddr"
        self._process = subprocess.Popen(["socat", listen, f"TCP:{there}"], start_new_session=True)
        world.eventually(lambda: world.listening(self.port), "the road")

    def cut(self) -> None:
        """Break off what goes on, and refuse what comes."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    @contextmanager
    def silent(self) -> Iterator[None]:
        """While it lasts it takes whatever comes, and says no word."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._process.pid, signal.SIGCONT)


@pytest.fixture
def road(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Road]:
    """The test's own way to the API server, open; devdb and its forwarder take it."""
    road = Road(tmp_path)
    road.open()
    monkeypatch.setenv("KUBECONFIG", str(road.kubeconfig))
    yield road
    road.cut()
