"""A cluster that has no volume to give."""

from __future__ import annotations

from collections.abc import Iterator

import kube
import pytest
from world import NewSpec, Starts

from devdb import engines
from devdb.engines import Engine
from devdb.errors import DevdbError, StartFailed

DEFAULT = "storageclass.kubernetes.io/is-default-class"


@pytest.fixture
def no_default(alone: None) -> Iterator[None]:
    """None of the cluster's storage classes is the default."""
    kube.kubectl("annotate", "--overwrite", "storageclass", "directory", f"{DEFAULT}=false")
    yield
    kube.kubectl("annotate", "--overwrite", "storageclass", "directory", f"{DEFAULT}=true")


def test_a_storage_class_that_is_not_there_is_named_and_nothing_is_left(new_spec: NewSpec) -> None:
    engine = engines.get("kubernetes", host="kubernetes:storage-class=not-there")
    spec = new_spec(engine)
    with pytest.raises(DevdbError, match="not-there") as caught:
        list(engine.start(spec))
    assert "storage" in caught.value.hint
    assert list(kube.objects(spec.name)) == []
    assert any("not-there" in each.message for each in engine.check())


@pytest.mark.usefixtures("no_default")
def test_without_a_default_class_it_is_said_and_one_that_is_named_does(
    engine: Engine, new_spec: NewSpec, start: Starts
) -> None:
    spec = new_spec(engine)
    with pytest.raises(StartFailed, match="storage class") as caught:
        start(spec)
    assert "storage-class" in caught.value.hint
    assert list(kube.objects(spec.name)) == []
    assert any("default" in each.message for each in engine.check())
    named = engines.get("kubernetes", host="kubernetes:storage-class=directory&size=2Gi")
    assert list(named.start(spec))[-1].server
    [claim] = [item for kind, item in kube.objects(spec.name) if kind == "persistentvolumeclaim"]
    assert claim["spec"]["storageClassName"] == "directory"
    assert claim["spec"]["resources"]["requests"]["storage"] == "2Gi"
