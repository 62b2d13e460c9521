"""The node that an instance is on is to be emptied."""

from __future__ import annotations

from functools import partial

import kube
import world
from inside import login
from libpq import connect
from world import NewSpec, Starts

from devdb.engines import Engine
from devdb.model import Endpoint

SOON = 60.0


def _is_in(endpoint: Endpoint) -> bool:
    return login(endpoint) == "in"


def test_moved_to_another_node_it_has_its_data_at_the_same_urls(
    engine: Engine, start: Starts, new_spec: NewSpec
) -> None:
    spec = new_spec(engine)
    start(spec)
    with connect(spec.direct) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    before = kube.pod(spec.name)
    node = kube.node_of(before).name
    kube.kubectl("cordon", node)
    try:
        # What `kubectl drain` does to a pod that something makes anew.
        kube.kubectl("delete", "pod", before["metadata"]["name"], "--wait=false")

        def moved() -> bool:
            pods = [item for kind, item in kube.objects(spec.name) if kind == "pod"]
            return any(each["spec"].get("nodeName", node) != node for each in pods)

        world.eventually(moved, "another node", timeout=SOON)
        for endpoint in (spec.direct, spec.pooled):
            world.eventually(partial(_is_in, endpoint), "both URLs", timeout=SOON)
    finally:
        kube.kubectl("uncordon", node)

    def is_told() -> bool:
        found = engine.find(spec.name)
        return found is not None and found.running

    world.eventually(is_told, "the cluster says so, too", timeout=SOON)
    with connect(spec.pooled) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
