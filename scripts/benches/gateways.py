"""A gateway of a running instance, as a process: for scripts/bench and for the tests."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import specs

from devdb import paths
from devdb.gateway.process import arguments
from devdb.gateway.target import Target
from devdb.model import Spec

PATIENCE = 60


@dataclass(frozen=True, slots=True)
class Gateway:
    """One that accepts."""

    port: int
    pid: int
    started_in: float
    """Seconds from the command to the first answer."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def gateway(spec: Spec, *, max_connections: int = 100) -> Iterator[Gateway]:
    """One for that instance, on a port of its own; it has to end by itself when it is told to.

    What it says would be an error: it fails at the end then, with that.
    """
    port = specs.free_port()
    target = Target(
        name=spec.name,
        port=port,
        direct=spec.port,
        pooled=spec.pool_port,
        max_connections=max_connections,
        directory=paths.instance_dir(spec.name),
        pool_mode=spec.pool_mode,
    )
    with tempfile.TemporaryFile() as said:
        begun = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "devdb.gateway", *arguments(target, None)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
        try:
            _wait(process, port)
            yield Gateway(port, process.pid, time.monotonic() - begun)
        finally:
            process.terminate()
            code = process.wait(PATIENCE)
            said.seek(0)
            words = said.read().decode(errors="replace")
            if code != 0 or words:
                raise AssertionError(f"the gateway ended with {code}, and said: {words}")


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                if json.load(answer)["pid"] == process.pid:
                    return
        except OSError:
            time.sleep(0.005)
    raise AssertionError("the gateway does not answer")
