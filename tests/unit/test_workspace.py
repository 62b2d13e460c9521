"""The use cases over the fake engine: what they do with names, markers and ports."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from devdb import marker
from devdb.config import Settings
from devdb.engines.fake import FakeEngine
from devdb.errors import DataMismatch, NotFound, PortInUse, StartFailed
from devdb.model import Progress, Spec, Step
from devdb.workspace import down, instances, names, up
from devdb.workspace.instances import State
from devdb.workspace.names import Gone
from devdb.workspace.pulse import Pulse
from devdb.workspace.up import Outcome, Ready

FAKE = Settings(engine="fake")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVDB_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "shop"
    path.mkdir()
    return path


def start(project: Path, settings: Settings = FAKE, name: str | None = None) -> Ready:
    *_, last = up.up(settings, project, names.resolve(name, project))
    assert isinstance(last, Ready)
    return last


def test_up_creates_then_attaches_then_starts(project: Path) -> None:
    created = start(project)
    assert created.outcome is Outcome.CREATED
    assert start(project).outcome is Outcome.ATTACHED
    assert down.down(created.instance.spec)
    assert not down.down(created.instance.spec)
    again = start(project)
    assert again.outcome is Outcome.STARTED
    assert again.instance.spec == created.instance.spec


def test_the_steps_come_in_their_order(project: Path) -> None:
    steps = [p.step for p in up.up(FAKE, project, "shop") if isinstance(p, Progress)]
    assert steps == sorted(steps, key=list(Step).index)
    assert steps[-1] is Step.READY


def test_remove_leaves_nothing(project: Path) -> None:
    spec = start(project).instance.spec
    down.remove(spec)
    assert instances.every()[0] == []
    with pytest.raises(NotFound):
        names.resolve_existing(None, project)


def test_two_projects_with_one_directory_name_get_two_instances(tmp_path: Path) -> None:
    for parent in ("a", "b"):
        (tmp_path / parent / "shop").mkdir(parents=True)
    first = start(tmp_path / "a" / "shop").instance.spec
    second = start(tmp_path / "b" / "shop").instance.spec
    assert first.name == "shop"
    assert second.name.startswith("shop-")
    assert {first.port, first.pool_port}.isdisjoint({second.port, second.pool_port})
    assert names.resolve(None, tmp_path / "b" / "shop") == second.name


def test_a_vanished_project_is_said_and_can_be_adopted(tmp_path: Path, project: Path) -> None:
    start(project)
    shutil.rmtree(project)
    heir = tmp_path / "elsewhere" / "shop"
    heir.mkdir(parents=True)
    with pytest.raises(Gone, match="gone"):
        names.resolve(None, heir)
    adopted = start(heir, name="shop")
    assert adopted.instance.spec.project == heir
    assert names.resolve(None, heir) == "shop"


def test_one_that_is_left_at_ready_is_whole(project: Path) -> None:
    stream = up.up(FAKE, project, "shop")
    for item in stream:
        if isinstance(item, Progress) and item.step is Step.READY:
            break
    stream.close()  # type: ignore[attr-defined]
    spec = marker.load("shop")
    assert spec is not None
    assert instances.find(spec).state is State.RUNNING


@pytest.mark.parametrize("last", [Step.CHOOSE, Step.PREPARE, Step.POSTGRES, Step.LOGIN])
def test_a_cancelled_new_instance_leaves_nothing(project: Path, last: Step) -> None:
    stream = up.up(FAKE, project, "shop")
    for item in stream:
        if isinstance(item, Progress) and item.step is last:
            break
    stream.close()  # type: ignore[attr-defined]
    assert marker.load("shop") is None
    assert FakeEngine().find("shop") is None


def test_a_cancelled_restart_keeps_the_instance(project: Path) -> None:
    spec = start(project).instance.spec
    down.down(spec)
    stream = up.up(FAKE, project, "shop")
    next(stream)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert marker.load("shop") == spec
    assert instances.find(spec).state is State.STOPPED


def test_ten_at_once_make_one_instance(project: Path) -> None:
    results: list[Ready] = []
    threads = [threading.Thread(target=lambda: results.append(start(project))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(r.outcome for r in results) == ["attached"] * 9 + ["created"]
    assert len(instances.every()[0]) == 1


def test_one_that_another_devdb_makes_meanwhile_is_the_projects(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one of another project that has its name."""
    name = start(project).instance.spec.name
    monkeypatch.setattr(marker, "every", lambda: [])  # as it was when that was looked for
    assert names.resolve(None, project) == name


