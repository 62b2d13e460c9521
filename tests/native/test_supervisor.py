"""What dies is started again, by a process that nobody has to think of."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import world
from libpq import connect

from devdb import databases
from devdb.engines.native import owner, supervision
from devdb.engines.native.engine import NativeEngine
from devdb.engines.native.layout import Layout
from devdb.errors import StartFailed
from devdb.model import PartState, Server, Spec
from devdb.workspace import instances
from devdb.workspace.instances import State

SERVERS = ("postgres", "pgbouncer", "reaper")


@pytest.fixture
def running(native: NativeEngine, spec: Spec) -> Spec:
    """An instance with all its parts."""
    spec = replace(spec, reaper=databases.REAPER)
    assert start(native, spec).running
    return spec


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """What dies again and again is given up within a second."""
    monkeypatch.setattr(supervision, "DELAYS", (0.05, 0.05))


def start(native: NativeEngine, spec: Spec) -> Server:
    server = list(native.start(spec))[-1].server
    assert server is not None
    return server


def look(native: NativeEngine, spec: Spec) -> Server:
    server = native.find(spec.name)
    assert server is not None
    return server


def pids(native: NativeEngine, spec: Spec) -> dict[str, int]:
    """Of the parts that run."""
    parts = look(native, spec).parts
    return {p.name: int(p.detail.split()[1]) for p in parts if p.detail.startswith("pid ")}


def works(spec: Spec) -> bool:
    for endpoint in (spec.direct, spec.pooled):
        with connect(endpoint) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    return True


def is_back(native: NativeEngine, spec: Spec, before: dict[str, int], *parts: str) -> None:
    """Wait until these parts run as other processes, the rest as the same, and all is well."""

    def back() -> bool:
        now = pids(native, spec)
        return look(native, spec).running and all(
            now.get(part, before[part]) != before[part] for part in parts
        )

    world.eventually(back, f"{parts} started again")
    now = pids(native, spec)
    assert {part for part in now if now[part] != before[part]} == set(parts)
    world.eventually(lambda: _tries(spec), "both URLs work")


def _tries(spec: Spec) -> bool:
    import psycopg

    try:
        return works(spec)
    except psycopg.Error:
        return False


def kill_supervisor(native: NativeEngine, spec: Spec) -> None:
    """Kill it, and wait until that shows."""
    os.kill(pids(native, spec)["supervisor"], signal.SIGKILL)
    world.eventually(lambda: "supervisor" not in pids(native, spec), "it is dead")


@pytest.mark.parametrize("part", SERVERS)
def test_a_server_that_is_killed_comes_back(native: NativeEngine, running: Spec, part: str) -> None:
    for _ in range(2):  # also the one that the supervisor itself has started
        before = pids(native, running)
        os.kill(before[part], signal.SIGKILL)
        is_back(native, running, before, part)


def test_all_servers_killed_at_once_come_back(native: NativeEngine, running: Spec) -> None:
    before = pids(native, running)
    for part in SERVERS:
        os.kill(before[part], signal.SIGKILL)
    is_back(native, running, before, *SERVERS)


def test_a_backend_that_does_not_notice_its_postmasters_death_is_ended(
    native: NativeEngine, running: Spec, home: Path
) -> None:
    before = pids(native, running)
    with connect(running.direct) as connection:
        backend = psutil.Process(connection.info.backend_pid)
        backend.send_signal(signal.SIGSTOP)  # as good as busy: it looks at nothing
        os.kill(before["postgres"], signal.SIGKILL)
        is_back(native, running, before, "postgres")
        assert world.has_ended(backend)


def test_without_its_supervisor_it_works_on_is_degraded_and_mended(
    native: NativeEngine, running: Spec
) -> None:
    before = pids(native, running)
    kill_supervisor(native, running)
    with connect(running.direct) as connection:  # nobody reads what it writes: it does not wait
        flood(connection, megabytes=3)
    found = instances.find(running)
    assert found.state is State.DEGRADED
    assert found.server is not None
    assert found.server.part("supervisor").state == PartState.DEAD
    assert works(running)

    instances.mend(running)
    after = pids(native, running)
    assert look(native, running).running
    assert {part for part in after if after[part] != before[part]} == {"supervisor"}
    with connect(running.direct) as connection:
        connection.execute("DO $$BEGIN RAISE LOG 'heard again'; END$$")
    world.eventually(lambda: "heard again" in logged(native, running, "postgres"), "its log")
    for part in SERVERS:  # which are not this supervisor's children
        os.kill(after[part], signal.SIGKILL)
    is_back(native, running, after, *SERVERS)


def test_what_died_with_the_supervisor_is_mended_too(native: NativeEngine, running: Spec) -> None:
    before = pids(native, running)
    for part in ("supervisor", "reaper", "pgbouncer"):
        os.kill(before[part], signal.SIGKILL)
    world.eventually(lambda: set(pids(native, running)) == {"postgres"}, "the rest is dead")
    instances.mend(running)
    is_back(native, running, before, "supervisor", "reaper", "pgbouncer")


def test_a_start_mends_a_dead_supervisor_and_restarts_nothing(
    native: NativeEngine, running: Spec
) -> None:
    before = pids(native, running)
    kill_supervisor(native, running)
    assert start(native, running).running
    after = pids(native, running)
    assert {part for part in after if after[part] != before[part]} <= {"supervisor", "reaper"}


def test_mending_is_left_to_whoever_is_at_work(native: NativeEngine, running: Spec) -> None:
    from devdb import marker

    kill_supervisor(native, running)
    with marker.locked(running.name, timeout=5):
        instances.mend(running)
        assert look(native, running).part("supervisor").state == PartState.DEAD


def test_two_that_mend_at_once_leave_one_supervisor(native: NativeEngine, running: Spec) -> None:
    kill_supervisor(native, running)
    layout = Layout.of(running.name)
    supervision.mend(layout)
    second = supervision.Line(layout)
    with pytest.raises(StartFailed, match="taken"):
        list(second.take(layout.supervisor_conf.read_text()))
    second.hang_up()
    assert look(native, running).running


def test_a_supervisor_waits_for_one_that_has_not_let_go_yet(
    native: NativeEngine, running: Spec
) -> None:
    kill_supervisor(native, running)
    layout = Layout.of(running.name)
    second = supervision.Line(layout)
    try:
        with layout.supervisor_pid.open("r+") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            taking = second.take(layout.supervisor_conf.read_text())
            for _ in range(3):
                next(taking)
        list(taking)
        second.adopt("postgres", pids(native, running)["postgres"])
    finally:
        second.hang_up()


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("part", ["postgres", "pgbouncer"])
def test_what_cannot_start_is_given_up_loudly_and_up_mends_it(
    native: NativeEngine, running: Spec, part: str
) -> None:
    start(native, running)  # with these delays
    layout = Layout.of(running.name)
    file = {"postgres": layout.postgres_conf, "pgbouncer": layout.ini}[part]
    with file.open("a") as broken:
        broken.write("\nnonsense = nonsense\n")
    os.kill(pids(native, running)[part], signal.SIGKILL)

    def words() -> str:
        return look(native, running).part(part).detail

    world.eventually(lambda: "given up after 2 tries" in words(), "given up")
    assert "nonsense" in words() or "FATAL" in words()
    assert look(native, running).part(part).state == PartState.DEAD
    assert instances.find(running).state is State.DEGRADED
    assert f"devdb: {part} was given up" in logged(native, running, part)
    assert f"devdb: {part} ended (signal 9) and is started again" in logged(native, running, part)
    instances.mend(running)  # its supervisor lives, and knows better
    assert "given up" in words()

    assert start(native, running).running
    assert works(running)
    assert not list(layout.etc.glob("*.verdict"))


def test_a_postgres_that_was_shut_down_by_hand_stays_down_and_it_is_said(
    native: NativeEngine, running: Spec
) -> None:
    layout = Layout.of(running.name)
    program = native.psql_argv(running.name)[0].replace("psql", "pg_ctl")
    subprocess.run(
        [program, "stop", "-D", layout.data, "-m", "fast"],
        check=True,
        capture_output=True,
        cwd="/",
        **owner.choose(layout.data).credentials,
    )
    world.eventually(
        lambda: "by hand" in look(native, running).part("postgres").detail, "it is said"
    )
    assert instances.find(running).state is State.DEGRADED
    assert start(native, running).running


def test_down_ends_everything_and_the_log_tells_so(native: NativeEngine, running: Spec) -> None:
    native.stop(running.name)
    assert look(native, running).stopped
    assert {part.state for part in look(native, running).parts} == {PartState.STOPPED}
    assert "database system is shut down" in logged(native, running, "postgres")


def test_a_start_that_fails_leaves_what_ran_under_a_supervisor(
    native: NativeEngine, running: Spec
) -> None:
    before = pids(native, running)
    with pytest.raises(StartFailed):
        start(native, replace(running, settings=(("shared_buffers", "lots"),)))
    left = pids(native, running)
    assert set(left) == {"pgbouncer", "reaper", "supervisor"}
    assert left["pgbouncer"] == before["pgbouncer"]
    os.kill(left["pgbouncer"], signal.SIGKILL)
    world.eventually(
        lambda: pids(native, running).get("pgbouncer", before["pgbouncer"]) != before["pgbouncer"],
        "PgBouncer started again",
    )
    assert "postgres" not in pids(native, running)
    assert start(native, running).running


def test_it_holds_on_to_nothing_of_who_started_it(native: NativeEngine, running: Spec) -> None:
    process = psutil.Process(pids(native, running)["supervisor"])
    assert os.getsid(process.pid) == process.pid
    assert process.terminal() is None
    assert process.cwd() == "/"
    here = str(Layout.of(running.name).root)
    mine = [file.path for file in process.open_files() if not file.path.startswith(here)]
    assert mine == []


def flood(connection: object, *, megabytes: int) -> None:
    """Have Postgres write that much to its log, in numbered lines of some 10 kB."""
    connection.execute(  # type: ignore[attr-defined]
        "DO $$BEGIN FOR n IN 1..%s LOOP"
        " RAISE LOG 'line % of %', n, repeat('x', 10000); END LOOP; END$$".replace(
            "%s", str(megabytes * 100)
        )
    )


def files(spec: Spec) -> list[Path]:
    return sorted(Layout.of(spec.name).log.glob("postgres.log*"))


def logged(native: NativeEngine, spec: Spec, part: str, *, tail: int = 10_000) -> str:
    lines = native.logs(spec.name, tail=tail, follow=False)
    return "\n".join(line.text for line in lines if line is not None and line.part == part)


def test_a_flood_of_log_lines_stays_within_three_files(native: NativeEngine, running: Spec) -> None:
    with connect(running.direct) as connection:
        flood(connection, megabytes=45)
        connection.execute("DO $$BEGIN RAISE LOG 'after the flood'; END$$")
    world.eventually(lambda: "after the flood" in logged(native, running, "postgres"), "its end")
    assert len(files(running)) == 3
    assert max(file.stat().st_size for file in files(running)) <= 10_000_000
    assert sum(file.stat().st_size for file in files(running)) > 20_000_000
    for file in files(running)[1:]:
        assert file.read_bytes().endswith(b"\n")
    # The last lines, from as many files as they are in.
    assert len(logged(native, running, "postgres", tail=1500).splitlines()) == 1500


def test_following_goes_on_over_the_change_of_files(native: NativeEngine, running: Spec) -> None:
    following = native.logs(running.name, tail=0, follow=True)
    next(following)
    with connect(running.direct) as connection:
        flood(connection, megabytes=25)
    numbers = []
    deadline = time.monotonic() + 60
    for line in following:
        assert time.monotonic() < deadline
        if line is not None and (said := re.search(r"LOG:  line (\d+) of", line.text)):
            numbers.append(int(said[1]))
            if numbers[-1] == 2500:
                break
    assert numbers == list(range(1, 2501))
    assert len(files(running)) == 3


def test_a_log_that_somebody_removed_is_begun_anew(native: NativeEngine, running: Spec) -> None:
    files(running)[0].unlink()
    with connect(running.direct) as connection:
        connection.execute("DO $$BEGIN RAISE LOG 'still here'; END$$")
    world.eventually(lambda: "still here" in logged(native, running, "postgres"), "its log")


def test_a_new_instance_is_watched_over_from_the_start(
    native: NativeEngine, spec: Spec, free_port: Callable[[], int]
) -> None:
    start(native, spec)
    moved = replace(spec, pool_port=free_port())
    before = pids(native, spec)
    start(native, moved)  # Postgres goes on, and is no child of the new supervisor
    assert pids(native, spec)["postgres"] == before["postgres"]
    before = pids(native, spec)
    os.kill(before["postgres"], signal.SIGKILL)
    is_back(native, moved, before, "postgres")
