"""Getting images: what is shown meanwhile, what is said when they cannot be had."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import world
from docker import APIClient
from docker.errors import ImageNotFound
from docker_engine.registry import Registry

from devdb.engines.docker.engine import DockerEngine
from devdb.engines.docker.image_pull import pull
from devdb.errors import EngineUnavailable
from devdb.model import Server, Spec, Step


def test_layers_are_reported_as_they_come(client: APIClient, registry: Registry) -> None:
    name = registry.reference(f"layers-{secrets.token_hex(4)}:1")
    registry.put(name.split("/", 1)[1], [os.urandom(3_000_000), os.urandom(2_000_000)])
    try:
        progress = list(pull(client, name))
    finally:
        _forget(client, name)
    layers = {p.layer: p for p in progress if p.layer is not None}
    assert len(layers) == 2
    for last in layers.values():
        assert last.total is not None
        assert last.done == last.total
    assert {p.step for p in progress} == {Step.PULL}
    assert all(name in p.detail for p in progress)


def test_heartbeats_come_while_a_registry_is_silent_and_closing_does_not_wait(
    client: APIClient, registry: Registry
) -> None:
    name = registry.reference(f"silent-{secrets.token_hex(4)}:1")
    registry.put(name.split("/", 1)[1], [os.urandom(8_000_000)])
    registry.hang.set()
    progress = pull(client, name)
    begun = time.monotonic()
    for _ in range(10):
        next(progress)
    assert time.monotonic() - begun < 10 * 0.3 * 3
    begun = time.monotonic()
    progress.close()
    assert time.monotonic() - begun < 5


def test_an_image_that_does_not_exist_is_named_with_the_ways_out(
    engine: DockerEngine, spec: Spec, registry: Registry, home: Path
) -> None:
    missing = registry.reference("no/such-image:1")
    with pytest.raises(EngineUnavailable) as caught:
        list(engine.start(replace(spec, postgres_image=missing)))
    assert missing in caught.value.message
    for way_out in ("docker load", "--image", "--engine native"):
        assert way_out in caught.value.hint
    _assert_untouched(spec, home)


def test_an_engine_that_cannot_pull_says_so_before_anything_is_made(
    engine: DockerEngine, spec: Spec, home: Path
) -> None:
    unreachable = "127.0.0.1:1/postgres:17"
    with pytest.raises(EngineUnavailable) as caught:
        list(engine.start(replace(spec, pooler_image=unreachable)))
    assert unreachable in caught.value.message
    assert "refused" in caught.value.message
    _assert_untouched(spec, home)


def test_what_is_there_is_never_pulled(
    start: Callable[[Spec], Server], spec: Spec, client: APIClient, registry: Registry
) -> None:
    name = registry.reference("here:1")
    client.tag(os.environ["DEVDB_POSTGRES_IMAGE"], registry.reference("here"), "1")
    try:
        assert start(replace(spec, postgres_image=name)).running
    finally:
        DockerEngine().stop(spec.name, destroy=True)
        _forget(client, name)
    assert registry.requests == []


def test_require_asks_the_registry_without_pulling(
    engine: DockerEngine, registry: Registry, client: APIClient
) -> None:
    name = registry.reference(f"known-{secrets.token_hex(4)}:1")
    registry.put(name.split("/", 1)[1], [b"content"])
    here = os.environ["DEVDB_PGBOUNCER_IMAGE"]
    engine.require(major=None, image=name, pooler_image=here)
    assert not client.images(name)
    begun = time.monotonic()
    for unknown in (registry.reference("unknown:1"), "127.0.0.1:1/unreachable:1"):
        with pytest.raises(EngineUnavailable, match=unknown):
            engine.require(major=None, image=unknown, pooler_image=here)
    assert time.monotonic() - begun < 10


def test_require_does_not_wait_for_a_silent_registry(engine: DockerEngine) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        name = f"127.0.0.1:{silent.getsockname()[1]}/silent:1"
        begun = time.monotonic()
        with pytest.raises(EngineUnavailable, match="does not answer within 5 s"):
            engine.require(major=None, image=name, pooler_image=name)
        assert time.monotonic() - begun < 15


def _assert_untouched(spec: Spec, home: Path) -> None:
    marker = str(home / "instances" / spec.name / "marker.json")
    assert world.traces(spec.name, home) == [marker]


def _forget(client: APIClient, name: str) -> None:
    with suppress(ImageNotFound):
        client.remove_image(name, force=True)
