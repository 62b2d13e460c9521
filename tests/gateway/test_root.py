"""Root's gateway goes on as somebody else, who may read no file of devdb's any more."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import world
from gateway import serving
from gateway.serving import PATIENCE, Talk, nothing, process, request
from gateway.sockets import DEVDB, opened, password, query, run, startup

import devdb
from devdb.gateway.bounds import Bounds
from devdb.gateway.target import Target
from devdb.model import Spec
from devdb.wire import framing

LOCAL = "Host: localhost"
NOBODY = pwd.getpwnam("nobody")
USER = (NOBODY.pw_uid, NOBODY.pw_gid)


@pytest.fixture
def root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has privileges to give up")


@pytest.fixture
def closed() -> Iterator[Path]:
    """A directory that nobody but root can pass."""
    directory = Path(tempfile.mkdtemp(prefix="devdb-closed-"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def environment(closed: Path) -> dict[str, str]:
    """That of a Python all of whose packages are in there."""
    site = closed / "site-packages"
    site.mkdir()
    for package in Path(sysconfig.get_path("purelib")).iterdir():
        (site / package.name).symlink_to(package)
    here = Path(devdb.__file__).parent
    if not (site / "devdb").exists():
        (site / "devdb").symlink_to(here)
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(site), "HOME": str(closed)}


PYTHON = (sys.executable, "-S", "-P")
"""One that has no packages but those of PYTHONPATH."""


def ask(target: Target, status: int, data: bytes) -> None:
    with Talk(target.port) as talk:
        talk.send(data)
        found = talk.answer()
        assert found[0] == status, (data[:200], found)


def everything(target: Target, spec: Spec) -> None:
    """What there is to be asked of a gateway, its errors too."""
    sql = ["POST /sql HTTP/1.1", LOCAL]
    for port in (f":{target.direct}", f":{target.pooled}", ""):
        url = f"postgresql://devdb:{spec.password}@db.example.com{port}/main"
        sql[2:] = [f"Neon-Connection-String: {url}"]
        ask(
            target,
            200,
            request(*sql, body=b'{"query": "SELECT 1, ARRAY[now()], NULL, $1", "params": ["x"]}'),
        )
        ask(target, 200, request(*sql, "Neon-Array-Mode: true", body=b'{"query": "SELECT 1"}'))
        batch = b'{"queries": [{"query": "SELECT 1"}, {"query": "SELECT to_json(1.5)"}]}'
        ask(target, 200, request(*sql, "Neon-Batch-Read-Only: true", body=batch))
        large = b'{"query": "SELECT repeat(\'x\', 1000000)"}'
        ask(target, 200, request(*sql, body=large))
        ask(target, 400, request(*sql, body=b'{"query": "SELECT FROM nowhere"}'))
        ask(target, 400, request(*sql, body=b"{"))
        ask(target, 413, request(*sql, f"Content-Length: {Bounds().body + 1}"))
        ask(target, 100, request(*sql, "Expect: 100-continue", "Content-Length: 9"))
        with Talk(target.port) as talk:
            talk.send(request(*sql, body=b'{"query": "SELECT pg_sleep(600)"}'))
    ask(target, 400, request(*sql[:2], "Neon-Connection-String: \xc3\xa4", body=b"{}"))
    others = [
        (200, request("GET /health HTTP/1.1", LOCAL)),
        (200, request("GET / HTTP/1.1", LOCAL)),
        (200, request("OPTIONS /sql HTTP/1.1", LOCAL)),
        (404, request("GET /nowhere HTTP/1.1", LOCAL)),
        (404, request("POST /create HTTP/1.1", LOCAL, body=b"{}")),
        (400, request("POST /nowhere HTTP/1.1", LOCAL, body=b"{}")),
        (403, request("GET /health HTTP/1.1", "Host: evil.example")),
        (431, request("GET /health HTTP/1.1", LOCAL, f"X: {'x' * (1 << 16)}")),
        (400, request("POST /sql HTTP/1.1", LOCAL, "Transfer-Encoding: chunked") + b"?\r\n"),
        (400, b"no HTTP\r\n\r\n"),
        (400, request("GET /v2 HTTP/1.1", LOCAL, "Upgrade: websocket")),
    ]
    for status, data in others:
        ask(target, status, data)

    async def sockets() -> None:
        for port in (target.direct, target.pooled):
            path = f"/v2?address=db.example.com:{port}"
            async with opened(target, path) as client:
                greeting = await client.enter(spec, application_name="ä")
                assert await client.ask("SELECT 'ä'") == [["ä"]]
                (key,) = [body for kind, body in greeting if kind == b"K"] or [bytes(8)]
                async with opened(target, path) as cancelling:
                    await cancelling.send(framing.request(framing.CANCEL_REQUEST, key))
                    assert await cancelling.message() == (b"", b"")
                await client.send(query("SELECT pg_sleep(600)"))
                client.cut_off()
            async with opened(target, path) as client:
                await client.send(startup(**DEVDB) + password("wrong"))
                await client.message()
                assert (await client.refused())["S"] == "FATAL"
        async with opened(target, "/v1?address=db.example.com:1") as client:
            await client.send(startup(**DEVDB))
            assert (await client.refused())["C"] == "08004"
        async with opened(target, protocols=["SECRET"]) as client:  # aiohttp would log that
            await client.page.send_str("ä")
            assert await client.message() == (b"", b"")

    run(sockets())


@pytest.mark.usefixtures("root")
def test_privileges_are_given_up_and_nothing_is_missed(
    running: Spec, environment: dict[str, str]
) -> None:
    target = serving.target(running)
    with process(target, user=USER, python=PYTHON, env=environment) as gateway:
        found = psutil.Process(gateway.pid)
        assert set(found.uids()) == {NOBODY.pw_uid}
        assert set(found.gids()) == {NOBODY.pw_gid}
        status = Path(f"/proc/{gateway.pid}/status")
        if status.exists():
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
            assert lines["Groups"].split() == [str(NOBODY.pw_gid)]
            for kind in ("CapPrm", "CapEff", "CapAmb"):
                assert int(lines[kind], 16) == 0, kind
        everything(target, running)

        async def held() -> None:
            async with opened(target) as client:
                await client.enter(running)
                gateway.terminate()
                await client.until(b"?")

        run(held())
        assert gateway.communicate(timeout=PATIENCE) == ("", "")
        assert gateway.returncode == 0


def test_nothing_is_imported_any_more_once_it_listens(running: Spec, tmp_path: Path) -> None:
    """Or root's gateway lacked it: this is the same proof for who is not root, and on any path."""
    target = serving.target(running)
    python = (sys.executable, "-X", "importtime", "-P")
    told = tmp_path / "told"
    with told.open("w") as stderr, process(target, python=python, stderr=stderr) as gateway:
        before = told.read_text()
        imported = {line.rpartition("|")[2].strip() for line in before.splitlines()}
        assert "devdb.gateway.websocket" in imported
        assert not imported & {"psycopg", "docker", "textual", "typer"}, "it starts slowly"
        everything(target, running)
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(PATIENCE) == 0
    assert told.read_text().removeprefix(before) == ""


