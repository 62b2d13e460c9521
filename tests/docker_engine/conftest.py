"""Fixtures of the docker engine's own tests: a real engine, and its API to look with."""

from __future__ import annotations

import io
import secrets
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import available
import pytest
import world
from docker import APIClient
from docker_engine.registry import Registry
from world import NewSpec

from devdb.engines.docker.client import Connection
from devdb.engines.docker.engine import DockerEngine
from devdb.model import Spec


@pytest.fixture
def engine() -> DockerEngine:
    """The docker engine; a test without one is skipped with the reason."""
    if reason := available.why_not("docker"):
        if "docker" in available.required():
            pytest.fail(f"the docker engine is required here, but: {reason}")
        pytest.skip(f"docker engine: {reason}")
    return DockerEngine()


@pytest.fixture
def client(engine: DockerEngine) -> Iterator[APIClient]:
    """The engine's API."""
    client = APIClient(base_url=engine.host)
    yield client
    client.close()


@pytest.fixture
def connection(engine: DockerEngine, client: APIClient) -> Connection:
    """The engine as devdb's own modules speak to it."""
    return Connection(client, engine.host, engine.host)


@pytest.fixture
def spec(engine: DockerEngine, new_spec: NewSpec) -> Spec:
    """A Spec for the docker engine; not started."""
    return new_spec(engine)


@pytest.fixture
def image(client: APIClient) -> Callable[[str], str]:
    """The reference of a test image; one that was not built skips the test with the reason."""

    def reference(name: str) -> str:
        if not client.images(name):
            if "docker" in available.required():
                pytest.fail(f"the image {name} is required here")
            pytest.skip(f"no image {name} here; scripts/images builds it")
        return name

    return reference


@pytest.fixture
def registry() -> Iterator[Registry]:
    """A registry on 127.0.0.1, from where engines pull without TLS."""
    with Registry() as registry:
        yield registry


@pytest.fixture
def cache(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache of the test's own; set up before the instances, so it goes after them."""
    place = tmp_path / "cache"
    monkeypatch.setenv("DEVDB_CACHE_DIR", str(place))
    yield place
    world.lose_templates(str(place))


@pytest.fixture(autouse=True)
def derived_images() -> Iterator[list[str]]:
    """The images a test made, removed after it; set up before its instances, so after they go."""
    made: list[str] = []
    yield made
    if made:
        client = APIClient()
        for name in made:
            world.lose_templates(client.inspect_image(name)["Id"])  # type: ignore[no-untyped-call]
            client.remove_image(name, force=True)  # others may ask something of it
        client.close()


@pytest.fixture
def derived(client: APIClient, derived_images: list[str]) -> Callable[..., str]:
    """Makes an image of another one: with Dockerfile instructions, and with files in it."""

    def make(base: str, *changes: str, files: dict[str, str] | None = None) -> str:
        name = f"devdb-test/derived-{secrets.token_hex(4)}"
        container = client.create_container(base)["Id"]
        if files:
            client.put_archive(container, "/", _tar(files))
        client.commit(container, repository=name, tag="1", changes=list(changes))
        client.remove_container(container, v=True)
        derived_images.append(f"{name}:1")
        return derived_images[-1]

    return make


def _tar(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, text in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(text), 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()
