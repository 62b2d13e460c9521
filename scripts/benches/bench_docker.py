"""The docker engine beside one bare container of the same Postgres image."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

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
from devdb.engines.docker import image
from devdb.model import Endpoint

ENGINE = engines.get("docker")
DOCKER = "docker"
RUN = "docker run of the bare image"
START = "docker start of it"


def rows(_: ExitStack) -> list[Row]:
    return [
        Row(RUN, run_bare),
        Row("Engine.start(), new", partial(start_new, ENGINE), against=RUN, limit=1.2),
        Row("devdb up -d, new", partial(up_new, ENGINE), against=RUN),
        Row(START, start_bare),
        Row("Engine.start(), again", partial(start_again, ENGINE), against=START, limit=1.5),
        Row("devdb up -d, again", partial(up_again, ENGINE), against=START),
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

    def run(self) -> float:
        """Seconds to its first `SELECT 1` from outside."""
        port = f"{self.endpoint.host}:{self.endpoint.port}:5432"
        environment = f"POSTGRES_PASSWORD={self.endpoint.password}"
        command = (DOCKER, "run", "--detach", "--name", self.name, "--publish", port)
        with Clock() as clock:
            quietly(*command, "--env", environment, wanted_images()[0])
            until_it_answers(self.endpoint)
        return clock.seconds


@contextmanager
def bare() -> Iterator[Bare]:
    container = Bare()
    try:
        yield container
    finally:
        quietly(DOCKER, "rm", "--force", "--volumes", container.name)


def wanted_images() -> tuple[str, str]:
    """The images that a new instance gets here."""
    return image.wanted_images(None, None, None)
