"""Ports that somebody takes after they were chosen, and before a server listens there."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from libpq import connect

from devdb import marker
from devdb.config import Settings
from devdb.engines.native.engine import NativeEngine
from devdb.errors import PortInUse
from devdb.model import Spec, Step
from devdb.workspace import up
from devdb.workspace.up import Outcome, Ready

FIRST_TO_LISTEN = {"port": Step.POSTGRES, "pool_port": Step.PGBOUNCER}
"""The step that is told before the server begins to listen there."""


@pytest.fixture
def name(native: NativeEngine) -> Iterator[str]:
    """The name of an instance that is gone afterwards."""
    name = f"test-{secrets.token_hex(4)}"
    yield name
    native.stop(name, destroy=True)
    marker.delete(name)


@contextmanager
def listening(port: int) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", port)):
        yield


def up_beaten(name: str, which: str, settings: Settings) -> tuple[int, Ready]:
    """`up`, with somebody on its first choice a moment before its server; that port, and Ready."""
    taken = None
    with ExitStack() as stack:
        for item in up.up(settings, Path.cwd(), name):
            if isinstance(item, Ready):
                assert taken is not None
                return taken, item
            if item.step == FIRST_TO_LISTEN[which] and taken is None:
                spec = marker.load(name)
                assert spec is not None
                taken = getattr(spec, which)
                stack.enter_context(listening(taken))
    raise AssertionError("not ready")


def works(spec: Spec) -> bool:
    for endpoint in (spec.direct, spec.pooled):
        with connect(endpoint) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    return True


@pytest.mark.parametrize("which", FIRST_TO_LISTEN)
def test_a_new_instance_takes_the_next_ports_when_it_is_beaten_to_them(
    name: str, which: str
) -> None:
    taken, ready = up_beaten(name, which, Settings(engine="native"))
    assert ready.outcome is Outcome.CREATED
    assert getattr(ready.instance.spec, which) > taken
    assert works(ready.instance.spec)


def test_an_old_pgbouncer_that_lives_on_without_its_port_is_noticed(
    name: str, pgbouncer_1_18: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVDB_PGBOUNCER", str(pgbouncer_1_18))
    taken, ready = up_beaten(name, "pool_port", Settings(engine="native"))
    assert ready.instance.spec.pool_port > taken
    assert works(ready.instance.spec)


@pytest.mark.parametrize("which", FIRST_TO_LISTEN)
def test_ports_that_were_asked_for_are_never_moved(
    native: NativeEngine, spec: Spec, which: str
) -> None:
    port = getattr(spec, which)

    def start_beaten() -> None:
        with ExitStack() as stack:
            taken = False
            for item in native.start(spec):
                if item.step == FIRST_TO_LISTEN[which] and not taken:
                    stack.enter_context(listening(port))
                    taken = True

    with pytest.raises(PortInUse) as caught:
        start_beaten()
    assert str(port) in caught.value.message
    assert str(os.getpid()) in caught.value.message


UP = """
import sys
from pathlib import Path
from devdb.workspace import up
from devdb.config import Settings
print("up", flush=True)
sys.stdin.read()
*_, ready = up.up(Settings(engine="native"), Path.cwd(), sys.argv[1])
print(ready.instance.spec.port, ready.instance.spec.pool_port)
"""


def test_two_data_directories_ups_at_the_same_moment_both_succeed(
    native: NativeEngine, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        homes = [stack.enter_context(tempfile.TemporaryDirectory()) for _ in range(2)]
        for home in homes:
            Path(home).chmod(0o755)
        try:
            found = _together(name, homes)
        finally:
            for home in homes:
                with monkeypatch.context() as patch:
                    patch.setenv("DEVDB_DATA_DIR", home)
                    native.stop(name, destroy=True)
        assert len(set(found)) == 4


def _together(name: str, homes: list[str]) -> list[int]:
    ups = [
        subprocess.Popen(
            [sys.executable, "-c", UP, name],
            env={**os.environ, "DEVDB_DATA_DIR": home},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for home in homes
    ]
    for process in ups:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
    for process in ups:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    ports = []
    for process in ups:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        ports += [int(port) for port in out.split()]
    return ports
