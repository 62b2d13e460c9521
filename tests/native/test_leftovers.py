"""What a crash, a reboot or somebody else left is told apart from what is ours."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import world
from libpq import connect

from devdb import marker, processes
from devdb.engines.native import find, owner
from devdb.engines.native.engine import NativeEngine
from devdb.engines.native.layout import Layout
from devdb.errors import DataGone, DataMismatch
from devdb.model import PartState, Spec, Step


@contextlib.contextmanager
def somebody(layout: Layout) -> Iterator[int]:
    """The pid of a process of the servers' user that has nothing to do with the instance."""
    credentials = owner.choose(layout.data).credentials
    process = subprocess.Popen(["sleep", "60"], **credentials)
    try:
        yield process.pid
        assert process.poll() is None, "somebody else's process was ended"
    finally:
        process.kill()
        process.wait()


REUSED = """
import os, subprocess, time
from pathlib import Path
from devdb import processes

null, root = Path(os.devnull), Path("/")
pid = processes.spawn(["true"], cwd=root, log=null, env={"PATH": os.defpath})
while processes.is_running(pid):
    time.sleep(0.001)
Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
with subprocess.Popen(["sleep", "60"]) as another:
    while not processes.words(another.pid):  # which it has a moment after it was started
        time.sleep(0.001)
    print(another.pid == pid, processes.is_running(pid), processes.words(pid))
    another.kill()
"""


def test_a_pid_that_was_a_childs_may_be_anybodys() -> None:
    # With pids of its own, where nobody else takes one, nor gets one that was just somebody's.
    alone = ["unshare", "--pid", "--fork", "--mount-proc"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"]).returncode != 0:
        pytest.skip("needs unshare, and the right to make a pid namespace")
    done = subprocess.run([*alone, sys.executable, "-c", REUSED], capture_output=True, text=True)
    assert done.stdout == "True True ['sleep', '60']\n", done.stderr


def test_pid_files_that_name_somebody_elses_process_are_stale(
    native: NativeEngine, spec: Spec, home: Path
) -> None:
    list(native.start(spec))
    with connect(spec.direct) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    world.crash(spec.name, home)
    layout = Layout.of(spec.name)
    postmaster = layout.data / "postmaster.pid"
    socket_lock = layout.run / f".s.PGSQL.{spec.port}.lock"
    with somebody(layout) as pid:
        for path in (postmaster, socket_lock):
            rest = path.read_text().split("\n", 1)[1]
            path.write_text(f"{pid}\n{rest}")
        layout.pooler_pid.write_text(f"{pid}\n")

        found = native.find(spec.name)
        assert found is not None
        assert found.part("postgres").state == PartState.DEAD
        assert found.part("pgbouncer").state == PartState.DEAD
        native.stop(spec.name)
        list(native.start(spec))
        with connect(spec.pooled) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_what_stood_before_a_reboot_is_stopped_not_dead(
    native: NativeEngine, spec: Spec, home: Path
) -> None:
    list(native.start(spec))
    world.crash(spec.name, home)
    layout = Layout.of(spec.name)
    long_ago = psutil.boot_time() - 60
    for path in (layout.data / "postmaster.pid", layout.pooler_pid, layout.supervisor_pid):
        os.utime(path, (long_ago, long_ago))
    found = native.find(spec.name)
    assert found is not None
    assert {part.state for part in found.parts} == {PartState.STOPPED}


def test_a_server_that_was_started_by_hand_is_found_and_taken_over(
    native: NativeEngine, spec: Spec, home: Path
) -> None:
    list(native.start(spec))
    native.stop(spec.name)
    layout = Layout.of(spec.name)
    program = native.psql_argv(spec.name)[0].replace("psql", "postgres")
    pid = processes.spawn(
        [program, "-D", ".", "-p", str(spec.port), "-c", "unix_socket_directories="],
        cwd=layout.data,
        log=layout.log / "postgres.log",
        env={"LC_ALL": "C"},
        credentials=owner.choose(layout.data).credentials,
    )

    def running() -> bool:
        server = native.find(spec.name)
        return server is not None and server.part("postgres").state == PartState.RUNNING

    world.eventually(running, "the server started by hand is found")
    server = list(native.start(spec))[-1].server
    assert server is not None
    assert server.running
    assert server.part("postgres").detail != f"pid {pid}"


def test_a_users_own_programs_in_the_directory_are_left_alone(
    native: NativeEngine, spec: Spec
) -> None:
    list(native.start(spec))
    layout = Layout.of(spec.name)
    log = str(layout.log / "postgres.log")
    with (
        subprocess.Popen(["tail", "-f", log], stdout=subprocess.DEVNULL) as tail,
        subprocess.Popen(["sh", "-c", "sleep 60 & wait"], cwd=layout.log) as shell,
    ):
        try:
            native.stop(spec.name)
            assert tail.poll() is None
            assert shell.poll() is None
        finally:
            tail.kill()
            for child in psutil.Process(shell.pid).children():
                child.kill()
            shell.kill()


def test_data_with_another_password_than_its_marker_is_refused_at_once(
    native: NativeEngine, spec: Spec
) -> None:
    list(native.start(spec))
    native.stop(spec.name)
    stranger = replace(spec, password="another-password")
    marker.save(stranger)
    with pytest.raises(DataMismatch, match="another password"):
        list(native.start(stranger))
    list(native.start(spec))


STARTER = """
import sys
from devdb import engines, marker
list(engines.get("native").start(marker.load(sys.argv[1])))
print("READY", flush=True)
sys.stdin.read()
"""


def test_it_outlives_the_terminal_it_was_started_from(
    native: NativeEngine, spec: Spec, home: Path
) -> None:
    with world.inheriting(signal.SIGHUP, signal.SIG_DFL):
        child, terminal = pty.fork()
        if child == 0:
            os.execv(sys.executable, [sys.executable, "-c", STARTER, spec.name])
    output = b""
    while b"READY" not in output:
        output += os.read(terminal, 1024)
    os.close(terminal)  # the kernel hangs up: SIGHUP to the session in that terminal
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGHUP

    found = native.find(spec.name)
    assert found is not None
    assert found.running
    for process in world.processes(spec.name, home):
        with contextlib.suppress(
            ProcessLookupError
        ):  # a worker of Postgres that has ended meanwhile
            assert os.getsid(process.pid) != child
    with connect(spec.pooled) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_servers_that_outlived_their_directory_make_room_for_a_new_one(
    native: NativeEngine, spec: Spec
) -> None:
    list(native.start(spec))
    layout = Layout.of(spec.name)
    pid = find.postmaster(layout).pid
    assert pid is not None
    shutil.rmtree(layout.root)
    with pytest.raises(DataGone):
        list(native.start(replace(spec, has_data=True)))
    assert processes.is_running(pid)  # what it has open may be all that is left of the data
    assert list(native.start(spec))[-1].step == Step.READY
    assert not processes.is_running(pid)
