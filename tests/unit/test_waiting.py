"""Slow work and the heartbeats of who waits for it."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest

from devdb.engines.waiting import Beats, attend, begin, beside, finished, result, told
from devdb.model import Progress, Step

PROGRESS = Progress(step=Step.PREPARE, detail="work")


def test_a_beat_comes_until_there_is_a_result() -> None:
    go_on = threading.Event()
    waiting = attend(begin(go_on.wait), PROGRESS)
    assert [next(waiting), next(waiting)] == [PROGRESS, PROGRESS]
    go_on.set()
    assert all(beat == PROGRESS for beat in waiting)


def test_where_there_is_nothing_to_tell_yet_nothing_is_told() -> None:
    assert list(told(None, _three_beats())) == []
    assert list(told(PROGRESS, _three_beats())) == [PROGRESS] * 3


def _three_beats() -> Beats[str]:
    yield from (None, None, None)
    return "done"


def test_the_result_is_had_without_telling() -> None:
    assert finished(_three_beats()) == "done"


def test_an_error_comes_to_who_waits() -> None:
    def fail() -> None:
        raise LookupError("nothing there")

    for waiting in (beside(fail), result(begin(fail))):
        with pytest.raises(LookupError, match="nothing there"):
            finished(waiting)


def test_what_waits_is_closed_with_who_tells_of_it() -> None:
    closed = []

    def work() -> Generator[None, None, None]:
        try:
            yield
            yield
        finally:
            closed.append(True)

    beats = work()  # not closed by being forgotten
    telling = told(PROGRESS, beats)
    next(telling)
    telling.close()
    assert closed


def test_abandoned_it_is_seen_through_or_left_to_itself() -> None:
    go_on, ended = threading.Event(), threading.Event()

    def work() -> None:
        go_on.wait()
        ended.set()

    left = result(begin(work))
    next(left)
    left.close()
    assert not ended.is_set()

    seen_through = beside(work)
    next(seen_through)
    threading.Timer(0.05, go_on.set).start()
    seen_through.close()
    assert ended.is_set()