def test_what_may_change_changes_and_is_said(project: Path) -> None:
    start(project)
    ready = start(project, Settings(engine="fake", max_connections=50, port=19999))
    assert ready.outcome is Outcome.STARTED
    assert ready.instance.spec.port == 19999
    assert ready.instance.spec.settings == (("max_connections", "50"),)
    assert any("15432 -> 19999" in change for change in ready.changes) or ready.changes
    assert marker.load("shop") == ready.instance.spec


def test_an_option_of_postgres_holds_until_it_is_given_again(project: Path) -> None:
    start(project, Settings(engine="fake", max_connections=50))
    start(project, Settings(engine="fake", log_min_duration_statement=200))
    ready = start(project, Settings(engine="fake", max_connections=60))
    assert dict(ready.instance.spec.settings) == {
        "log_min_duration_statement": "200",
        "max_connections": "60",
    }
    ready = start(project, Settings(engine="fake", postgres=(("work_mem", "8MB"),)))
    assert ready.instance.spec.settings == (("work_mem", "8MB"),)


def test_another_major_or_engine_is_refused(project: Path) -> None:
    start(project)
    with pytest.raises(DataMismatch, match="18"):
        start(project, Settings(engine="fake", pg=17))
    with pytest.raises(DataMismatch, match="fake"):
        start(project, Settings(engine="native"))


def test_a_port_of_a_stopped_instance_is_not_given_away(tmp_path: Path, project: Path) -> None:
    spec = start(project).instance.spec
    down.down(spec)
    with pytest.raises(PortInUse, match="shop"):
        start(tmp_path, Settings(engine="fake", port=spec.port), name="other")
    assert marker.load("other") is None


def test_globs_select_and_a_miss_lists_what_there_is(project: Path) -> None:
    for name in ("shop", "shop-2", "blog"):
        start(project, name=name)
    assert [spec.name for spec in instances.matching(["shop*"])] == ["shop", "shop-2"]
    with pytest.raises(NotFound) as error:
        instances.matching(["nope"])
    assert "blog" in error.value.hint


def test_a_dead_part_makes_it_degraded_and_up_repairs(project: Path) -> None:
    spec = start(project).instance.spec
    FakeEngine().kill(spec.name, "pgbouncer")
    assert instances.find(spec).state is State.DEGRADED
    assert start(project).outcome is Outcome.STARTED
    assert instances.find(spec).state is State.RUNNING


def test_an_engine_that_refuses_to_tell_is_no_end_of_looking(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = start(project).instance.spec
    refusal = StartFailed("The engine refused.", "Ask again.")

    def refuse(_engine: FakeEngine, _name: str) -> None:
        raise refusal

    with monkeypatch.context() as patch:
        patch.setattr(FakeEngine, "find", refuse)
        pulse = Pulse(spec)
        for found in (instances.find(spec), pulse.look()[0]):
            assert (found.state, found.trouble) == (State.UNKNOWN, refusal)
    assert pulse.look()[0].state is State.RUNNING


def test_removal_says_what_would_go(project: Path) -> None:
    spec: Spec = start(project).instance.spec
    down.down(spec)
    removal = down.removal(spec)
    assert removal.state is State.STOPPED
    assert removal.databases is None
    assert "shop" in removal.location
