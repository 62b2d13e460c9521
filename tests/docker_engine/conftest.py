"""Fixtures of the docker engine's own tests: a real engine, and its API to look with."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import available
import pytest
from docker import APIClient
from docker_engine.registry import Registry
from world import NewSpec

from devdb.engines.docker.engine import DockerEngine
from devdb.model import Server, Spec

Starts = Callable[[Spec], Server]


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
def spec(engine: DockerEngine, new_spec: NewSpec) -> Spec:
    """A Spec for the docker engine; not started."""
    return new_spec(engine)


@pytest.fixture
def start(engine: DockerEngine) -> Starts:
    """Starts a Spec to the end; the Server that READY carries."""

    def run(spec: Spec) -> Server:
        server = list(engine.start(spec))[-1].server
        assert server is not None
        return server

    return run


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
