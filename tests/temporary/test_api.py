"""`devdb.temp`, as a program of the user's calls it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from inside import Inside
from instances import Instance
from world import NewSpec

import devdb
from devdb import marker, temporary
from devdb.engines import Engine
from devdb.errors import UsageError
from devdb.model import Spec


@pytest.fixture
def project(shared: Instance, spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project directory whose instance is the shared one."""
    monkeypatch.setenv("DEVDB_DATA_DIR", str(shared.home))
    (tmp_path / "devdb.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    marker.save(replace(spec, project=tmp_path))
    return tmp_path


def test_it_is_there_inside_of_the_block_and_gone_after_it(
    project: Path, spec: Spec, inside: Inside
) -> None:
    with devdb.temp(ttl="1h") as db:
        assert db.instance == spec.name
        for url in (db.url, db.pooled_url):
            with psycopg.connect(url) as connection:
                row = connection.execute("SELECT current_database()::text").fetchone()
            assert row == (db.name,)
        assert f":{spec.port}/" in db.url
        assert f":{spec.pool_port}/" in db.pooled_url
        [found] = temporary.every(spec)
        assert found.expires == db.expires
        assert found.direct.password not in repr(db)
    assert inside.entries() == {}


def test_an_error_in_the_block_comes_out_and_it_is_gone(project: Path, inside: Inside) -> None:
    with pytest.raises(ZeroDivisionError), devdb.temp(ttl=timedelta(minutes=5)):
        raise ZeroDivisionError
    assert inside.entries() == {}


def test_one_that_was_claimed_is_kept_and_one_that_is_gone_is_no_error(
    project: Path, spec: Spec, inside: Inside
) -> None:
    with devdb.temp(name="kept") as db:
        temporary.claim(spec, db.name)
    assert inside.entries() == {"kept": "claimed"}
    with devdb.temp() as db:
        temporary.drop(spec, [db.name])
    assert inside.entries() == {"kept": "claimed"}


def test_it_copies_and_seeds(project: Path, inside: Inside, tmp_path: Path) -> None:
    inside.sql("CREATE TABLE numbers AS SELECT 42 AS n", database="main")
    (tmp_path / "seed.sql").write_text("INSERT INTO numbers VALUES (43);")
    try:
        with (
            devdb.temp(source="main", seed=tmp_path / "seed.sql") as db,
            psycopg.connect(db.url) as connection,
        ):
            assert connection.execute("SELECT sum(n) FROM numbers").fetchone() == (85,)
        assert inside.sql("SELECT n FROM numbers", database="main") == [42]
    finally:
        inside.sql("DROP TABLE numbers", database="main")


def test_a_time_to_live_that_cannot_be_is_refused_before_anything_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for ttl in ("0", "999d", timedelta(0)):
        with pytest.raises(UsageError), devdb.temp(ttl=ttl):
            pass
    assert marker.every() == []


def test_an_instance_that_does_not_run_is_started(real_engine: Engine, new_spec: NewSpec) -> None:
    spec = new_spec(real_engine)
    with devdb.temp(instance=spec.name) as db, psycopg.connect(db.pooled_url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_importing_devdb_loads_none_of_it() -> None:
    program = "import devdb, sys; print([m for m in sys.modules if m.startswith('devdb.')])"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert output.stdout.strip() == b"[]"
