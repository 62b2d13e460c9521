"""The steps of a start, read from its stream."""

from __future__ import annotations

from devdb.model import Progress, Step
from devdb.tui.timeline import Mark, Timeline


def test_a_step_is_done_when_the_next_one_comes() -> None:
    timeline = Timeline(100)
    timeline.add(Progress(step=Step.PREPARE, detail="data"), 100)
    timeline.add(Progress(step=Step.PREPARE, detail="data"), 101)
    timeline.add(Progress(step=Step.POSTGRES), 103)
    prepare, postgres = timeline.rows(107)
    assert (prepare.label, prepare.detail, prepare.seconds) == ("prepare", "data", 3)
    assert (postgres.mark, postgres.seconds) == (Mark.ACTIVE, 4)
    assert prepare.mark is Mark.DONE


def test_a_step_that_comes_back_goes_on_and_counts_from_its_beginning() -> None:
    timeline = Timeline(0)
    for step, now in ((Step.POSTGRES, 0), (Step.PGBOUNCER, 1), (Step.POSTGRES, 2)):
        timeline.add(Progress(step=step), now)
    postgres, pgbouncer = timeline.rows(5)
    assert (postgres.mark, postgres.seconds) == (Mark.ACTIVE, 5)
    assert (pgbouncer.mark, pgbouncer.seconds) == (Mark.DONE, 1)


def test_a_failure_marks_the_step_that_was_going_on_and_stops_the_clocks() -> None:
    timeline = Timeline(0)
    timeline.add(Progress(step=Step.PREPARE), 0)
    timeline.add(Progress(step=Step.POSTGRES), 1)
    timeline.end(3, failed=True)
    assert [row.mark for row in timeline.rows(9)] == [Mark.DONE, Mark.FAILED]
    assert [row.seconds for row in timeline.rows(9)] == [1, 2]
    assert timeline.seconds(9) == 3


def test_ready_ends_nothing_by_itself_and_is_no_step() -> None:
    timeline = Timeline(0)
    timeline.add(Progress(step=Step.LOGIN), 0)
    timeline.add(Progress(step=Step.READY), 1)
    assert [row.label for row in timeline.rows(1)] == ["login"]


def test_a_pull_is_kept_by_layer_and_overall() -> None:
    timeline = Timeline(0)
    timeline.add(Progress(step=Step.PULL, done=5, total=10, layer="aa"), 0)
    timeline.add(Progress(step=Step.PULL, done=1, total=4, layer="bb"), 0)
    assert timeline.layers == {"aa": (5, 10), "bb": (1, 4)}
    assert timeline.pulled == (6, 14)
    assert timeline.pulling
    timeline.add(Progress(step=Step.PREPARE), 1)
    assert not timeline.pulling
