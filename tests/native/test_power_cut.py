"""A power cut: what READY was said of is on the disk, and what is not is made anew.

`DEVDB_TEST_CUTS=0,3,10` says at which seconds after READY, one instance after the other, the power
goes; a second is named as often as it is to be tried.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
import world
from libpq import connect
from native import blockdevice
from native.blockdevice import Disk
from world import NewSpec

from devdb import marker, paths, wire
from devdb.engines import programs
from devdb.engines.native import binaries
from devdb.engines.native.engine import NativeEngine
from devdb.model import Spec, Step
from devdb.replacing import sync_directory

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "zeros": lambda content: bytes(len(content)),
}
"""What a power cut leaves of a file that was not synced."""
MOMENTS = [float(each) for each in os.environ.get("DEVDB_TEST_CUTS", "0,0.7,2.5").split(",")]


@pytest.fixture
def disk(native: NativeEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """A disk with all that devdb keeps on it: data and cache, the PgBouncer of the real one too."""
    monkeypatch.setenv("DEVDB_PGBOUNCER", str(binaries.pooler().path))
    with blockdevice.disk(megabytes=450) as made:
        monkeypatch.setenv("DEVDB_DATA_DIR", str(made.place / "data"))
        monkeypatch.setenv("DEVDB_CACHE_DIR", str(made.place / "cache"))
        yield made


@pytest.fixture
def on_disk(disk: Disk, native: NativeEngine, new_spec: NewSpec, home: Path) -> Iterator[NewSpec]:
    """Makes Specs whose marker is on that disk; none of their processes is left in the end."""
    made: list[Spec] = []

    def make() -> Spec:
        made.append(new_spec(native))
        return made[-1]

    yield make
    for spec in made:
        native.stop(spec.name, destroy=True)
        marker.delete(spec.name)
    idle(disk)


def idle(disk: Disk) -> None:
    """Wait until nobody makes a spare any more, which keeps the disk busy."""
    world.eventually(lambda: not world.mentioning(disk.place), "nobody is at work on the disk")


def start(native: NativeEngine, spec: Spec) -> None:
    """As another devdb would: nothing is remembered of what programs said."""
    programs._ask.cache_clear()
    assert list(native.start(spec))[-1].step == Step.READY


def write(spec: Spec, until: float) -> int:
    """Commit row after row until that moment of the monotonic clock; how many there are then."""
    count = 0
    with connect(spec.direct) as connection:
        connection.execute("CREATE TABLE kept (number int)")
        while time.monotonic() < until or count == 0:
            count += 1
            connection.execute("INSERT INTO kept VALUES (%s)", [count])
    return count


def read(spec: Spec) -> int:
    with connect(spec.pooled) as connection:
        row = connection.execute("SELECT count(*), max(number) FROM kept").fetchone()
    assert row is not None
    assert row[0] == row[1]
    return int(row[0])


def has_tls(spec: Spec) -> bool:
    return all(wire.offers_tls(each.host, each.port) for each in (spec.direct, spec.pooled))


def test_an_instance_that_was_ready_starts_with_every_row(
    disk: Disk, native: NativeEngine, on_disk: NewSpec
) -> None:
    for moment in MOMENTS:
        spec = on_disk()
        start(native, spec)
        ready = time.monotonic()
        with_tls = has_tls(spec)
        written = write(spec, until=ready + moment)
        copy = disk.cut()
        native.stop(spec.name)
        idle(disk)
        disk.restore(copy)

        start(native, marker.load(spec.name) or pytest.fail("its marker is lost"))
        assert has_tls(spec) == with_tls
        assert read(spec) == written
        native.stop(spec.name, destroy=True)


def test_what_was_made_for_later_instances_is_whole(
    disk: Disk, native: NativeEngine, on_disk: NewSpec, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Template, spare, and programs copied out of where root's servers do not get to."""
    with tempfile.TemporaryDirectory() as closed:
        programs = Path(closed) / wheel.name
        shutil.copytree(wheel, programs, symlinks=True)
        libraries = wheel.with_name(f"{wheel.name}.libs")
        shutil.copytree(libraries, programs.with_name(libraries.name), symlinks=True)
        monkeypatch.setenv("DEVDB_PG_BIN", str(programs / "pginstall" / "bin"))
        first, second, third = (on_disk() for _ in range(3))
        start(native, first)
        copy = disk.cut()
        native.stop(first.name, destroy=True)
        disk.restore(copy)
        start(native, first)
        start(native, second)
        (spare,) = world.eventually(
            lambda: list(disk.place.glob("cache/templates/*/spares/spare-*")), "a spare"
        )
        sync_directory(spare.parent)  # the name is no promise; what it names has to be whole
        copy = disk.cut()
        for spec in (first, second):
            native.stop(spec.name)
        idle(disk)
        disk.restore(copy)
        assert spare.exists()
        start(native, third)
        assert not spare.exists()
        assert write(third, until=0) == 1


