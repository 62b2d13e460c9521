"""The gateway as a part of an instance: it comes and goes with it, and is found in any case."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
import specs
import world
from commandline import Cli

from devdb import __version__, engines, marker, paths, urls
from devdb.config import Settings
from devdb.engines import Engine
from devdb.errors import DevdbError, PortInUse, StartFailed, UsageError
from devdb.gateway import process
from devdb.model import PartState, Progress, Spec, Step
from devdb.workspace import cancelling, down, gateway, instances
from devdb.workspace.instances import State
from devdb.workspace.up import Outcome, Ready, up


class Life:
    """An instance of the test's own, whose gateway is looked at without devdb's own code."""

    def __init__(self, engine: Engine, home: Path, project: Path) -> None:
        self.name = specs.new_name("life")
        self.engine = engine
        self._home = home
        self._project = project
        self._wanted: dict[str, Any] = {
            "engine": engine.name,
            "port": specs.free_port(),
            "pool_port": specs.free_port(),
        }
        images = {
            "image": os.environ.get("DEVDB_POSTGRES_IMAGE"),
            "pooler_image": os.environ.get("DEVDB_PGBOUNCER_IMAGE"),
        }
        self._wanted |= {key: image for key, image in images.items() if image}
        self.steps: list[Step] = []

    def begin(self, *, asked: bool = False, **settings: Any) -> Iterator[Progress | Ready]:
        """Of a command that says these; `asked`: by its options."""
        sources = tuple((name, f"--{name}") for name in settings) if asked else ()
        wanted = Settings(**{**self._wanted, **settings}, sources=sources)
        return up(wanted, self._project, self.name)

    def up(self, *, asked: bool = False, **settings: Any) -> Ready:
        *steps, ready = self.begin(asked=asked, **settings)
        assert isinstance(ready, Ready)
        self.steps = [step.step for step in steps if isinstance(step, Progress)]
        return ready

    @property
    def spec(self) -> Spec:
        spec = marker.load(self.name)
        assert spec is not None
        return spec

    def pids(self) -> list[int]:
        """Of the detached ones that there are."""
        found = []
        for each in psutil.process_iter():
            with suppress(psutil.Error):
                argv = each.cmdline()
                if "devdb.gateway" in argv and self.name in argv:
                    found.append(each.pid)
        return found

    def pid(self) -> int:
        [pid] = self.pids()
        return pid

    def health(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{urls.http(self.spec)}/health", timeout=20) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def serves(self) -> bool:
        return world.listening(self.spec.http_port or 0)

    def crash(self) -> None:
        """As a power cut: the servers, whoever looks after them, and the gateway."""
        if self.engine.name == "docker":
            for part in ("postgres", "pgbouncer", "reaper"):
                command = ["docker", "kill", world.container(self.name, part)]
                subprocess.run(command, check=True, capture_output=True)
        world.crash(self.name, self._home)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    return tmp_path / "shop"


@pytest.fixture
def lives(home: Path, project: Path) -> Iterator[Callable[[Engine], Life]]:
    made: list[Life] = []

    def make(engine: Engine) -> Life:
        made.append(Life(engine, home, project))
        return made[-1]

    yield make
    for life in made:
        if (spec := marker.load(life.name)) is not None:
            down.remove(spec)
        assert world.traces(life.name, home, engine=life.engine.name) == []


@pytest.fixture
def life(lives: Callable[[Engine], Life]) -> Life:
    """One without servers: its gateway is a real one."""
    return lives(engines.get("fake"))


@pytest.fixture
def port() -> int:
    return specs.free_port()


def asked(life: Life, url: str) -> int:
    """The status of a query over HTTP, by the way of that URL."""
    body = json.dumps({"query": "SELECT 1", "params": []}).encode()
    headers = {"Neon-Connection-String": url}
    request = urllib.request.Request(f"{urls.http(life.spec)}/sql", body, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return int(answer.status)


def test_it_comes_and_goes_with_its_instance(
    real_engine: Engine, lives: Callable[[Engine], Life], port: int, home: Path
) -> None:
    life = lives(real_engine)
    assert life.up().instance.gateway is None
    assert life.pids() == []
    ready = life.up(http=True, http_port=port, asked=True)
    assert ready.outcome is Outcome.ATTACHED
    assert life.steps[-2:] == [Step.HTTP, Step.READY]
    assert life.health() == {
        "devdb": __version__,
        "instance": life.name,
        "pid": life.pid(),
        "port": port,
        "direct": life.spec.port,
        "pooled": life.spec.pool_port,
    }
    assert {asked(life, urls.url(each)) for each in (life.spec.direct, life.spec.pooled)} == {200}

    os.kill(first := life.pid(), signal.SIGKILL)
    world.eventually(lambda: not life.serves(), "it is gone")
    found = instances.look(life.spec)
    assert (found.state, found.gateway and found.gateway.state) == (
        State.RUNNING,
        PartState.STOPPED,
    )
    assert life.up().outcome is Outcome.ATTACHED
    assert life.health()["port"] == port
    assert life.pid() != first

    life.crash()
    assert life.up().instance.gateway == gateway.part(life.spec)
    assert life.health()["port"] == port
    assert asked(life, urls.url(life.spec.direct)) == 200

    assert down.down(life.spec)
    assert life.pids() == []
    assert life.spec.http_port == port
    assert not life.serves()
    life.up()
    assert life.health()["pid"] == life.pid()
    down.remove(life.spec)
    assert world.traces(life.name, home, engine=real_engine.name) == []


def test_a_port_is_chosen_once(life: Life, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devdb.workspace.ports.FIRST_HTTP", port)
    life.up(http=True)
    assert life.spec.http_port == port
    monkeypatch.setattr("devdb.workspace.ports.FIRST_HTTP", specs.free_port())
    down.down(life.spec)
    life.up(http=True)
    assert life.spec.http_port == port


def test_who_is_beaten_to_a_port_takes_the_next(
    life: Life, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as quicker:
        numbers = iter([quicker.getsockname()[1], port])
        monkeypatch.setattr("devdb.workspace.ports.choose_http", lambda *_: next(numbers))
        ready = life.up(http=True, asked=True)
    assert ready.failed is None
    assert (life.spec.http_port, ready.instance.spec.http_port) == (port, port)
    assert life.health()["pid"] == life.pid()


def test_it_is_not_wanted(life: Life, port: int) -> None:
    life.up(http_port=port)
    ready = life.up(http=False)
    assert ready.notes == ("the gateway was ended; its port stays",)
    assert life.pids() == []
    assert life.spec.http_port == port
    assert life.up(http=False).notes == ()
    life.up()
    assert life.health()["port"] == port


def test_it_moves_as_the_other_ports_do(life: Life, port: int) -> None:
    life.up(http_port=port)
    other = specs.free_port()
    ready = life.up(http_port=other)
    assert ready.changes == (f"HTTP port {port} -> {other}",)
    assert life.health()["port"] == other
    assert not world.listening(port)
    life.pid()
    with pytest.raises(UsageError, match="direct and the HTTP port"):
        life.up(http_port=life.spec.port)
    with pytest.raises(UsageError, match="pooled and the HTTP port"):
        life.up(pool_port=other)
    assert life.spec.http_port == other


def test_what_another_instance_holds_is_refused(
    lives: Callable[[Engine], Life], life: Life, port: int
) -> None:
    life.up(http_port=port)
    down.down(life.spec)
    second = lives(life.engine)
    for setting in ("http_port", "port", "pool_port"):
        with pytest.raises(PortInUse, match=f"belongs to the instance '{life.name}'") as refused:
            second.up(asked=False, **{setting: port})
        assert refused.value.exit_code == 5
        assert marker.load(second.name) is None


def test_it_follows_an_instance_that_moves(life: Life, port: int) -> None:
    life.up(http_port=port)
    first, direct = life.pid(), specs.free_port()
    life.up(port=direct)
    assert (life.health()["direct"], life.health()["port"]) == (direct, port)
    assert life.pid() != first
    first = life.pid()
    life.up(port=direct, max_connections=17)
    assert life.pid() != first
    assert "17" in psutil.Process(life.pid()).cmdline()
    first = life.pid()
    life.up(port=direct)
    assert life.pid() == first


def test_that_of_another_devdb_is_replaced(
    life: Life, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    life.up(http_port=port)
    first = life.pid()
    with monkeypatch.context() as patch:
        patch.setattr(process, "__version__", "99")
        part = gateway.part(life.spec)
        assert part is not None
        assert "of another devdb" in part.detail
        life.up()
    assert life.pid() != first


def test_one_that_hangs_is_seen_and_replaced(life: Life, port: int) -> None:
    life.up(http_port=port)
    os.kill(hung := life.pid(), signal.SIGSTOP)
    part = gateway.part(life.spec)
    assert part is not None
    assert (part.state, part.detail) == (PartState.STOPPED, f"pid {hung}, does not answer")
    life.up()
    assert life.pid() != hung
    assert life.health()["pid"] == life.pid()
    os.kill(life.pid(), signal.SIGSTOP)
    down.down(life.spec)
    assert life.pids() == []


def test_a_taken_port_is_named_and_the_instance_runs(life: Life, port: int) -> None:
    life.up(http_port=port)
    down.down(life.spec)
    with socket.create_server(("127.0.0.1", port)):
        ready = life.up(http=True, asked=True)
        assert isinstance(ready.failed, PortInUse)
        assert ready.failed.exit_code == 5
        assert f"'{life.name}' runs, its gateway does not" in ready.failed.message
        assert f"(pid {os.getpid()})" in ready.failed.message
        assert "--http-port PORT" in ready.failed.hint
        assert ready.instance.state is State.RUNNING
        ready = life.up(http=True)
        assert ready.failed is None
        [note] = ready.notes
        assert f"(pid {os.getpid()})" in note
    life.up()
    assert life.health()["port"] == port


@pytest.mark.parametrize(
    "words", ["-m devdb http", "-P -m devdb.gateway {name} 1 2 3 4 /tmp session - -"]
)
def test_who_only_says_that_he_is_it_is_left_alone(life: Life, port: int, words: str) -> None:
    life.up(http_port=port)
    told = life.health()
    down.down(life.spec)
    argv = words.format(name=life.name).split()
    code = "import sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as stranger:
        assert stranger.stdout is not None
        stranger.stdout.readline()

        class Liar(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                is_ours = words.startswith("-m")
                body = json.dumps({**told, "pid": 1 if is_ours else stranger.pid}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Not here."""

        with ThreadingHTTPServer(("127.0.0.1", port), Liar) as server:
            serving = threading.Thread(target=server.serve_forever)
            serving.start()
            try:
                ready = life.up(http=True, asked=True)
                assert isinstance(ready.failed, PortInUse)
                part = gateway.part(life.spec)
                assert part is not None
                assert part.state is PartState.STOPPED
                assert "somebody else" in part.detail
                down.down(life.spec)
            finally:
                server.shutdown()
                serving.join()
        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 60_000,
        b"HTTP/1.1 200 OK\r\n\r\n[]",
        b"HTTP/1.1 500 No\r\n\r\n{health}",
        *(
            b'HTTP/1.1 200 OK\r\n\r\n{"devdb":"1","instance":"{name}","pid":%s,"port":1,"direct":1,'
            b'"pooled":1}' % pid
            for pid in (b"-1", b"0", b"1e400", b"NaN", b"null", b"99999999999999999999", b"4194305")
        ),
    ],
    ids=len,
)
def test_whatever_else_answers_there_is_somebody_else(port: int, home: Path, body: bytes) -> None:
    spec = specs.new("fake", http_port=port)
    answer = body.replace(b"{name}", spec.name.encode())

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1 << 16)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", port)) as server:
        serving = threading.Thread(target=serve)
        serving.start()
        assert process.find(gateway.target(spec)).kind is process.Kind.SOMEBODY
        serving.join()


