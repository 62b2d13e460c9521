"""Gateways for the tests: a process as users have it, or a thread with bounds of the test's."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import specs
import world

from devdb import paths
from devdb.gateway.bounds import Bounds
from devdb.gateway.createdb import Offer
from devdb.gateway.process import arguments
from devdb.gateway.server import Gateway
from devdb.gateway.target import Target
from devdb.model import HOST, PoolMode, Spec

PATIENCE = 30
"""Seconds for what takes none where nothing is wrong."""


def target(spec: Spec) -> Target:
    """The instance, for a gateway on a port of its own."""
    return Target(
        name=spec.name,
        port=specs.free_port(),
        direct=spec.port,
        pooled=spec.pool_port,
        max_connections=100,
        directory=paths.instance_dir(spec.name),
        pool_mode=spec.pool_mode,
    )


def nothing(directory: Path) -> Target:
    """An instance of which there is no more than a marker."""
    (directory / "marker.json").touch()
    return Target(
        name="shop",
        port=specs.free_port(),
        direct=specs.free_port(),
        pooled=specs.free_port(),
        max_connections=100,
        directory=directory,
        pool_mode=PoolMode.TRANSACTION,
    )


@contextmanager
def process(
    target: Target,
    *,
    user: tuple[int, int] | None = None,
    python: Sequence[str] = (sys.executable, "-P"),
    stderr: int | IO[str] = subprocess.PIPE,
    env: dict[str, str] | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """The detached gateway's process, once it accepts."""
    argv = [*python, "-m", "devdb.gateway", *arguments(target, user)]
    running = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env=env,
    )
    with running:
        try:
            begun = lambda: running.poll() is not None or world.listening(target.port)  # noqa: E731
            world.eventually(begun, "the gateway accepts", timeout=PATIENCE)
            assert running.poll() is None, running.communicate()
            yield running
        finally:
            running.kill()


@contextmanager
def thread(
    target: Target, bounds: Bounds | None = None, offer: Offer | None = None
) -> Iterator[None]:
    """A gateway in a thread of this process."""
    loop = asyncio.new_event_loop()
    running = threading.Thread(target=loop.run_forever)
    running.start()

    async def begin() -> Gateway:
        gateway = Gateway(target, offer=offer, bounds=bounds or Bounds())
        await gateway.start(socket.create_server((HOST, target.port)))
        return gateway

    try:
        gateway = asyncio.run_coroutine_threadsafe(begin(), loop).result(PATIENCE)
        try:
            yield
        finally:
            asyncio.run_coroutine_threadsafe(gateway.close(), loop).result(PATIENCE)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        running.join()
        loop.close()


class Talk:
    """A client's connection, byte for byte."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=PATIENCE)
        self._stream = self._socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def answer(self, *, head_only: bool = False) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the next answer."""
        status = int(self._stream.readline().split()[1])
        headers: dict[str, str] = {}
        while line := self._stream.readline().decode().strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if status < 200 or head_only:
            return status, headers, b""
        return status, headers, self._stream.read(int(headers["content-length"]))

    def ended(self) -> bool:
        """Whether it is closed, and no byte was left to read."""
        try:
            return self._stream.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def request(*lines: str, body: bytes = b"") -> bytes:
    """A request: its first line, its headers, its body."""
    length = [f"Content-Length: {len(body)}"] if body else []
    return "".join(f"{line}\r\n" for line in [*lines, *length, ""]).encode() + body
