"""Starts that cannot end well: what is said, and that nothing is left of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import kube
import pytest
from world import NewSpec

from devdb import certificates, engines
from devdb.engines import Engine
from devdb.errors import DevdbError, StartFailed
from devdb.model import Spec


@pytest.fixture
def nothing_left(new_spec: NewSpec) -> Iterator[NewSpec]:
    """Makes Specs of which nothing but the marker may be there at the end."""
    made: list[Spec] = []

    def make(engine: Engine, **changes: Any) -> Spec:
        made.append(new_spec(engine, **changes))
        return made[-1]

    yield make
    for spec in made:
        assert list(kube.objects(spec.name)) == []
        assert not certificates.ca_path(spec.name).parent.exists()


def test_an_image_that_cannot_be_pulled_is_named_with_the_cluster_s_own_words(
    engine: Engine, nothing_left: NewSpec
) -> None:
    spec = nothing_left(engine, pooler_image="registry.invalid/none:1")
    with pytest.raises(StartFailed, match=r"registry\.invalid/none:1") as caught:
        list(engine.start(spec))
    assert "--pooler-image" in caught.value.hint


def test_a_server_that_ends_is_told_with_its_last_words(
    engine: Engine, nothing_left: NewSpec
) -> None:
    spec = nothing_left(engine, pooler_settings=(("reserve_pool_size", "lots"),))
    with pytest.raises(StartFailed, match=r"PgBouncer ended with.*reserve_pool_size") as caught:
        list(engine.start(spec))
    assert "[pgbouncer]" in caught.value.hint


def test_a_namespace_that_is_not_there_is_named(nothing_left: NewSpec) -> None:
    elsewhere = engines.get("kubernetes", host="kubernetes:namespace=not-there")
    spec = nothing_left(elsewhere, host=elsewhere.host)
    with pytest.raises(DevdbError, match="not-there") as caught:
        list(elsewhere.start(spec))
    assert "kubectl create namespace not-there" in caught.value.hint
    assert elsewhere.find(spec.name) is None
    assert elsewhere.list() == []


def test_a_quota_that_has_no_room_is_told_at_once(namespace: str, nothing_left: NewSpec) -> None:
    full = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none"},
        "spec": {"hard": {"pods": "0"}},
    }
    kube.apply(full, namespace=namespace)
    there = engines.get("kubernetes", host=f"kubernetes:namespace={namespace}")
    spec = nothing_left(there, host=there.host)
    with pytest.raises(StartFailed, match="exceeded quota: none") as caught:
        list(there.start(spec))
    assert "quota" in caught.value.hint
