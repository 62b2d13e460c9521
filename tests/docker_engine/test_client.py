"""Which engine is spoken to, and what is said when there is none."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from devdb.engines.docker.client import Candidate, candidates
from devdb.engines.docker.engine import DockerEngine
from devdb.errors import EngineUnavailable, ExitCode, NamedUnavailable
from devdb.model import Level


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[str]:
    """A socket that accepts and never says a word."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield f"unix://{path}"


@pytest.mark.parametrize("host", ["tcp://127.0.0.1:2375", "http://x:1"])
def test_an_engine_that_is_neither_on_a_socket_here_nor_reached_by_ssh_is_refused(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    engine = DockerEngine()
    with pytest.raises(NamedUnavailable, match=host) as caught:
        engine.find("any")
    assert caught.value.exit_code == ExitCode.ENGINE_UNAVAILABLE
    assert "DOCKER_HOST=ssh://user@box" in caught.value.hint
    assert "--engine native" in caught.value.hint
    assert [f.level for f in engine.check()] == [Level.ERROR]
    with pytest.raises(EngineUnavailable):
        DockerEngine(host).find("any")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("/run/d.sock", "unix:///run/d.sock"),
        ("~/d.sock", "unix:///home/me/d.sock"),
        ("unix:/run/d.sock", "unix:///run/d.sock"),
        ("unix://run/d.sock", "unix:///run/d.sock"),
        (" unix:///run/d.sock \n", "unix:///run/d.sock"),
    ],
)
def test_docker_host_may_be_a_path(
    written: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("DOCKER_HOST", written)
    assert candidates() == [Candidate("DOCKER_HOST", meant)]


@pytest.mark.parametrize("written", ["localhost:2375", "docker.sock", "10.0.0.1", "var/d.sock"])
def test_docker_host_without_a_scheme_is_refused_with_one(
    written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", written)
    with pytest.raises(EngineUnavailable, match=f"DOCKER_HOST is '{written}'") as caught:
        DockerEngine().find("any")
    assert "DOCKER_HOST=unix:///" in caught.value.hint


def test_an_empty_docker_host_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", " ")
    assert len(candidates()) > 1


def test_an_engine_that_accepts_and_says_nothing_is_given_up_after_three_seconds(
    silent: str,
) -> None:
    begun = time.monotonic()
    with pytest.raises(EngineUnavailable, match="does not answer within 3 s"):
        DockerEngine(silent).find("any")
    assert time.monotonic() - begun < 15


def test_what_is_no_docker_engine_is_not_taken_for_one(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        threading.Thread(target=_answer_nonsense, args=(listener,), daemon=True).start()
        with pytest.raises(EngineUnavailable, match="not as Docker does"):
            DockerEngine(f"unix://{path}").find("any")


def _answer_nonsense(listener: socket.socket) -> None:
    answered = False
    while not answered:
        connection, _ = listener.accept()
        with connection:
            if answered := bool(connection.recv(4096)):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")


def test_a_pinned_engine_that_is_gone_is_never_replaced_by_another(tmp_path: Path) -> None:
    gone = f"unix://{tmp_path}/gone.sock"
    with pytest.raises(EngineUnavailable, match="no such socket") as caught:
        DockerEngine(gone).find("any")
    assert str(tmp_path / "gone.sock") in caught.value.message


def test_docker_host_means_that_engine_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert [c.source for c in candidates()] == ["DOCKER_HOST"]
    with pytest.raises(EngineUnavailable, match="that DOCKER_HOST names") as caught:
        DockerEngine().list()
    assert "unset DOCKER_HOST" in caught.value.hint


def test_the_current_context_comes_before_the_well_known_sockets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write_context(tmp_path, "elsewhere", "unix:///somewhere/else.sock")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert candidates()[0].host == "unix:///somewhere/else.sock"
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    assert "unix:///somewhere/else.sock" not in {c.host for c in candidates()}


def test_a_context_on_another_machine_that_is_out_of_reach_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write_context(tmp_path, "far", "ssh://me@127.0.0.1:1")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(EngineUnavailable, match=r"ssh://me@127\.0\.0\.1:1 .* refused"):
        DockerEngine().find("any")


def test_every_well_known_place_is_looked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    hosts = [candidate.host for candidate in candidates()]
    assert len(hosts) == len(set(hosts))
    assert hosts[0] == "unix:///var/run/docker.sock"
    for place in (
        "/run/user/7/docker.sock",
        f"{tmp_path}/.docker/run/docker.sock",
        f"{tmp_path}/.docker/desktop/docker.sock",
        f"{tmp_path}/.orbstack/run/docker.sock",
        f"{tmp_path}/.colima/default/docker.sock",
        f"{tmp_path}/.rd/docker.sock",
        "/run/user/7/podman/podman.sock",
        "/run/podman/podman.sock",
    ):
        assert f"unix://{place}" in hosts


def test_without_a_home_the_system_s_sockets_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HOME")
    assert "unix:///var/run/docker.sock" in {candidate.host for candidate in candidates()}


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")
def test_a_socket_one_may_not_open_is_said_with_the_group_to_join(tmp_path: Path) -> None:
    # In /, which every user may pass; pytest's own directories are root's alone.
    path = Path(f"/tmp/devdb-socket-{os.getpid()}")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        try:
            path.chmod(0o600)
            listener.listen()
            found = _as_nobody(f"unix://{path}")
        finally:
            path.unlink()
    assert "Permission denied" in found
    assert "usermod -aG docker" in found


def _as_nobody(host: str) -> str:
    code = (
        "import os, sys; from devdb.engines.docker.client import connect; import docker\n"
        "from devdb.errors import EngineUnavailable\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try: connect(sys.argv[1])\n"
        "except EngineUnavailable as e: print(e.message, e.hint)\n"
    )
    run = [sys.executable, "-c", code, host]
    return subprocess.run(run, capture_output=True, text=True, check=True).stdout


def test_check_names_the_engine_its_version_and_its_images(engine: DockerEngine) -> None:
    findings = list(engine.check())
    assert not [f for f in findings if f.level == Level.ERROR]
    messages = " ".join(f.message for f in findings)
    assert engine.host in messages
    assert engine.title in messages
    assert os.environ["DEVDB_POSTGRES_IMAGE"] in messages
    assert os.environ["DEVDB_PGBOUNCER_IMAGE"] in messages


INSIDE = "this is its container"


@pytest.fixture
def sleeper(client: APIClient) -> Iterator[dict[str, Any]]:
    """A running container that has nothing to do with devdb."""
    name = f"test-{secrets.token_hex(4)}"
    made = client.create_container(
        os.environ["DEVDB_POSTGRES_IMAGE"], ["sleep", "300"], name=name, entrypoint=""
    )
    client.start(made["Id"])
    yield client.inspect_container(made["Id"])
    client.remove_container(made["Id"], v=True, force=True)


def test_check_knows_a_process_in_a_container_of_that_engine(
    engine: DockerEngine, sleeper: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: sleeper["Config"]["Hostname"])
    told = [finding for finding in engine.check() if INSIDE in finding.message]
    assert [finding.level for finding in told] == [Level.INFO]
    assert sleeper["Name"].lstrip("/") in told[0].message
    assert engine._connect().joins == f"container:{sleeper['Id']}"


def test_a_container_that_is_called_as_this_machine_is_not_taken_for_it(
    engine: DockerEngine, sleeper: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: sleeper["Name"].lstrip("/"))
    assert not [f for f in engine.check() if INSIDE in f.message]


def test_a_host_name_that_the_engine_has_too_is_the_engines_machine(
    engine: DockerEngine, client: APIClient
) -> None:
    if client.info()["Name"] != socket.gethostname():
        pytest.skip("this engine is on another machine, as Docker Desktop's is")
    twin = client.create_container(
        os.environ["DEVDB_POSTGRES_IMAGE"],
        ["sleep", "300"],
        name=socket.gethostname(),
        hostname=socket.gethostname(),
        entrypoint="",
    )
    try:
        client.start(twin["Id"])
        assert not [f for f in engine.check() if INSIDE in f.message]
    finally:
        client.remove_container(twin["Id"], v=True, force=True)


def test_the_places_looked_at_in_vain_are_counted_not_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [f"unix://{tmp_path}/{number}.sock" for number in range(9)]
    found = [Candidate("somebody", place) for place in places]
    monkeypatch.setattr("devdb.engines.docker.client.candidates", lambda _pinned: found)
    with pytest.raises(EngineUnavailable, match="looked in 9 places") as caught:
        DockerEngine().find("any")
    assert str(tmp_path) not in caught.value.message
    assert all(place in " ".join(f.message for f in DockerEngine().check()) for place in places)


def test_a_place_that_says_more_than_that_nothing_is_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    places = [f"unix://{tmp_path}/none.sock", f"unix://{tmp_path}/file"]
    found = [Candidate("somebody", place) for place in places]
    monkeypatch.setattr("devdb.engines.docker.client.candidates", lambda _pinned: found)
    with pytest.raises(EngineUnavailable, match="looked in 2 places") as caught:
        DockerEngine().find("any")
    assert f"{tmp_path}/file (Connection refused)" in caught.value.message
    assert "none.sock" not in caught.value.message


def test_check_lists_what_was_looked_at_in_vain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    findings = list(DockerEngine().check())
    assert [f.level for f in findings] == [Level.INFO, Level.ERROR]
    assert str(tmp_path / "none.sock") in findings[0].message
    assert findings[1].fix


def _write_context(directory: Path, name: str, host: str) -> None:
    (directory / "config.json").write_text(json.dumps({"currentContext": name}))
    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = directory / "contexts" / "meta" / digest / "meta.json"
    meta.parent.mkdir(parents=True)
    endpoint = {"Host": host, "SkipTLSVerify": False}
    content = {"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}}
    meta.write_text(json.dumps(content))
