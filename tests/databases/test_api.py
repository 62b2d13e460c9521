"""`devdb.up`, `devdb.instance` and `devdb.temp`, as a program of the user's calls them."""

from __future__ import annotations

import doctest
import logging
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import world
from inside import Inside
from instances import Instance
from world import NewSpec

import devdb
from devdb import api, databases, marker
from devdb.engines import Engine
from devdb.errors import NotFound, UsageError
from devdb.model import Spec
from devdb.workspace import down


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
        [found] = databases.every(spec)
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
        databases.claim(spec, db.name)
    assert inside.entries() == {"kept": "claimed"}
    with devdb.temp() as db:
        databases.drop(spec, [db.name])
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


def test_the_examples_in_the_docstrings_work(
    real_engine: Engine, new_spec: NewSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On an instance of their own: `devdb.up()` gives it a reaper, which the shared one has not."""
    new_spec(real_engine, project=tmp_path)
    (tmp_path / "devdb.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    tried, failed = 0, ""
    for example in doctest.DocTestFinder().find(api):
        runner = doctest.DocTestRunner(optionflags=doctest.REPORT_ONLY_FIRST_FAILURE)
        said: list[str] = []
        done = runner.run(example, out=said.append)
        tried, failed = tried + done.attempted, failed + ("".join(said) if done.failed else "")
    assert failed == ""
    assert tried > 10


def test_an_instance_tells_of_itself(
    project: Path, spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = devdb.instance()
    assert (found.name, found.engine, found.project) == (spec.name, spec.engine, project)
    assert spec.password not in repr(found)
    assert f":{found.port}/" in found.url
    assert f":{found.pool_port}/" in found.pooled_url
    (project / "devdb.toml").write_text('[env]\nMY_URL = "direct"\n')
    monkeypatch.chdir("/")  # no project, and its own settings hold all the same
    assert devdb.instance(spec.name).env() == {"MY_URL": found.url}
    assert found.url_for("asyncpg") == found.url
    with pytest.raises(UsageError):
        found.url_for("asnycpg")
    with found.temp(ttl="1h") as db:
        assert db.instance == spec.name
    with pytest.raises(devdb.DevdbError):
        devdb.instance()


@pytest.mark.parametrize("shared", ["native"], indirect=True)  # for its images and programs
def test_up_makes_one_that_stays_once_and_says_so(
    shared: Instance,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    free_port: Callable[[], int],
) -> None:
    (tmp_path / "devdb.toml").write_text(
        f'name = "api"\nport = {free_port()}\npool-port = {free_port()}\n'
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFound):
        devdb.instance()
    assert marker.every() == []
    caplog.set_level(logging.INFO, "devdb")
    try:
        with ThreadPoolExecutor() as pool:
            both = [pool.submit(devdb.up, engine="native") for _ in range(2)]
            first, second = (each.result() for each in both)
        assert first == second == devdb.instance()
        assert [record.getMessage() for record in caplog.records].count("created 'api'") == 1
        with psycopg.connect(first.pooled_url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert first.running
        first.down()
        assert not first.running
        with devdb.temp(ttl="1h") as db:  # which starts it
            assert first.running, db
    finally:
        for spec in marker.every():
            down.remove(spec)
    assert not first.running
    with pytest.raises(NotFound):
        first.env()
    assert world.traces("api", home, engine="native") == []


def test_importing_devdb_loads_none_of_it() -> None:
    program = "import devdb, sys; print([m for m in sys.modules if m.startswith('devdb.')])"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert output.stdout.strip() == b"[]"
