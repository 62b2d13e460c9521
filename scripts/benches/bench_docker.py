"""The docker engine beside bare containers of the same images."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from measure import (
    Clock,
    Row,
    quietly,
    start_again,
    start_new,
    until_it_answers,
    up_again,
    up_new,
)
from specs import free_port

from devdb import engines
from devdb.engines import images
from devdb.model import Endpoint

ENGINE = engines.get("docker")
DOCKER = "docker"
RUN = "docker run of the bare image"
START = "docker start of it"
BOTH = "docker start of both images, side by side"


def rows(_: ExitStack) -> list[Row]:
    return [
        Row(RUN, run_bare),
        Row("Engine.start(), new", partial(start_new, ENGINE), against=RUN, limit=0.85),
        Row("devdb up -d, new", partial(up_new, ENGINE), against=RUN),
        Row(START, start_bare),
        Row(BOTH, start_both),
        Row("Engine.start(), again", partial(start_again, ENGINE), against=BOTH, limit=1.1),
        Row("devdb up -d, again", partial(up_again, ENGINE), against=BOTH),
    ]


def title() -> str:
    return f"Docker engine, {' and '.join(wanted_images())}"


def run_bare() -> float:
    with bare() as container:
        return container.run()


def start_bare() -> float:
    with bare() as container:
        container.run()
        quietly(DOCKER, "stop", container.name)
        with Clock() as clock:
            quietly(DOCKER, "start", container.name)
            until_it_answers(container.endpoint)
    return clock.seconds


def start_both() -> float:
    """Seconds to a login through both: a Postgres and a PgBouncer in a network of theirs."""
    with bare() as container, pooled(container) as pooler:
        quietly(DOCKER, "stop", pooler.name, container.name)
        with Clock() as clock:
            starting = [
                subprocess.Popen([DOCKER, "start", name], stdout=subprocess.DEVNULL)
                for name in (container.name, pooler.name)
            ]
            # Who connects while the network is being made loses a packet, and a second with it.
            if any(process.wait() for process in starting):
                raise SystemExit("docker start failed")
            for endpoint in (container.endpoint, pooler.endpoint):
                until_it_answers(endpoint)
    return clock.seconds


class Bare:
    """A container of the Postgres image as people run it by hand, with a published port."""

    def __init__(self) -> None:
        self.name = f"devdb-bench-{secrets.token_hex(3)}"
        self.endpoint = Endpoint(
            host="127.0.0.1",
            port=free_port(),
            user="postgres",
            password=secrets.token_hex(8),
            database="postgres",
        )

    def run(self, *options: str) -> float:
        """Seconds to its first `SELECT 1` from outside."""
        port = f"{self.endpoint.host}:{self.endpoint.port}:5432"
        environment = f"POSTGRES_PASSWORD={self.endpoint.password}"
        command = (DOCKER, "run", "--detach", "--name", self.name, "--publish", port, *options)
        with Clock() as clock:
            quietly(*command, "--env", environment, wanted_images()[0])
            until_it_answers(self.endpoint)
        return clock.seconds

    def stop(self) -> None:
        quietly(DOCKER, "rm", "--force", "--volumes", self.name)


@contextmanager
def bare() -> Iterator[Bare]:
    container = Bare()
    try:
        yield container
    finally:
        container.stop()


@contextmanager
def pooled(container: Bare) -> Iterator[Bare]:
    """A PgBouncer as people run it by hand, and that Postgres behind it, in one network."""
    pooler = Bare()
    pooler.endpoint = replace(container.endpoint, port=pooler.endpoint.port)
    network = ("--network", pooler.name)
    quietly(DOCKER, "network", "create", pooler.name)
    try:
        container.run(*network)
        port = f"{pooler.endpoint.host}:{pooler.endpoint.port}:6432"
        command = (DOCKER, "create", "--name", pooler.name, "--publish", port)
        where = (*network, "--user", "65534", "--entrypoint", "pgbouncer")
        quietly(*command, *where, wanted_images()[1], "/pgbouncer/pgbouncer.ini")
        with TemporaryDirectory() as place:
            directory = Path(place, "pgbouncer")
            directory.mkdir()
            Path(directory, "pgbouncer.ini").write_text(INI.format(host=container.name))
            user = f'"{container.endpoint.user}" "{container.endpoint.password}"\n'
            Path(directory, "userlist.txt").write_text(user)
            quietly(DOCKER, "cp", directory, f"{pooler.name}:/")
        quietly(DOCKER, "start", pooler.name)
        until_it_answers(pooler.endpoint)
        yield pooler
    finally:
        pooler.stop()
        container.stop()
        quietly(DOCKER, "network", "rm", pooler.name)


INI = """\
[databases]
* = host={host}
[pgbouncer]
listen_addr = 0.0.0.0
listen_port = 6432
auth_type = scram-sha-256
auth_file = /pgbouncer/userlist.txt
"""


def wanted_images() -> tuple[str, str]:
    """The images that a new instance gets here."""
    return images.wanted_images(None, None, None)
