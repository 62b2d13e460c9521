"""A disk that is full, a directory that is not ours, a path too long for a socket."""

from __future__ import annotations

import itertools
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
import world
from libpq import connect
from world import Elsewhere

from devdb import marker
from devdb.engines.native import binaries
from devdb.engines.native.engine import NativeEngine
from devdb.engines.native.layout import Layout
from devdb.errors import DevdbError
from devdb.model import Spec


def refusal(native: NativeEngine, spec: Spec) -> DevdbError:
    """The error a start ends in; it is two lines."""
    with pytest.raises(DevdbError) as caught:
        list(native.start(spec))
    error = caught.value
    assert error.message
    assert error.hint
    assert "\n" not in error.message + error.hint
    return error


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_a_full_disk_ends_a_fresh_start_and_leaves_nothing(
    native: NativeEngine, spec: Spec, small_disk: Path, elsewhere: Elsewhere
) -> None:
    with elsewhere(small_disk):
        error = refusal(native, spec)
        assert "No space left" in error.message
        assert "MB free" in error.hint
        assert native.find(spec.name) is None
    assert world.processes(spec.name, small_disk) == []
    assert files(small_disk) == []


def test_a_full_disk_ends_the_making_of_a_template_and_leaves_nothing(
    native: NativeEngine, spec: Spec, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVDB_PGBOUNCER", str(binaries.pooler().path))
    monkeypatch.setenv("DEVDB_CACHE_DIR", str(small_disk))
    error = refusal(native, spec)
    assert "No space left" in error.message
    assert "DEVDB_CACHE_DIR" in error.hint
    assert files(small_disk) == []
    assert native.find(spec.name) is None


def test_a_disk_that_fills_up_later_costs_no_data(
    native: NativeEngine, spec: Spec, large_disk: Path, elsewhere: Elsewhere
) -> None:
    with elsewhere(large_disk):
        list(native.start(spec))
        with connect(spec.direct) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        native.stop(spec.name)
        filler = world.fill(large_disk)
        error = refusal(native, spec)
        assert "No space left" in error.message
        assert error.hint.endswith(f"devdb up -d -n {spec.name}")  # not: in another directory
        assert world.processes(spec.name, large_disk) == []

        filler.unlink()
        list(native.start(spec))
        with connect(spec.pooled) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_inodes_that_are_used_up_are_not_taken_for_bytes(
    native: NativeEngine, spec: Spec, few_inodes: Path, elsewhere: Elsewhere
) -> None:
    with elsewhere(few_inodes):
        list(native.start(spec))
        native.stop(spec.name)
        files = few_inodes / "files"
        files.mkdir()
        with suppress(OSError):
            for number in itertools.count():
                (files / str(number)).touch()
        for fail in (refusal, lambda *_: refused_marker(spec)):
            hint = fail(native, spec).hint
            assert "no inodes left" in hint
            assert "MB free" not in hint
        shutil.rmtree(files)
        # And for a new one, which gets as far as it can.
        native.stop(spec.name, destroy=True)
        files.mkdir()
        for number in range(1500):
            (files / str(number)).touch()
        assert "no inodes left" in refusal(native, spec).hint
        shutil.rmtree(files)


def refused_marker(spec: Spec) -> DevdbError:
    """The error of who cannot write the marker."""
    with pytest.raises(DevdbError) as caught:
        marker.save(spec)
    return caught.value


def test_a_data_directory_that_cannot_be_written_is_named(
    native: NativeEngine, spec: Spec, read_only: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("DEVDB_DATA_DIR", str(read_only))
        error = refusal(native, spec)
    assert str(read_only) in error.message
    assert "DEVDB_DATA_DIR" in error.hint


@pytest.mark.parametrize("part", ["d" * 60, "with space", "quote'd", "comma,semi;%n"])
def test_a_path_that_sockets_cannot_have_works_without_them(
    native: NativeEngine, spec: Spec, home: Path, elsewhere: Elsewhere, part: str
) -> None:
    with elsewhere(home / part):
        assert Layout.of(spec.name).socket_directory is None
        list(native.start(spec))
        with connect(spec.pooled) as connection:
            row = connection.execute("SHOW unix_socket_directories").fetchone()
        assert row == ("",)


def test_the_users_environment_does_not_reach_the_servers(
    native: NativeEngine, spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    monkeypatch.setenv("LC_ALL", "xx_XX.nothing")
    monkeypatch.setenv("LANGUAGE", "de")
    list(native.start(spec))
    with connect(spec.direct, options="") as connection:
        row = connection.execute("SHOW lc_messages").fetchone()
    assert row is not None
    assert row[0] in ("C", "C.UTF-8")
