from __future__ import annotations

import json
import stat
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from devdb import marker, paths
from devdb.errors import DevdbError, TimedOut
from devdb.model import PoolMode, Spec

SPEC = Spec(
    name="shop",
    project=Path("/projects/shop"),
    engine="native",
    port=15432,
    pool_port=16543,
    password="s3cret",
    created=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    pool_mode=PoolMode.SESSION,
    major=17,
    settings=(("work_mem", "64MB"),),
    pooler_settings=(("max_client_conn", "50"),),
)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVDB_DATA_DIR", str(tmp_path / "data"))


def test_what_was_saved_is_loaded() -> None:
    marker.save(SPEC)
    assert marker.load("shop") == SPEC
    assert marker.every() == [SPEC]


def test_one_of_an_older_devdb_says_nothing_of_pgbouncer() -> None:
    marker.save(SPEC)
    path = paths.instance_dir("shop") / "marker.json"
    values = json.loads(path.read_text())
    del values["pooler_settings"]
    path.write_text(json.dumps(values))
    assert marker.load("shop") == replace(SPEC, pooler_settings=())


def test_where_an_engine_is_has_the_key_that_every_devdb_reads() -> None:
    spec = replace(SPEC, host="unix:///run/engine.sock")
    marker.save(spec)
    values = json.loads((paths.instance_dir("shop") / "marker.json").read_text())
    assert values["docker_host"] == spec.host
    assert "host" not in values
    assert marker.load("shop") == spec


def test_only_the_owner_can_read_it() -> None:
    marker.save(SPEC)
    path = paths.instance_dir("shop") / "marker.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_reaper_is_not_saved() -> None:
    marker.save(replace(SPEC, reaper="psql"))
    assert marker.load("shop") == SPEC


def test_what_an_older_devdb_does_not_know_is_written_where_it_says_something() -> None:
    marker.save(SPEC)
    path = paths.instance_dir("shop") / "marker.json"
    newer = {"http_port", "has_tls", "scram_rounds", "in_memory"}
    assert newer.isdisjoint(json.loads(path.read_text()))
    spec = replace(SPEC, http_port=17654, has_tls=False, scram_rounds=1, in_memory=True)
    marker.save(spec)
    assert newer < set(json.loads(path.read_text()))
    assert marker.read(path) == spec


def test_absent_is_none_and_deleting_it_again_is_no_error() -> None:
    assert marker.load("shop") is None
    marker.save(SPEC)
    marker.delete("shop")
    marker.delete("shop")
    assert marker.every() == []
    assert not paths.instance_dir("shop").exists()


def test_deleting_leaves_an_engines_data_alone() -> None:
    marker.save(SPEC)
    data = paths.instance_dir("shop") / "data"
    data.mkdir()
    marker.delete("shop")
    assert data.exists()


@pytest.mark.parametrize("text", ["", "\0\0", "{", "[]", "7", '{"format": 1}', '{"format": []'])
def test_a_damaged_marker_is_an_error_with_a_way_out_and_no_end_of_the_others(text: str) -> None:
    other = replace(SPEC, name="blog")
    marker.save(SPEC)
    marker.save(other)
    (paths.instance_dir("shop") / "marker.json").write_text(text)
    with pytest.raises(marker.Damaged, match=r"marker\.json") as error:
        marker.load("shop")
    assert "devdb up -n shop --adopt" in error.value.hint
    assert marker.every() == [other]
    assert list(marker.unreadable()) == ["shop"]


@pytest.mark.parametrize("more", [{"colour": "blue"}, {"format": 2}])
def test_a_marker_with_more_in_it_is_from_a_newer_devdb_and_not_to_be_replaced(
    more: dict[str, object],
) -> None:
    marker.save(SPEC)
    path = paths.instance_dir("shop") / "marker.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **more}))
    with pytest.raises(DevdbError, match=r"newer devdb: .*(colour|format)") as error:
        marker.load("shop")
    assert not isinstance(error.value, marker.Damaged)
    assert "--adopt" not in error.value.hint


@pytest.mark.parametrize(("major", "has_data"), [(17, True), (None, False)])
def test_one_of_an_older_devdb_has_data_when_it_knows_the_major(
    major: int | None, has_data: bool
) -> None:
    marker.save(replace(SPEC, major=major))
    path = paths.instance_dir("shop") / "marker.json"
    values = json.loads(path.read_text())
    del values["has_data"]
    path.write_text(json.dumps(values))
    loaded = marker.load("shop")
    assert loaded is not None
    assert loaded.has_data is has_data


def test_the_lock_is_held_by_one_and_given_back() -> None:
    refused: list[TimedOut] = []

    def other() -> None:
        try:
            with marker.locked("shop", timeout=0.1):
                pass
        except TimedOut as error:
            refused.append(error)

    with marker.locked("shop", timeout=1):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert refused
    with marker.locked("shop", timeout=1):
        pass


def test_a_password_is_not_shown() -> None:
    assert "s3cret" not in repr(SPEC)
    assert "s3cret" not in repr(SPEC.direct)


def test_an_error_of_what_is_done_under_the_lock_is_not_the_lock_s() -> None:
    error = OSError("of the work")
    with pytest.raises(OSError, match="of the work") as caught, marker.locked("shop", timeout=1):
        raise error
    assert caught.value is error
    with marker.locked("shop", timeout=1):
        pass