def test_a_start_that_was_cut_short_begins_again(
    disk: Disk, native: NativeEngine, on_disk: NewSpec
) -> None:
    for step in (Step.POSTGRES, Step.LOGIN):
        spec = on_disk()
        starting = native.start(spec)
        assert isinstance(starting, Generator)
        while next(starting).step != step:
            pass
        copy = disk.cut()
        starting.close()
        idle(disk)
        disk.restore(copy)
        start(native, spec)
        assert write(spec, until=0) == 1
        assert read(spec) == 1
        native.stop(spec.name, destroy=True)


def written_by_devdb(spec: Spec, cache: Path) -> list[Path]:
    """What is not Postgres' own, not a log, and not the marker, which is on the disk before all."""
    root = paths.instance_dir(spec.name)
    found = [path for path in (*root.rglob("*"), *cache.glob("answers/**/*")) if path.is_file()]
    theirs = (root / "native" / "data", root / "native" / "log", root / "marker.json")
    ours = [path for path in found if not any(path.is_relative_to(each) for each in theirs)]
    return [*ours, root / "native" / "data" / "postmaster.pid"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_a_cut_leaves_of_any_file_is_made_anew(
    native: NativeEngine, spec: Spec, cache: Path, home: Path, damage: str
) -> None:
    start(native, spec)
    with_tls = has_tls(spec)
    written = write(spec, until=0)
    paths_of = written_by_devdb(spec, cache)
    assert {path.name for path in paths_of} >= {
        *("initialised", "pgbouncer.pid", "postmaster.pid", "pgbouncer.ini", "userlist.txt"),
        *("postgresql.conf", "pg_hba.conf", "server.key", "server.crt", "ca.crt"),
    }
    assert cache / "answers" / "programs" in {path.parent for path in paths_of}
    for path in paths_of:
        world.crash(spec.name, home)
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
        found = native.find(spec.name)
        assert found is not None
        assert not found.running, path
        start(native, spec)
        assert read(spec) == written, path
        assert has_tls(spec) == with_tls, path


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_start_that_was_at_work_is_ended_whatever_is_left_of_its_sign(
    native: NativeEngine, spec: Spec, home: Path, damage: str
) -> None:
    start(native, spec)
    written = write(spec, until=0)
    sign = paths.instance_dir(spec.name) / "native" / "starting"
    sign.write_bytes(DAMAGES[damage](b"anything"))
    start(native, spec)
    assert not sign.exists()
    assert read(spec) == written


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_template_whose_password_is_lost_is_made_anew(
    native: NativeEngine, new_spec: NewSpec, cache: Path, damage: str
) -> None:
    start(native, new_spec(native))
    start(native, new_spec(native))
    (spare,) = world.eventually(lambda: list(cache.glob("templates/*/spares/spare-*")), "a spare")
    password = spare.parent.parent / "password"
    password.write_bytes(DAMAGES[damage](password.read_bytes()))
    spec = new_spec(native)
    start(native, spec)
    assert write(spec, until=0) == 1
    assert len(password.read_text()) == 32
    assert not spare.exists(), "it has another password"
    assert [path.name for path in (cache / "templates").iterdir() if path.is_dir()] == [
        password.parent.name
    ]