WATCH = """
import sys
from pathlib import Path
from devdb.gateway import privileges
from devdb.gateway.watch import Watch

with Watch("shop", Path(sys.argv[1])) as watch:
    privileges.drop(int(sys.argv[2]), int(sys.argv[3]))
    for _ in sys.stdin:
        print(watch.is_gone(), flush=True)
"""


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("mode", [0o711, 0o700])
def test_it_sees_the_marker_go_where_it_may_not_look(closed: Path, mode: int) -> None:
    directory = closed / "instances" / "shop"
    directory.mkdir(parents=True)
    directory.chmod(mode)  # 0711 is devdb's own for root
    marker = directory / "marker.json"
    marker.touch()
    argv = [sys.executable, "-P", "-c", WATCH, str(directory), *map(str, USER)]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as watching:

        def is_gone() -> str:
            assert watching.stdin is not None
            assert watching.stdout is not None
            watching.stdin.write("?\n")
            watching.stdin.flush()
            return watching.stdout.readline()

        assert is_gone() == "False\n"
        marker.rename(directory / "new")
        (directory / "new").rename(marker)
        assert is_gone() == "False\n"
        marker.unlink()
        if mode == 0o700:
            assert is_gone() == "False\n", "it may not see what is in there"
            directory.rmdir()
        assert is_gone() == "True\n"


@pytest.mark.usefixtures("root")
def test_a_port_that_only_root_may_have_is_taken_before(tmp_path: Path) -> None:
    target = nothing(tmp_path)
    port = next(port for port in range(1000, 900, -1) if not world.listening(port))
    low = replace(target, port=port)
    tmp_path.chmod(0o711)
    with process(low, user=USER), Talk(port) as talk:
        talk.send(request("GET /health HTTP/1.1", LOCAL))
        assert talk.answer()[0] == 200


@pytest.mark.usefixtures("root")
def test_who_is_not_root_is_told_what_cannot_be() -> None:
    code = (
        "import os; from devdb.errors import DevdbError; from devdb.gateway import privileges\n"
        "os.setuid(65533)\n"
        "try: privileges.drop(65534, 65534)\n"
        "except DevdbError as error: print(error.message)"
    )
    argv = [sys.executable, "-P", "-c", code]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert said.startswith("The gateway cannot go on as user 65534, group 65534: ")
