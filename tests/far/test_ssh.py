"""An engine that SSH reaches: the life of an instance, what is in the way, what goes wrong."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
import specs
import world
from far.box import Box
from far.conftest import ADDRESS, Devdb, forwarder_of
from libpq import connect

from devdb import databases, marker, paths
from devdb.engines.docker.engine import DockerEngine
from devdb.engines.forward import Forwarder
from devdb.errors import NamedUnavailable
from devdb.model import Level, PartState, Server, Spec


def start(engine: DockerEngine, spec: Spec) -> Server:
    server = list(engine.start(spec))[-1].server
    assert server is not None
    return server


def answer(spec: Spec, *, pooled: bool = False, sql: str = "SELECT answer FROM kept") -> object:
    with connect(spec.pooled if pooled else spec.direct) as connection:
        row = connection.execute(sql).fetchone()
    assert row is not None
    return row[0]


def keep(spec: Spec, number: int) -> None:
    with connect(spec.direct) as connection:
        connection.execute(f"CREATE TABLE kept AS SELECT {number} AS answer")


def published(box: Box) -> list[str]:
    """Where the containers there listen, on its machine."""
    ports = re.split(r"[,\s]+", box.out("docker", "ps", "--format", "{{.Ports}}"))
    return sorted(each.partition("->")[0] for each in ports if "->" in each)


def test_a_life(box: Box, devdb: Devdb) -> None:
    """With a ~/.ssh/config that wants other things of a login there."""
    busy = specs.free_port()
    box.configure(
        f"LocalForward 127.0.0.1:{busy} 127.0.0.1:22",
        "ExitOnForwardFailure yes",
        "RemoteCommand false",
        "RequestTTY force",
        f"ControlPath {box.runtime}/own",
        "ControlMaster auto",
        "PermitLocalCommand yes",
        f"LocalCommand touch {box.runtime}/told",
    )
    with socket.create_server(("127.0.0.1", busy)):
        made = devdb("up", "-d")
        assert made.code == 0, made
    assert made.out.count("@127.0.0.1:") == 2
    assert "-shop-data on box" in made.err
    assert sorted(path.name for path in box.runtime.iterdir()) == [f"devdb-{os.getuid()}"]
    spec = marker.load("shop")
    assert spec is not None
    assert (spec.engine, spec.host) == ("docker", ADDRESS)
    assert published(box) == [f"127.0.0.1:{port}" for port in (spec.port, spec.pool_port)]
    keep(spec, 42)
    assert answer(spec, pooled=True) == 42

    status = devdb("status")
    assert (status.code, "forwarder  running" in status.out) == (0, True), status
    assert devdb("temp", "-q").code == 0
    assert devdb("url", "--pooled").out == made.out.splitlines(keepends=True)[1]
    argv = [*DockerEngine(ADDRESS).psql_argv("shop"), "-Atc", "SELECT answer FROM kept"]
    with_password = {**os.environ, "PGPASSWORD": spec.password}
    assert subprocess.check_output(argv, env=with_password, text=True) == "42\n"

    assert devdb("down").code == 0
    assert not world.listening(spec.port)
    assert not world.listening(spec.pool_port)
    assert devdb("up", "-d").code == 0
    assert answer(spec) == 42
    removed = devdb("rm", "--force", "shop")
    assert (removed.code, "-shop-data on box" in removed.err) == (0, True), removed
    assert not paths.instance_dir("shop").exists()
    assert box.left() == []


def test_ssh_that_ends_is_started_again_and_a_forwarder_that_is_killed_is_brought_back(
    devdb: Devdb, engine: DockerEngine, spec: Spec
) -> None:
    first = start(engine, spec)
    marker.save(replace(spec, major=first_major(first), has_data=True))
    leader = psutil.Process(forwarder_of(spec.name))
    (ssh,) = [each for each in leader.children(recursive=True) if is_ssh(each)]
    leader.suspend()
    ssh.kill()
    world.eventually(lambda: not world.listening(spec.port), "nobody listens")
    found = engine.find(spec.name)
    assert found is not None
    assert (found.serving, found.running) == (True, False)
    assert "trying again" in found.part("forwarder").detail
    leader.resume()
    world.eventually(lambda: world.listening(spec.port), "it is back by itself")
    assert answer(spec, sql="SELECT 1") == 1

    os.killpg(leader.pid, signal.SIGKILL)
    world.eventually(lambda: not world.listening(spec.port), "nobody listens")
    assert "is not running" in devdb("url", "-n", spec.name).err
    status = devdb("status", "-n", spec.name)
    assert (status.code, "forwarder  dead" in status.out) == (1, True), status
    os.killpg(forwarder_of(spec.name), signal.SIGKILL)
    begun = time.monotonic()
    again = devdb("up", "-d", "-n", spec.name)
    assert again.code == 0, again
    assert time.monotonic() - begun < 10
    found = engine.find(spec.name)
    assert found is not None
    assert found.running
    assert found.part("postgres").started == first.part("postgres").started

    os.killpg(forwarder_of(spec.name), signal.SIGKILL)
    engine.mend(spec.name)
    assert Forwarder(spec.name).part().state == PartState.RUNNING


def first_major(server: Server) -> int:
    return int((server.part("postgres").version or "").split(".")[0])


def is_ssh(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.name() == "ssh"
    return False


def test_a_machine_out_of_reach_is_said_in_ssh_s_words_and_keeps_no_ports(
    box: Box, devdb: Devdb, engine: DockerEngine, spec: Spec
) -> None:
    server = start(engine, spec)
    marker.save(replace(spec, major=first_major(server), has_data=True))
    box.hang_up()
    with box.unplugged():
        down = devdb("down", spec.name)
        assert (down.code, "timed out" in down.err) == (3, True), down
        assert "try: See whether `ssh box` gets through" in down.err
        assert not world.listening(spec.port)
        new = devdb("up", "-d")
        assert (new.code, "timed out" in new.err) == (3, True), new
        assert "try: See whether `ssh box` gets through" in new.err, (
            "and not what could be got here"
        )
    assert not paths.instance_dir("shop").exists(), "auto takes no other engine"
    assert devdb("up", "-d", "-n", spec.name).code == 0
    assert answer(spec, sql="SELECT 1") == 1


@contextlib.contextmanager
def anothers_key(box: Box) -> Iterator[None]:
    box.configure(key="other")
    yield


@contextlib.contextmanager
def unknown_host(box: Box) -> Iterator[None]:
    known = box.place / "known_hosts"
    text = known.read_text()
    known.write_text("")
    yield
    known.write_text(text)


@contextlib.contextmanager
def no_ssh(box: Box) -> Iterator[None]:
    path, os.environ["PATH"] = os.environ["PATH"], str(box.runtime)
    yield
    os.environ["PATH"] = path


@pytest.mark.parametrize(
    ("address", "happens", "said", "way_out"),
    [
        (ADDRESS, anothers_key, "Permission denied (publickey)", "ssh-copy-id box"),
        (ADDRESS, unknown_host, "Host key verification failed", "by hand, and look at the key"),
        (ADDRESS, no_ssh, "There is no ssh here", "openssh-client"),
        (ADDRESS, "AllowTcpForwarding no", "administratively prohibited", "AllowTcpForwarding"),
        (ADDRESS, "AllowStreamLocalForwarding no", "open failed", "AllowStreamLocalForwarding"),
        ("ssh://box:1", None, "Connection refused", "ssh -p 1 box"),
        ("ssh://box/no/d.sock", None, "no socket /no/d.sock there", "/path/of/docker.sock"),
        ("ssh://me:secret@box", None, "names no machine", "ssh://user@box"),
        ("ssh://-oProxyCommand=x", None, "names no machine", "ssh://user@box"),
    ],
)
def test_what_is_in_the_way_is_said_with_the_way_out(
    address: str, happens: object, said: str, way_out: str, box: Box
) -> None:
    trouble: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    if isinstance(happens, str):
        trouble = box.sshd_told(happens)
    elif callable(happens):
        trouble = happens(box)
    with trouble, pytest.raises(NamedUnavailable) as caught:
        DockerEngine(address).find("any")
    assert said in caught.value.message
    assert way_out in caught.value.hint


def test_doctor_says_it_too_and_who_may_not_open_the_socket(box: Box) -> None:
    box.out("useradd", "--no-create-home", "--password", "*", "guest")
    findings = DockerEngine("ssh://guest@box").check()
    assert [each.level for each in findings] == [Level.ERROR]
    assert "who logs in there may not open /var/run/docker.sock" in findings[0].message
    assert "usermod -aG docker" in (findings[0].fix or "")


def test_its_socket_is_where_docker_says_there(box: Box) -> None:
    elsewhere = "host=unix:///run/user/0/elsewhere.sock"
    box.out("docker", "context", "create", "rootless", "--docker", elsewhere)
    box.out("docker", "context", "use", "rootless")
    box.out("mv", "/run/docker.sock", "/run/hidden.sock")
    try:
        assert DockerEngine(ADDRESS).title.startswith("Docker ")
    finally:
        box.out("mv", "/run/hidden.sock", "/run/docker.sock")
        box.out("docker", "context", "rm", "-f", "rootless")
    assert DockerEngine(f"{ADDRESS}/run/user/0/elsewhere.sock").list() == []


def test_a_line_that_is_dead_and_does_not_know_it_is_made_anew(box: Box) -> None:
    """As after a laptop's sleep, when its packets go nowhere."""
    assert DockerEngine(ADDRESS).list() == []
    lines = [each for each in psutil.process_iter() if is_ssh(each) and is_line(each, box)]
    assert len(lines) == 1, "one for all who come"
    lines[0].suspend()
    try:
        assert DockerEngine(ADDRESS).list() == []
    finally:
        lines[0].kill()


