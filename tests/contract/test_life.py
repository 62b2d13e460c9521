"""What every engine promises about starting, finding, stopping and removing an instance."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import psycopg
import pytest
import world
from libpq import connect
from world import NewSpec

from devdb import databases, engines
from devdb.engines import Engine
from devdb.engines.refusal import OtherPassword
from devdb.engines.vitals import Health
from devdb.errors import DataGone
from devdb.model import Endpoint, LogLine, PartState, PoolMode, Progress, Server, Spec, Step

TRIES = 3
"""A loaded machine may hold up one start; what an engine itself waits for holds up each."""


def start(engine: Engine, spec: Spec) -> Server:
    """Start to the end; the Server that READY carries."""
    server = list(engine.start(spec))[-1].server
    assert server is not None
    return server


def query(endpoint: Endpoint, sql: str) -> str:
    with connect(endpoint) as connection:
        row = connection.execute(sql).fetchone()
    assert row is not None
    return str(row[0])


def test_start_gives_a_sign_of_life_in_time(engine: Engine, new_spec: NewSpec) -> None:
    longest: list[float] = []
    while not longest or longest[-1] > world.LATE:
        assert len(longest) < TRIES, longest
        longest.append(max(world.gaps(engine.start(new_spec(engine)))))


def test_start_tells_its_steps_in_order_and_ends_ready(engine: Engine, spec: Spec) -> None:
    progress = list(engine.start(spec))
    order = [list(Step).index(p.step) for p in progress]
    assert order == sorted(order)
    assert {Step.PREPARE, Step.POSTGRES, Step.PGBOUNCER} <= {p.step for p in progress}
    assert [p.step for p in progress].count(Step.READY) == 1
    server = progress[-1].server
    assert server is not None
    assert (server.name, server.engine) == (spec.name, engine.name)
    assert server.running
    assert server.location
    for part in ("postgres", "pgbouncer"):
        assert server.part(part).version
        assert server.part(part).started is not None


def test_a_second_start_attaches_and_cancelling_it_leaves_the_instance_running(
    engine: Engine, spec: Spec
) -> None:
    first = start(engine, spec)
    attaching = engine.start(spec)
    next(iter(attaching))
    _close(attaching)
    found = engine.find(spec.name)
    assert found is not None
    assert found.running

    progress: list[Progress] = list(engine.start(spec))
    assert progress[-1].step == Step.READY
    assert Step.PULL not in {p.step for p in progress}
    second = progress[-1].server
    assert second is not None
    for part in ("postgres", "pgbouncer"):
        assert second.part(part).started == first.part(part).started


def test_find_and_list_know_it_while_it_lives(engine: Engine, spec: Spec) -> None:
    assert engine.find(spec.name) is None
    vitals = engine.vitals(spec)
    nothing = Health(postgres=None, pgbouncer=None)
    assert vitals.ask() == nothing
    started = start(engine, spec)
    assert vitals.ask().ready

    found = engines.get(engine.name, host=engine.host).find(spec.name)
    assert found is not None
    assert found.running
    assert found.location == started.location
    assert found.pool_mode == started.pool_mode
    assert [(p.name, p.version, p.started) for p in found.parts] == [
        (p.name, p.version, p.started) for p in started.parts
    ]
    assert spec.name in [server.name for server in engine.list()]

    engine.stop(spec.name)
    assert vitals.ask() == nothing
    found = engine.find(spec.name)
    assert found is not None
    assert found.stopped
    assert found.part("postgres").state == PartState.STOPPED
    assert spec.name in [server.name for server in engine.list()]

    engine.stop(spec.name, destroy=True)
    assert engine.find(spec.name) is None
    assert spec.name not in [server.name for server in engine.list()]


def test_stop_and_destroy_are_no_ops_when_nothing_is_there(engine: Engine, spec: Spec) -> None:
    engine.stop(spec.name)
    engine.stop(spec.name, destroy=True)
    engine.stop("test-never-heard-of")
    assert engine.find(spec.name) is None


def test_an_instance_whose_marker_is_lost_is_listed(engine: Engine, home: Path, spec: Spec) -> None:
    start(engine, spec)
    (home / "instances" / spec.name / "marker.json").unlink()
    assert spec.name in [server.name for server in engine.list()]
    engine.stop(spec.name, destroy=True)
    assert world.traces(spec.name, home) == []


def test_data_that_is_gone_is_not_made_anew_unasked(engine: Engine, spec: Spec, home: Path) -> None:
    start(engine, spec)
    engine.stop(spec.name)
    world.lose_data(engine, spec, home)
    with pytest.raises(DataGone) as caught:
        list(engine.start(replace(spec, has_data=True)))
    assert spec.name in caught.value.message
    assert f"devdb up -n {spec.name} --anew" in caught.value.hint
    found = engine.find(spec.name)
    assert found is None or found.stopped
    assert start(engine, spec).running


def test_an_instance_whose_marker_is_lost_is_known_by_what_it_was_started_with(
    real_engine: Engine, new_spec: NewSpec
) -> None:
    settings = (("max_connections", "40"), ("my.note", "it's \\ a\nnote"))
    spec = new_spec(real_engine, settings=settings, pool_mode=PoolMode.SESSION)
    assert real_engine.recover(spec.name) is None
    start(real_engine, spec)
    real_engine.stop(spec.name)
    known = real_engine.recover(spec.name)
    assert known is not None
    assert known.has_data
    for field in ("name", "engine", "port", "pool_port", "password", "pool_mode", "settings"):
        assert getattr(known, field) == getattr(spec, field), field

    other = replace(known, password="of-somebody-else", rekeyed=True)
    with pytest.raises(OtherPassword):
        start(real_engine, other)
    real_engine.stop(spec.name)
    real_engine.set_password(other)
    start(real_engine, other)
    assert query(other.direct, "SELECT 1") == query(other.pooled, "SELECT 1") == "1"
    with pytest.raises(psycopg.OperationalError, match="password"):
        query(spec.direct, "SELECT 1")


def test_stop_keeps_the_data_and_destroy_removes_it(real_engine: Engine, real_spec: Spec) -> None:
    start(real_engine, real_spec)
    with connect(real_spec.direct) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    real_engine.stop(real_spec.name)
    assert not world.listening(real_spec.port)
    assert not world.listening(real_spec.pool_port)

    start(real_engine, real_spec)
    assert query(real_spec.direct, "SELECT answer FROM kept") == "42"
    assert query(real_spec.pooled, "SELECT answer FROM kept") == "42"

    real_engine.stop(real_spec.name, destroy=True)
    start(real_engine, real_spec)
    assert query(real_spec.direct, "SELECT to_regclass('kept') IS NULL") == "True"


FRESH_STEPS = [Step.PREPARE, Step.POSTGRES, Step.PGBOUNCER, Step.LOGIN]


@pytest.mark.parametrize("step", FRESH_STEPS)
def test_cancelling_a_fresh_start_undoes_it(
    engine: Engine, home: Path, spec: Spec, step: Step
) -> None:
    starting = engine.start(spec)
    for progress in starting:
        if progress.step == step:
            break
    _close(starting)
    assert engine.find(spec.name) is None
    marker = str(home / "instances" / spec.name / "marker.json")
    assert world.traces(spec.name, home) == [marker]
    start(engine, spec)


def test_cancelling_a_restart_keeps_the_data(real_engine: Engine, real_spec: Spec) -> None:
    start(real_engine, real_spec)
    with connect(real_spec.direct) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    for step in FRESH_STEPS:
        real_engine.stop(real_spec.name)
        starting = real_engine.start(real_spec)
        for progress in starting:
            if progress.step == step:
                break
        _close(starting)
        found = real_engine.find(real_spec.name)
        assert found is not None
        assert found.stopped, step
        start(real_engine, real_spec)
        assert query(real_spec.direct, "SELECT answer FROM kept") == "42", step


def _close(progress: object) -> None:
    assert hasattr(progress, "close"), "start() is a generator"
    progress.close()


def test_a_changed_pooler_leaves_postgres_running_and_other_changes_take_effect(
    real_engine: Engine, real_spec: Spec, free_port: Callable[[], int]
) -> None:
    first = start(real_engine, real_spec)
    with connect(real_spec.direct) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    session = replace(real_spec, pool_mode=PoolMode.SESSION)
    second = start(real_engine, session)
    assert second.pool_mode == PoolMode.SESSION
    if real_engine.name != "kubernetes":  # where both are one pod, which is replaced as a whole
        assert second.part("postgres").started == first.part("postgres").started

    changed = replace(
        real_spec,
        port=free_port(),
        pool_port=free_port(),
        pool_mode=PoolMode.TRANSACTION,
        settings=(("work_mem", "7MB"),),
    )
    assert start(real_engine, changed).pool_mode == PoolMode.TRANSACTION
    assert query(changed.direct, "SELECT answer FROM kept") == "42"
    assert query(changed.pooled, "SHOW work_mem") == "7MB"
    assert not world.listening(real_spec.port)
    assert not world.listening(real_spec.pool_port)


def test_logs_have_lines_of_both_servers_and_follow_what_comes(
    real_engine: Engine, real_spec: Spec
) -> None:
    start(real_engine, real_spec)
    lines = _written(real_engine, real_spec)
    assert {"postgres", "pgbouncer"} <= {line.part for line in lines}
    assert any("ready to accept connections" in line.text for line in lines)
    assert len(list(real_engine.logs(real_spec.name, tail=1, follow=False))) <= 3

    seen: list[str] = []
    done = threading.Event()

    def follow() -> None:
        for line in real_engine.logs(real_spec.name, tail=0, follow=True):
            if line is None:
                continue
            seen.append(line.text)
            if "no_such_table" in line.text:
                break
        done.set()

    reader = threading.Thread(target=follow, daemon=True)
    reader.start()

    def provoke() -> bool:
        with connect(real_spec.direct) as connection, pytest.raises(Exception, match="no_such"):
            connection.execute("SELECT FROM no_such_table")
        return done.wait(0.2)

    world.eventually(provoke, "a followed log line")
    reader.join()


def _written(engine: Engine, spec: Spec) -> list[LogLine]:
    lines = list(engine.logs(spec.name, tail=1000, follow=False))
    assert None not in lines, "heartbeats are for those who follow"
    return [line for line in lines if line is not None]


def test_logs_can_be_left_while_nothing_is_written(engine: Engine, spec: Spec) -> None:
    start(engine, spec)
    threads = threading.active_count()
    following = engine.logs(spec.name, tail=0, follow=True)
    assert hasattr(following, "close"), "logs() is a generator"
    silence = (item for item in following if item is None)
    # All but one: a loaded machine may hold one up.
    assert sorted(world.gaps(islice(silence, 11)))[-2] <= world.LATE
    last = time.monotonic()
    following.close()
    assert time.monotonic() - last < 5
    world.eventually(lambda: threading.active_count() <= threads, "the readers' end")


def _at_least(count: Callable[[], int], wanted: int) -> bool:
    return count() >= wanted


def test_the_logs_of_a_healthy_life_have_no_alarm_in_them(
    real_engine: Engine, new_spec: NewSpec
) -> None:
    reaper = databases.REAPER.replace("sleep 20", "sleep 0.2")
    spec = new_spec(real_engine, reaper=reaper, settings=(("log_connections", "on"),))

    def rounds() -> int:
        lines = _written(real_engine, spec)
        return sum("application_name=devdb-reaper" in line.text for line in lines)

    for _ in range(2):
        wanted = rounds() + 3
        start(real_engine, spec)
        world.eventually(partial(_at_least, rounds, wanted), "the reaper's rounds")
        real_engine.stop(spec.name)
    lines = _written(real_engine, spec)
    assert [line.text for line in lines if line.part == "reaper"] == []
    alarms = [line.text for line in lines if re.search("ERROR|FATAL|WARNING", line.text)]
    if real_engine.name != "native":  # where logins are tried while Postgres still starts
        alarms = [text for text in alarms if "the database system is starting up" not in text]
    assert alarms == []


REAPER = """
until psql -Atqc 'CREATE TABLE reaper_was_here (pooler text)'; do sleep 0.1; done
version=$(psql -Atqc 'SHOW VERSION' -h "$DEVDB_POOLER_HOST" -p "$DEVDB_POOLER_PORT" \
    -U "$DEVDB_POOLER_USER" -d pgbouncer)
psql -Atqc "INSERT INTO reaper_was_here VALUES ('$version')"
while :; do sleep 1; done
"""


def test_the_reaper_runs_with_both_logins_and_ends_with_the_instance(
    real_engine: Engine, new_spec: NewSpec, home: Path
) -> None:
    spec = new_spec(real_engine, reaper=REAPER)
    start(real_engine, spec)

    def pooler_version() -> str:
        with connect(spec.direct, database="postgres") as connection:
            known = connection.execute("SELECT to_regclass('reaper_was_here')").fetchone()
            if known is None or known[0] is None:
                return ""
            row = connection.execute("SELECT pooler FROM reaper_was_here").fetchone()
            return str(row[0]) if row else ""

    assert "PgBouncer" in world.eventually(pooler_version, "the reaper's row")
    found = real_engine.find(spec.name)
    assert found is not None
    assert found.part("reaper").state == PartState.RUNNING

    real_engine.stop(spec.name)
    assert world.processes(spec.name, home) == []
    found = real_engine.find(spec.name)
    assert found is not None
    assert found.stopped
