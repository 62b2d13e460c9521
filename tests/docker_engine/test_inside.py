"""devdb in a container that has the engine's socket, as in a dev container."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import world
from commandline import Done
from docker import APIClient
from docker.errors import NotFound
from docker.types import Mount

from devdb.engines.docker.engine import DockerEngine

CHECKOUT = Path(__file__).parents[2]


class DevContainer:
    """A container with this checkout, what runs it, and the data home, at their paths."""

    def __init__(self, client: APIClient, socket: str, home: Path) -> None:
        self._client = client
        # /usr: a Python of this machine needs the C library that it was built with.
        shared = {Path("/usr"), Path(sys.base_prefix), Path(sys.prefix), CHECKOUT}
        mounts = [Mount(str(path), str(path), type="bind", read_only=True) for path in shared]
        mounts.append(Mount(str(home), str(home), type="bind"))
        mounts.append(Mount("/var/run/docker.sock", socket, type="bind"))
        names = ("DEVDB_POSTGRES_IMAGE", "DEVDB_PGBOUNCER_IMAGE")
        self._id: str = client.create_container(
            os.environ["DEVDB_POSTGRES_IMAGE"],
            ["infinity"],
            entrypoint="sleep",
            name=f"test-{secrets.token_hex(4)}",
            hostname="dev",  # so that only the kernel says which container it is
            environment={**{n: os.environ[n] for n in names}, "DEVDB_DATA_DIR": str(home)},
            working_dir="/tmp",
            user="0",
            host_config=client.create_host_config(mounts=mounts),
        )["Id"]
        client.start(self._id)

    def restart(self) -> None:
        self._client.restart(self._id, timeout=0)

    def remove(self) -> None:
        with suppress(NotFound):
            self._client.remove_container(self._id, v=True, force=True)

    def __call__(self, *words: str) -> Done:
        argv = [sys.executable, "-m", "devdb", *words]
        run = self._client.exec_create(self._id, argv)["Id"]
        out, err = self._client.exec_start(run, demux=True)
        code: int = self._client.exec_inspect(run)["ExitCode"]
        return Done(code, (out or b"").decode(), (err or b"").decode())


@pytest.fixture
def dev_container(
    engine: DockerEngine, client: APIClient, home: Path
) -> Iterator[Callable[[], DevContainer]]:
    """Starts one; they are removed after the test."""
    made = []

    def start() -> DevContainer:
        made.append(DevContainer(client, engine.host.removeprefix("unix://"), home))
        return made[-1]

    yield start
    for each in made:
        each.remove()


def states(devdb: DevContainer, name: str) -> set[str]:
    parts = devdb("status", "-n", name, "--json").json["data"]["parts"]
    return {part["state"] for part in parts}


def test_an_instance_is_on_the_127_0_0_1_of_the_container_that_devdb_is_in(
    dev_container: Callable[[], DevContainer], home: Path
) -> None:
    """Also once that was restarted, and where another one took its place."""
    name, devdb = f"test-{secrets.token_hex(4)}", dev_container()
    try:
        up = devdb("up", "-d", "-n", name, "--engine", "docker")
        assert up.code == 0, up.err
        assert all("127.0.0.1" in url for url in up.out.split())
        assert devdb("sql", "-n", name, "CREATE TABLE kept AS SELECT 42 AS answer").code == 0
        made = [it for kind, it in world.docker_objects(name) if kind == "container"]
        assert [it["HostConfig"]["PortBindings"] or {} for it in made] == [{}] * 3
        assert devdb("temp", "-n", name).code == 0

        devdb.restart()
        assert states(devdb, name) == {"dead"}
        again = devdb("sql", "-n", name, "SELECT answer FROM kept")
        assert again.out.strip() == "42", again.err
        assert states(devdb, name) == {"running"}

        devdb.remove()
        devdb = dev_container()
        again = devdb("sql", "-n", name, "SELECT answer FROM kept")
        assert again.out.strip() == "42", again.err
    finally:
        gone = devdb("rm", name, "--force")
    assert gone.code == 0, gone.err
    assert world.traces(name, home) == []
