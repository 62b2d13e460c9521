"""TLS in images: whoever a server runs as there, of whatever age it is, or built without."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import world
from docker import APIClient
from docker.errors import APIError
from inside import verified

from devdb import certificates, pgbouncer, postgres, wire
from devdb.engines.docker import image_contents
from devdb.engines.docker.engine import DockerEngine
from devdb.engines.docker.image import find_image
from devdb.model import Server, Spec

Starts = Callable[[Spec], Server]


@pytest.mark.parametrize("version", ["1.18", "1.26"])
def test_poolers_of_every_age_have_it(
    spec: Spec, start: Starts, image: Callable[[str], str], version: str
) -> None:
    spec = replace(spec, pooler_image=image(f"devdb-test/pgbouncer:{version}"))
    start(spec)
    assert verified(spec, spec.pooled)


@pytest.fixture
def unprivileged(client: APIClient) -> Iterator[str]:
    """A Postgres image that starts as the user `postgres`, not as root."""
    name = f"devdb-test/unprivileged-{os.getpid()}:1"
    container = client.create_container(os.environ["DEVDB_POSTGRES_IMAGE"])["Id"]
    repository, tag = name.split(":")
    client.commit(container, repository=repository, tag=tag, changes=["USER postgres"])
    client.remove_container(container, v=True)
    yield name
    world.lose_templates(client.inspect_image(name)["Id"])  # type: ignore[no-untyped-call]

    def removed() -> bool:
        # A container that is just going has it until it is gone.
        with suppress(APIError):
            client.remove_image(name)
        return not client.images(name)

    world.eventually(removed, "the image gone")


def test_the_key_is_the_servers_own_whoever_starts_it(
    unprivileged: str, engine: DockerEngine, spec: Spec, start: Starts
) -> None:
    spec = replace(spec, postgres_image=unprivileged)
    start(spec)
    assert verified(spec, spec.direct)
    engine.stop(spec.name, destroy=True)  # before its image goes


@pytest.fixture
def built_without_tls(engine: DockerEngine, client: APIClient, cache: Path) -> None:
    """Both images were asked, in a cache of this test's own, and answered no."""
    del engine, cache
    for reference, what, answer in (
        (os.environ["DEVDB_POSTGRES_IMAGE"], "postgres-tls", "no"),
        (os.environ["DEVDB_PGBOUNCER_IMAGE"], "pgbouncer-banner", "PgBouncer 1.25.2\n"),
    ):
        image = find_image(client, reference)
        assert image is not None
        image_contents.remember(image.id, what, answer)


@pytest.mark.usefixtures("built_without_tls")
def test_images_without_it_run_and_say_so(spec: Spec, start: Starts) -> None:
    assert set(start(spec).notes) == {postgres.NO_TLS, pgbouncer.NO_TLS}
    for endpoint in (spec.direct, spec.pooled):
        assert wire.offers_tls(endpoint.host, endpoint.port) is False
    assert not certificates.ca_path(spec.name).exists()
