"""The forwarder, around a command that listens at two ports: no engine is needed for that."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import sys
from collections.abc import Iterator
from threading import Event

import psutil
import pytest
import specs
import world

from devdb import paths, processes
from devdb.engines.forward import Forwarder
from devdb.errors import PortInUse, StartFailed
from devdb.model import PartState, Spec

_LISTEN = """
import socket, sys, time
listening = []
for port in sys.argv[2:]:
    listening.append(socket.create_server(("127.0.0.1", int(port))))
print(sys.argv[1], file=sys.stderr or sys.stdout, flush=True)
for each in listening:
    each.accept()
"""


@pytest.fixture
def spec() -> Spec:
    return specs.new("fake")


@pytest.fixture
def forwarder(spec: Spec) -> Iterator[Forwarder]:
    made = Forwarder(spec.name)
    yield made
    made.end()
    assert not paths.instance_dir(spec.name).exists()


def listening(spec: Spec, says: str = "") -> list[str]:
    """A command that listens at its ports, and ends when somebody has come to both."""
    return [sys.executable, "-c", _LISTEN, says, str(spec.port), str(spec.pool_port)]


def listener(port: int) -> int | None:
    """The process that listens there."""
    found = [each for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
    return next((each.pid for each in found if each.laddr and each.laddr.port == port), None)


def bring(forwarder: Forwarder, spec: Spec, command: list[str], *, over: str = "") -> None:
    forwarder.bring(spec, command, over=over, given_up=Event())


def test_one_that_brings_the_ports_is_left_alone(forwarder: Forwarder, spec: Spec) -> None:
    assert forwarder.part().state == PartState.DEAD
    bring(forwarder, spec, listening(spec))
    assert forwarder.part().state == PartState.RUNNING
    pid = listener(spec.port)
    bring(forwarder, spec, listening(spec))
    assert listener(spec.port) == pid
    bring(forwarder, spec, listening(spec, "another command"))
    assert listener(spec.port) != pid


def test_the_command_is_started_again_whenever_it_ends(forwarder: Forwarder, spec: Spec) -> None:
    bring(forwarder, spec, listening(spec))
    pid = listener(spec.pool_port)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    world.eventually(lambda: not processes.is_running(pid), "it has ended")
    assert "trying again" in forwarder.part().detail
    world.eventually(lambda: forwarder.part().state == PartState.RUNNING, "it is back")
    assert listener(spec.pool_port) not in (None, pid)


def test_its_end_frees_the_ports(forwarder: Forwarder, spec: Spec) -> None:
    """Also where its shell was killed, which leaves the command behind; and twice."""
    for is_killed in (False, True):
        bring(forwarder, spec, listening(spec))
        pid = processes.read_pid(paths.instance_dir(spec.name) / "forwarder.pid")
        assert pid is not None
        if is_killed:
            os.kill(pid, signal.SIGKILL)
            world.eventually(lambda: not forwarder.is_running(), "its shell has ended")
            assert forwarder.part().state == PartState.DEAD
            assert listener(spec.port) is not None
        forwarder.end()
        assert listener(spec.port) is None
        assert listener(spec.pool_port) is None
    forwarder.end()


def test_one_that_was_only_just_started_is_ended_as_well(forwarder: Forwarder, spec: Spec) -> None:
    given_up = Event()
    given_up.set()
    for _ in range(5):
        forwarder.bring(spec, listening(spec), given_up=given_up)
        pid = processes.read_pid(paths.instance_dir(spec.name) / "forwarder.pid")
        assert pid is not None, "it is found from the first moment on"
        forwarder.end()
        left = [each.pid for each in psutil.process_iter() if _is_of(each.pid, pid)]
        assert left == []


def _is_of(pid: int, leader: int) -> bool:
    """Whether it is in that session, and runs."""
    try:
        return os.getsid(pid) == leader and not world.has_ended(psutil.Process(pid))
    except (OSError, psutil.Error):
        return False


def test_what_was_left_of_a_killed_one_is_no_obstacle(forwarder: Forwarder, spec: Spec) -> None:
    bring(forwarder, spec, listening(spec))
    pid = processes.read_pid(paths.instance_dir(spec.name) / "forwarder.pid")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    world.eventually(lambda: not forwarder.is_running(), "its shell has ended")
    bring(forwarder, spec, listening(spec))
    assert forwarder.part().state == PartState.RUNNING


def test_the_commands_own_words_are_told(forwarder: Forwarder, spec: Spec) -> None:
    with pytest.raises(StartFailed, match="cannot be brought here: box: no route to host"):
        bring(forwarder, spec, ["sh", "-c", "echo box: no route to host >&2; exit 255"])
    assert not forwarder.is_running()
    with pytest.raises(StartFailed, match="no-such-program"):
        bring(forwarder, spec, ["/no-such-program"])


def test_a_port_that_somebody_has_is_theirs(forwarder: Forwarder, spec: Spec) -> None:
    with (
        socket.create_server(("127.0.0.1", spec.pool_port)),
        pytest.raises(PortInUse, match=str(spec.pool_port)),
    ):
        bring(forwarder, spec, listening(spec))


def test_it_ends_where_there_is_nothing_to_bring_any_more(forwarder: Forwarder, spec: Spec) -> None:
    bring(forwarder, spec, listening(spec, "it is gone"), over="it is gone")
    pid = listener(spec.port)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    world.eventually(lambda: not forwarder.is_running(), "it has ended")


def test_a_stale_pid_is_nobodys(forwarder: Forwarder, spec: Spec) -> None:
    directory = paths.instance_dir(spec.name)
    directory.mkdir(parents=True)
    (directory / "forwarder.pid").write_text(f"{os.getpid()}\n")
    assert not forwarder.is_running()
    forwarder.end()


def test_what_it_logs_fills_no_disk(forwarder: Forwarder, spec: Spec) -> None:
    log = paths.instance_dir(spec.name) / "forwarder.log"
    bring(forwarder, spec, ["sh", "-c", f"yes >&2 & exec {shlex.join(listening(spec))} 2>&-"])
    written = log.stat().st_size
    leader = processes.read_pid(log.with_suffix(".pid"))
    world.eventually(lambda: not yes_of(leader), "nobody takes more of it")
    assert written <= log.stat().st_size <= 4096 * 200


def yes_of(leader: int | None) -> list[int]:
    sessions = [
        (pid, os.getsid(pid)) for pid in psutil.pids() if processes.words(pid)[:1] == ["yes"]
    ]
    return [pid for pid, session in sessions if session == leader]
