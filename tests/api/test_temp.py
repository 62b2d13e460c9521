"""`with devdb.temp()`: what a test suite or a script gets from `import devdb`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from world import NewSpec

import devdb
from devdb import temporary, workspace
from devdb.engines import Engine
from devdb.errors import NotFound, UsageError
from devdb.model import Spec


@pytest.fixture
def instance(real_engine: Engine, new_spec: NewSpec) -> Spec:
    spec = new_spec(real_engine)
    *_, last = real_engine.start(spec)
    assert last.server is not None
    return spec


def test_it_is_there_in_the_block_and_gone_behind_it(instance: Spec) -> None:
    with devdb.temp("1h", instance=instance.name) as db:
        for url in (db.url, db.pooled_url):
            with psycopg.connect(url, connect_timeout=5) as connection:
                row = connection.execute("SELECT current_user, current_database()").fetchone()
                assert row == (db.name, db.name)
        assert [each.name for each in temporary.every(instance)] == [db.name]
    assert temporary.every(instance) == []
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(db.url, connect_timeout=5)


def test_an_error_in_the_block_drops_it_too(instance: Spec) -> None:
    with pytest.raises(ZeroDivisionError), devdb.temp(instance=instance.name):
        _ = 1 / 0
    assert temporary.every(instance) == []


def test_one_that_is_claimed_or_dropped_in_the_block_is_left_as_it_is(instance: Spec) -> None:
    with devdb.temp(instance=instance.name) as kept:
        temporary.claim(instance, kept.name)
    with devdb.temp(instance=instance.name) as gone:
        temporary.drop(instance, [gone.name])
    assert [each.name for each in temporary.every(instance)] == [kept.name]


def test_a_stopped_instance_is_started(instance: Spec, real_engine: Engine) -> None:
    real_engine.stop(instance.name)
    with devdb.temp(instance=instance.name) as db, psycopg.connect(db.url):
        assert workspace.find(instance).state is workspace.State.RUNNING


def test_a_copy_has_what_the_source_had(instance: Spec) -> None:
    with devdb.temp(instance=instance.name) as first:
        with psycopg.connect(first.url) as connection:
            connection.execute("CREATE TABLE greeting AS SELECT 'hello' AS word")
        with (
            devdb.temp(source=first.name, instance=instance.name) as second,
            psycopg.connect(second.url) as connection,
        ):
            assert connection.execute("SELECT word FROM greeting").fetchone() == ("hello",)


def test_what_cannot_be_is_refused_before_anything_is_made(instance: Spec) -> None:
    with pytest.raises(UsageError), devdb.temp("999d", instance=instance.name):
        pass
    with pytest.raises(NotFound), devdb.temp(source="nothere", instance=instance.name):
        pass
    assert temporary.every(instance) == []


def test_importing_devdb_imports_next_to_nothing() -> None:
    code = "import sys, devdb; print([m for m in sys.modules if m.startswith('devdb')])"
    root = Path(devdb.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert done.stdout.strip() == "['devdb']"