def is_line(process: psutil.Process, box: Box) -> bool:
    with contextlib.suppress(psutil.Error):
        words = process.cmdline()
        return "ControlPersist=60" in words and str(box.place) in " ".join(words)
    return False


def test_a_port_that_is_taken_here_is_an_error_and_one_that_is_taken_there_is_none(
    box: Box, devdb: Devdb, engine: DockerEngine, spec: Spec
) -> None:
    with socket.create_server(("127.0.0.1", spec.pool_port)):
        refused = devdb("up", "-d", "--pool-port", str(spec.pool_port))
        assert (refused.code, str(spec.pool_port) in refused.err) == (5, True), refused
    assert box.left() == []
    assert not paths.instance_dir("shop").exists()

    with taken(box, spec.port):
        start(engine, spec)
        keep(spec, 42)
    ports = published(box)
    assert f"127.0.0.1:{spec.pool_port}" in ports
    assert f"127.0.0.1:{spec.port}" not in ports
    engine.stop(spec.name)
    with taken(box, spec.pool_port):
        start(engine, spec)
        assert answer(spec) == answer(spec, pooled=True) == 42
        assert len({*ports, *published(box)}) == 3, "the other one stays where it was"


@contextlib.contextmanager
def taken(box: Box, port: int) -> Iterator[None]:
    """Somebody listens at that port there."""
    listen = (
        "import socket, time\n"
        f"s = socket.create_server(('127.0.0.1', {port})); print(flush=True); time.sleep(99)"
    )
    inside = ["nsenter", f"--target={box.engine_pid}", "--net", sys.executable, "-c", listen]
    with subprocess.Popen(inside, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.kill()


def test_two_laptops_with_the_same_names_and_ports_share_a_machine(
    home: Path, engine: DockerEngine, spec: Spec
) -> None:
    """Both have their data in the same directory: each in its turn is at home there."""
    start(engine, spec)
    keep(spec, 1)
    engine.leave(spec.name)
    first, second = home.with_name(f"{home.name}-first"), home.with_name(f"{home.name}-second")
    home.rename(first)
    try:
        home.mkdir()
        assert engine.list() == []
        start(engine, spec)
        keep(spec, 2)
        assert answer(spec) == answer(spec, pooled=True) == 2
        engine.stop(spec.name, destroy=True)
        home.rename(second)
    finally:
        first.rename(home)
    world.remove(second)
    start(engine, spec)
    assert answer(spec) == answer(spec, pooled=True) == 1


def test_what_has_expired_is_dropped_there_with_nobody_connected(
    box: Box, engine: DockerEngine, spec: Spec
) -> None:
    start(engine, replace(spec, reaper=databases.REAPER.replace("sleep 20", "sleep 0.5")))
    made = databases.create(spec, ttl=timedelta(seconds=2))
    engine.leave(spec.name)
    box.hang_up()
    (postgres,) = [each.split()[1] for each in box.left() if each.endswith("-postgres")]
    inside = ["docker", "exec", "-e", "PGPASSFILE=/etc/devdb/pgpass", postgres, "psql"]
    sql = f"SELECT count(*) FROM pg_database WHERE datname = '{made.name}'"
    ask = [*inside, "-At", "-U", "devdb", "-h", "127.0.0.1", "-d", "postgres", "-c", sql]
    world.eventually(lambda: box.out(*ask) == "0\n", "it was dropped", timeout=60)


def test_a_devdb_that_is_killed_leaves_nothing_that_rm_does_not_delete(
    box: Box, devdb: Devdb
) -> None:
    starting = subprocess.Popen(
        [sys.executable, "-m", "devdb", "up", "-d"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    world.eventually(lambda: box.left(), "something of it is there")
    starting.kill()
    starting.wait()
    removed = devdb("rm", "--force", "shop")
    assert removed.code == 0, removed
    assert box.left() == []
    assert not paths.instance_dir("shop").exists()
