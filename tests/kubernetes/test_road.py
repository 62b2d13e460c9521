"""The way to the API server breaks, and is mended."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import world
from inside import login
from kubernetes.conftest import Road
from libpq import connect
from world import NewSpec, Starts

from devdb.engines import Engine
from devdb.errors import EngineUnavailable
from devdb.model import Spec, Step

SOON = 15.0
"""Seconds: kubectl makes two requests, each of which is given seven."""


def both_let_in(spec: Spec) -> bool:
    return login(spec.direct) == login(spec.pooled) == "in"


def test_out_of_reach_it_is_said_and_back_again_both_urls_work_by_themselves(
    engine: Engine, start: Starts, road: Road, new_spec: NewSpec
) -> None:
    spec = new_spec(engine)
    start(spec)
    with connect(spec.direct) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    asked: list[Callable[[], object]] = [
        lambda: engine.find(spec.name),
        lambda: engine.list(),
        lambda: engine.recover(spec.name),
        lambda: start(spec),
    ]

    def is_refused(ask: Callable[[], object]) -> None:
        began = time.monotonic()
        with pytest.raises(EngineUnavailable, match=r"kubectl says: .*refused"):
            ask()
        assert time.monotonic() - began < 5

    road.cut()
    assert not both_let_in(spec)
    for ask in asked:
        is_refused(ask)
    road.open()
    world.eventually(lambda: both_let_in(spec), "both URLs", timeout=30)

    # Who stops it frees the ports here all the same; they come back with the next start.
    road.cut()
    is_refused(lambda: engine.stop(spec.name))
    road.open()

    began = time.monotonic()
    with (
        road.silent(),
        pytest.raises(EngineUnavailable, match=r"(?i)kubectl says: .*(time|deadline)"),
    ):
        start(spec)
    assert time.monotonic() - began < SOON
    assert start(spec).running
    with connect(spec.pooled) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


@pytest.mark.parametrize("step", [Step.PREPARE, Step.POSTGRES, Step.LOGIN])
def test_out_of_reach_in_a_start_it_ends_with_that_and_the_next_start_takes_it_up(
    engine: Engine, start: Starts, road: Road, new_spec: NewSpec, step: Step
) -> None:
    spec = new_spec(engine)

    def start_until_cut() -> None:
        for progress in engine.start(spec):
            if progress.step == step:
                road.cut()

    with pytest.raises(EngineUnavailable, match="kubectl says: "):
        start_until_cut()
    road.open()
    assert start(spec).running
    assert both_let_in(spec)
