"""A Worker in workerd, as `wrangler dev` runs it, with the .env that devdb writes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gateways
import psutil
import pytest
import specs
import world
from clients.conftest import path_of

from devdb.model import Spec
from devdb.urls.serverless import HTTP_URL, SNIPPET

FILES = Path(__file__).parent / "wrangler"
QUIETLY = {
    "WRANGLER_SEND_METRICS": "false",
    "WRANGLER_HIDE_BANNER": "true",  # and no question for newer ones
    "CLOUDFLARE_CF_FETCH_ENABLED": "false",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A Worker's directory."""
    modules = path_of("DEVDB_TEST_WRANGLER") / "node_modules"
    project = tmp_path / "at-the-edge"
    project.mkdir()
    for name in ("wrangler.jsonc", "worker.mjs"):
        shutil.copy(FILES / name, project)
    (project / "snippet.mjs").write_text(SNIPPET)
    (project / "node_modules").symlink_to(modules)
    return project


def test_a_worker_reaches_the_instance_in_each_way(running: Spec, project: Path) -> None:
    command = [sys.executable, "-m", "devdb", "env", "--preset", "auto", "--name", running.name]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    written = (project / ".env").read_text()
    assert "CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_STORE=" in written
    with gateways.gateway(running) as gateway:
        (project / ".env").write_text(f"{written}{HTTP_URL}={gateway.url}\n")
        with wrangler_dev(project) as url:
            for way in ("hyperdrive", "http", "websocket"):
                assert asked(f"{url}/{way}") == '[{"n":7,"place":"main"}]'


def asked(url: str) -> str:
    """What the Worker answers, or how it failed."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return str(error.read().decode())


@contextmanager
def wrangler_dev(project: Path) -> Iterator[str]:
    """Where the Worker answers."""
    port, inspector = specs.free_port(), specs.free_port()
    ports = ["--ip", "127.0.0.1", "--port", str(port), "--inspector-port", str(inspector)]
    said = project / "wrangler.log"
    with said.open("wb") as log:
        process = subprocess.Popen(
            ["node", "node_modules/wrangler/bin/wrangler.js", "dev", *ports],
            cwd=project,
            env={**os.environ, **QUIETLY, "HOME": str(project)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, said.read_text()
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return bool(answer.read() == b"ready")
        except OSError:
            return False

    try:
        world.eventually(answers, "the Worker answers", timeout=60)
        yield url
    finally:
        family = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        world.eventually(lambda: all(map(world.has_ended, family)), "workerd has ended")