def test_one_that_cannot_start_says_why(
    life: Life, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life.up(http_port=port)
    down.down(life.spec)
    (tmp_path / "aiohttp.py").write_text("raise ImportError('what it needs is broken')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    failed = life.up(http=True, asked=True).failed
    assert isinstance(failed, StartFailed)
    assert "what it needs is broken" in failed.message
    assert str(paths.instance_dir(life.name) / process.LOG) in failed.hint
    assert life.pids() == []


def test_two_starts_at_once_make_one(life: Life, port: int) -> None:
    life.up(http_port=port)
    down.down(life.spec)
    failed: list[BaseException] = []

    def start() -> None:
        try:
            life.up()
        except BaseException as error:  # noqa: BLE001 - it is looked at below
            failed.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failed == []
    assert life.health()["pid"] == life.pid()


@pytest.mark.parametrize("was_there", [False, True])
def test_a_cancelled_start_leaves_none(life: Life, port: int, was_there: bool) -> None:
    if was_there:
        life.up(http_port=port)
        down.down(life.spec)
    seen: list[Step] = []

    def noted() -> Iterator[Progress | Ready]:
        for item in life.begin(http_port=port):
            if isinstance(item, Progress):
                seen.append(item.step)
            yield item

    with pytest.raises(KeyboardInterrupt):
        list(cancelling.cancellable(noted(), lambda: Step.HTTP in seen))
    assert seen[-1] in (Step.HTTP, Step.READY)
    assert life.pids() == []
    spec = marker.load(life.name)
    assert (spec is not None) == was_there
    assert spec is None or instances.find(spec).state is State.STOPPED


def test_it_ends_when_its_marker_is_gone(life: Life, port: int, home: Path) -> None:
    """However that comes about: nobody has to remember it."""
    life.up(http_port=port)
    spec = life.spec
    gateway.forget(life.name)
    life.engine.stop(life.name, destroy=True)
    marker.delete(life.name)
    world.eventually(lambda: not life.pids(), "it has ended")
    assert world.traces(spec.name, home, engine="native") == []


class Foreground:
    """`devdb http`, as a person has it."""

    def __init__(self, cli: Cli, *words: str) -> None:
        self.process = cli.begin("http", *words)

    def url(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self, number: int | None = None) -> tuple[int, str]:
        """Exit code, and all that it said on stderr."""
        if number is not None:
            self.process.send_signal(number)
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said


@pytest.fixture
def cli(project: Path, home: Path, tmp_path: Path) -> Cli:
    env = {key: value for key, value in os.environ.items() if not key.startswith("DEVDB_")}
    env |= {"DEVDB_DATA_DIR": str(home), "DEVDB_ENGINE": "fake", "HOME": str(tmp_path / "home")}
    return Cli(project, env)


@pytest.fixture
def foreground(cli: Cli) -> Iterator[Callable[..., Foreground]]:
    begun: list[Foreground] = []

    def begin(*words: str) -> Foreground:
        begun.append(Foreground(cli, *words))
        return begun[-1]

    yield begin
    for each in begun:
        each.process.kill()
        each.process.communicate()


def test_one_in_the_foreground_takes_the_place_and_outlives_down(
    life: Life, port: int, foreground: Callable[..., Foreground]
) -> None:
    life.up(http_port=port)
    first = foreground("-n", life.name)
    assert first.url() == urls.http(life.spec)
    assert life.pids() == []
    assert life.health()["pid"] == first.process.pid
    part = gateway.part(life.spec)
    assert part is not None
    assert (part.state, part.detail) == (
        PartState.RUNNING,
        f"pid {first.process.pid}, in the foreground",
    )
    code, said = foreground("-n", life.name).end()
    assert code == 5
    assert f"runs in the foreground already (pid {first.process.pid})" in said
    life.up(http=True, asked=True)
    down.down(life.spec)
    assert life.pids() == []
    assert life.health()["pid"] == first.process.pid

    moved = life.up(port=specs.free_port())
    [note] = moved.notes
    assert f"start it again: devdb http -n {life.name}" in note
    code, said = first.end(signal.SIGINT)
    assert code == 0
    assert "took the place of the gateway in the background" in said
    assert said.endswith("ended\n")


def test_one_in_the_foreground_ends_with_its_instance(
    life: Life, foreground: Callable[..., Foreground], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    life.up()
    serving = foreground("-n", life.name, "--http-port", str(port))
    assert serving.url() == f"http://127.0.0.1:{port}"
    assert life.spec.http_port == port
    down.remove(life.spec)
    code, said = serving.end()
    assert code == 0
    assert f"ended, because '{life.name}' was deleted" in said


def test_one_in_the_foreground_finds_the_port_taken(
    life: Life, foreground: Callable[..., Foreground], port: int
) -> None:
    life.up(http_port=port)
    down.down(life.spec)
    with socket.create_server(("127.0.0.1", port)):
        code, said = foreground("-n", life.name).end()
    assert code == 5
    assert f"(pid {os.getpid()})" in said
    assert foreground("-n", "no-such").end()[0] == 1


@pytest.mark.parametrize("real_engine", ["native"], indirect=True)
def test_one_in_the_foreground_makes_databases_for_create_db(
    real_engine: Engine,
    lives: Callable[[Engine], Life],
    foreground: Callable[..., Foreground],
    port: int,
) -> None:
    """As root it cannot read what it would import by now: here, mostly, not even Python's own."""
    life = lives(real_engine)
    life.up(http_port=port)
    serving = foreground("-n", life.name, "--create-db")
    body = json.dumps({"region": "us-east-1", "name": "made", "utm_source": "x"}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{serving.url()}/create", body, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        [connection] = json.load(answer)["data"]["database"]["connections"]
    for endpoint in connection["endpoints"].values():
        assert asked(life, endpoint["connectionString"]) == 200
    assert asked(life, urls.url(life.spec.pooled)) == 200
    code, said = serving.end(signal.SIGINT)
    assert code == 0
    assert "every user and program of this machine" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to give up")
def test_roots_is_an_unprivileged_users(
    life: Life, foreground: Callable[..., Foreground], port: int
) -> None:
    life.up(http_port=port)
    user = gateway.user()
    assert user is not None
    assert psutil.Process(life.pid()).uids() == (user[0],) * 3
    serving = foreground("-n", life.name)
    serving.url()
    running = psutil.Process(serving.process.pid)
    assert (running.uids(), running.gids()) == ((user[0],) * 3, (user[1],) * 3)
    part = gateway.part(life.spec)
    assert part is not None
    assert part.state is PartState.RUNNING
    assert serving.end(signal.SIGTERM)[0] == 0


def test_root_with_nobody_to_become_starts_none(
    life: Life, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("devdb.unprivileged.USERS", ("no-such-user",))
    ready = life.up(http=True, http_port=port, asked=True)
    assert isinstance(ready.failed, DevdbError)
    assert "does not run as root" in ready.failed.message
    assert life.pids() == []
