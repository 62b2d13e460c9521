"""The screen while an instance starts, and the ways out of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest
from driving import NAME, Driver

from devdb import engines, marker
from devdb.config import Settings
from devdb.engines.fake import FakeEngine
from devdb.errors import ExitCode, StartFailed
from devdb.model import Progress, Spec, Step
from devdb.tui.app import DevdbApp
from devdb.tui.messages import Cancelled, Stepped
from devdb.tui.start_messages import start
from devdb.workspace import down, instances, up
from devdb.workspace.instances import State

Drive = Callable[..., DevdbApp]
UseEngine = Callable[[FakeEngine], None]
MB = 1_000_000


class Stubborn(FakeEngine):
    """Fails to start until it is mended."""

    broken = True

    def start(self, spec: Spec) -> Iterator[Progress]:
        if self.broken:
            yield Progress(step=Step.POSTGRES, detail="starting")
            raise StartFailed("Postgres ended with [exit] code 1.", "Look at devdb logs.")
        yield from super().start(spec)


class Pulling(FakeEngine):
    """Pulls an image of two layers first, and waits there until it is told to go on."""

    released = False

    def start(self, spec: Spec) -> Iterator[Progress]:
        yield Progress(step=Step.PULL, detail="postgres:18", done=9 * MB, total=9 * MB, layer="aa")
        while not self.released:
            yield Progress(step=Step.PULL, done=21 * MB, total=51 * MB, layer="bb")
            yield from self._step(Step.PULL, "postgres:18")
        yield from super().start(spec)


class StopsAt(FakeEngine):
    """Stays at one step for ever, and says so as often as an engine does: none floods the app."""

    def __init__(self, step: Step) -> None:
        super().__init__(pace=0)
        self.at = step

    def start(self, spec: Spec) -> Iterator[Progress]:
        inner = super().start(spec)
        try:
            for progress in inner:
                while progress.step == self.at:
                    yield progress
                    time.sleep(0.02)
                yield progress
        finally:
            inner.close()  # type: ignore[attr-defined]


def test_steps_come_with_their_times_and_the_reason_for_the_engine(
    drive: Drive, use_engine: UseEngine
) -> None:
    use_engine(StopsAt(Step.PGBOUNCER))

    async def scenario(user: Driver) -> None:
        text = await user.sees(
            "fake: asked for by default",
            "✓ engine ",
            "✓ prepare ",
            "✓ postgres ",
            " s  data directory",
            "pgbouncer",
        )
        assert "✓ pgbouncer" not in text
        await user.press("ctrl+c")
        await user.ended()

    drive(scenario)


def test_a_pull_shows_each_layer_and_all_of_them(drive: Drive, use_engine: UseEngine) -> None:
    engine = Pulling(pace=0.05)
    use_engine(engine)

    async def scenario(user: Driver) -> None:
        text = await user.sees(
            "━━━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌╌╌  30.0 MB of 60.0 MB", "bb", "21.0 MB of 51.0 MB"
        )
        assert "9.0 MB of 9.0 MB" not in text
        engine.released = True
        await user.ready()

    drive(scenario)


def test_an_error_shows_its_two_lines_and_q_ends_with_it(
    drive: Drive, use_engine: UseEngine
) -> None:
    use_engine(Stubborn())

    async def scenario(user: Driver) -> None:
        await user.sees(
            "Postgres ended with [exit] code 1.", "Look at devdb logs.", "✕ postgres", "r Retry"
        )
        await user.press("q")
        ending = await user.ended()
        assert isinstance(ending.error, StartFailed)

    drive(scenario)
    assert marker.load(NAME) is None


def test_r_tries_again(drive: Drive, use_engine: UseEngine) -> None:
    engine = Stubborn()
    use_engine(engine)

    async def scenario(user: Driver) -> None:
        await user.sees("✕ not started")
        engine.broken = False
        await user.press("r")
        await user.ready()

    drive(scenario)


@pytest.mark.parametrize("way", ["ctrl+c", "q", "interrupt", "terminate"])
@pytest.mark.parametrize("step", [Step.PREPARE, Step.POSTGRES, Step.PGBOUNCER, Step.LOGIN])
def test_cancelling_a_fresh_start_leaves_nothing(
    drive: Drive, use_engine: UseEngine, home: Path, step: Step, way: str
) -> None:
    use_engine(StopsAt(step))

    async def scenario(user: Driver) -> None:
        await user.sees(step.value)
        if way in ("ctrl+c", "q"):
            await user.press(way)
        else:
            getattr(user.app, way)()
        ending = await user.ended()
        assert ending.code == ExitCode.INTERRUPTED

    drive(scenario)
    assert list((home / "instances").iterdir()) == []


def test_cancelling_the_start_of_an_old_one_keeps_its_data(
    drive: Drive, use_engine: UseEngine, settings: Settings, project: Path
) -> None:
    list(up.up(settings, project, NAME))
    before = marker.load(NAME)
    assert before is not None
    down.down(before)
    use_engine(StopsAt(Step.LOGIN))

    async def scenario(user: Driver) -> None:
        await user.sees("login")
        await user.press("ctrl+c")
        assert (await user.ended()).code == ExitCode.INTERRUPTED

    drive(scenario)
    assert marker.load(NAME) == before
    assert engines.get("fake").find(NAME) is not None


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (None, None, "Cancelled the start of"),
        (State.STOPPED, State.STOPPED, "it is stopped, its data is kept"),
        (State.RUNNING, State.RUNNING, "runs on, as it did"),
    ],
)
def test_cancelled_when_it_was_ready_already_it_is_as_it_was(
    settings: Settings, project: Path, before: State | None, after: State | None, words: str
) -> None:
    """Ctrl-C between the last step and the dashboard."""
    if before is not None:
        list(up.up(settings, project, NAME))
    if before == State.STOPPED:
        spec = marker.load(NAME)
        assert spec is not None
        down.down(spec)
    cancelled = Event()
    messages = []
    for message in start(settings, project, NAME, cancelled):
        messages.append(message)
        if isinstance(message, Stepped) and message.progress.step == Step.READY:
            cancelled.set()
    last = messages[-1]
    assert isinstance(last, Cancelled)
    assert words in last.words
    spec = marker.load(NAME)
    assert (instances.find(spec).state if spec else None) == after


def test_what_needs_consent_is_asked_for(drive: Drive, settings: Settings, project: Path) -> None:
    list(up.up(settings, project, NAME))
    FakeEngine().stop(NAME, destroy=True)

    async def scenario(user: Driver) -> None:
        await user.sees("Make a new, empty one in its place?")
        await user.press("n")
        await user.sees("r Retry")
        assert FakeEngine().find(NAME) is None
        await user.press("r")
        await user.sees("Make a new, empty one in its place?")
        await user.press("y")
        await user.ready()

    drive(scenario)


def test_d_while_starting_leaves_it_running_when_it_is_ready(
    drive: Drive, use_engine: UseEngine
) -> None:
    engine = Pulling(pace=0.05)
    use_engine(engine)

    async def scenario(user: Driver) -> None:
        await user.sees("d Detach when ready")
        await user.press("d")
        await user.sees("then detaching")
        engine.released = True
        ending = await user.ended()
        assert ending.code == ExitCode.OK
        assert "runs on" in ending.words

    drive(scenario)
    spec = marker.load(NAME)
    assert spec is not None
    assert instances.find(spec).state == State.RUNNING
