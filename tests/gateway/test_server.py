"""The gateway's HTTP side: who is answered, within which bounds, and when it ends."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
import world
from gateway.serving import PATIENCE, Talk, nothing, process, request, thread

import devdb
from devdb.gateway.bounds import Bounds
from devdb.gateway.process import arguments
from devdb.gateway.target import Target
from devdb.model import HOST

LOCAL = "Host: localhost"
HEALTH = request("GET /health HTTP/1.1", LOCAL)
SQL = [
    "POST /sql HTTP/1.1",
    LOCAL,
    "Neon-Connection-String: postgresql://devdb:SECRET@db.example.com/main",
]
UNREAD = request("POST /nowhere HTTP/1.1", LOCAL, body=b"x" * (1 << 20))
UPGRADE = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
]


@pytest.fixture
def target(tmp_path: Path) -> Target:
    """An instance whose servers do not run."""
    return nothing(tmp_path)


@pytest.fixture
def served(target: Target) -> Iterator[Target]:
    with thread(target):
        yield target


def once(target: Target, data: bytes) -> tuple[int, dict[str, str], bytes]:
    with Talk(target.port) as talk:
        talk.send(data)
        return talk.answer()


def test_it_says_what_it_is(served: Target) -> None:
    status, headers, body = once(served, HEALTH)
    assert (status, headers["server"]) == (200, "devdb")
    assert headers["content-type"].startswith("application/json")
    assert json.loads(body) == {
        "devdb": devdb.__version__,
        "instance": "shop",
        "pid": os.getpid(),
        "port": served.port,
        "direct": served.direct,
        "pooled": served.pooled,
    }

    for path, expected in {"/": 200, "/favicon.ico": 404, "/v2": 404}.items():
        status, headers, body = once(served, request(f"GET {path} HTTP/1.1", LOCAL))
        assert (status, headers["server"]) == (expected, "devdb")
        assert headers["content-type"].startswith("text/plain")
        assert b"'shop'" in body
        assert b"devdb url --http --help" in body
        assert body.count(b"\n") == 1

    status, headers, body = once(served, request("POST /query HTTP/1.1", LOCAL, body=b"{}"))
    assert (status, headers["server"]) == (400, "devdb")
    assert json.loads(body) == {"message": "query is not supported"}


@pytest.mark.parametrize(
    ("hosts", "status"),
    [
        (["127.0.0.1"], 200),
        (["localhost"], 200),
        (["LocalHost:3000"], 200),
        (["[::1]"], 200),
        (["[::1]:17654"], 200),
        ([], 403),
        (["localhost", "localhost"], 403),
        (["evil.example"], 403),
        (["localhost.evil.example"], 403),
        (["evil.example:17654"], 403),
        (["127.0.0.1.evil.example"], 403),
        (["localhost:x"], 403),
        (["user@localhost"], 403),
        (["127.0.0.1 evil"], 403),
        (["::1"], 403),
        (["0.0.0.0"], 403),
        ([""], 403),
    ],
)
def test_only_names_of_this_machine_are_answered(
    served: Target, hosts: list[str], status: int
) -> None:
    headers = [f"Host: {host}" for host in hosts]
    found, _, body = once(served, request("GET /health HTTP/1.1", *headers))
    # aiohttp is stricter, where there is not one Host.
    assert found == status or (found == 400 and len(hosts) != 1)
    foreign = "devdb: this is for 127.0.0.1 and localhost alone.\n"
    assert (body.decode() == foreign) == (found == 403)
    if found == 403:
        for line in ("POST /sql", "OPTIONS /sql", "GET /v2", "POST /create", "GET /"):
            assert once(served, request(f"{line} HTTP/1.1", *headers, *UPGRADE))[0] == 403
            assert once(served, request(f"{line} HTTP/1.1", *headers))[0] == 403
    assert once(served, request("GET /health HTTP/1.0"))[0] == 403


def test_connections_are_kept_as_the_client_wants(served: Target) -> None:
    with Talk(served.port) as talk:
        for _ in range(3):
            talk.send(HEALTH)
            assert talk.answer()[0] == 200
        talk.send(HEALTH * 3)
        for _ in range(3):
            assert talk.answer()[0] == 200
        talk.send(request("HEAD /health HTTP/1.1", LOCAL))
        status, headers, _ = talk.answer(head_only=True)
        assert status == 200
        assert int(headers["content-length"]) > 0
        talk.send(request("GET /health HTTP/1.1", LOCAL, "Connection: close"))
        status, headers, _ = talk.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert talk.ended()
    with Talk(served.port) as talk:
        talk.send(request("GET /health HTTP/1.0", LOCAL))
        assert talk.answer()[0] == 200
        assert talk.ended()


def test_another_upgrade_is_passed_over(served: Target) -> None:
    """Java's client, and curl with --http2, ask for HTTP/2 that way."""
    wanted = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"]
    with Talk(served.port) as talk:
        for _ in range(2):
            talk.send(request("GET /health HTTP/1.1", LOCAL, *wanted))
            assert talk.answer()[0] == 200
            talk.send(request("POST /nowhere HTTP/1.1", LOCAL, *wanted, body=b"{}"))
            assert talk.answer()[0] == 400


@pytest.mark.parametrize("given", ["Content-Length", "chunked"])
def test_a_body_has_a_bound(target: Target, given: str) -> None:
    bounds = Bounds()
    assert bounds.body == 64 * 1024 * 1024
    with thread(target, Bounds(lingering=0.1)), Talk(target.port) as talk:
        if given == "chunked":
            talk.send(request(*SQL, "Transfer-Encoding: chunked"))
            chunk = b"%x\r\n%s\r\n" % (1 << 20, b"x" * (1 << 20))
            for _ in range(64):
                talk.send(chunk)
            talk.send(b"1\r\nx\r\n")
        else:
            talk.send(request(*SQL, f"Content-Length: {bounds.body + 1}"))
        status, headers, body = talk.answer()
        assert (status, headers["server"]) == (413, "devdb")
        assert headers["access-control-allow-origin"] == "*"
        assert "64 MiB" in json.loads(body)["message"]
        assert talk.ended()


@pytest.mark.parametrize(
    ("status", "head", "size"),
    [
        (400, ["POST /nowhere HTTP/1.1", LOCAL], 10 << 20),
        (403, ["POST /sql HTTP/1.1", "Host: evil.example"], 10 << 20),
        (413, SQL, (64 << 20) + 1),
    ],
)
def test_who_is_refused_before_all_is_sent_gets_the_answer(
    served: Target, status: int, head: list[str], size: int
) -> None:
    with Talk(served.port) as talk:
        talk.send(request(*head, f"Content-Length: {size}"))
        for begin in range(0, size, 1 << 20):
            talk.send(b"x" * min(1 << 20, size - begin))
        assert talk.answer()[0] == status
        if status == 400:
            talk.send(HEALTH)
            assert talk.answer()[0] == 200
            talk.send(request("GET /health HTTP/1.1", LOCAL, f"X: {'x' * (1 << 16)}"))
            assert talk.answer()[0] == 431
        else:
            talk.send(HEALTH)
        assert talk.ended()


def test_who_asks_first_is_told_to_send_or_not_to(served: Target) -> None:
    head = [*SQL, "Expect: 100-continue"]
    with Talk(served.port) as talk:
        talk.send(request(*head, "Content-Length: 2"))
        assert talk.answer()[0] == 100
        talk.send(b"{}")
        assert talk.answer()[0] >= 400
        talk.send(HEALTH)
        assert talk.answer()[0] == 200
    with Talk(served.port) as talk:
        talk.send(request(*head, f"Content-Length: {1 << 30}"))
        assert talk.answer()[0] == 413


def test_a_head_has_a_bound(served: Target) -> None:
    most = Bounds().head
    assert most == 64 * 1024
    first = "GET /health HTTP/1.1"
    fits = most - len(request(first, LOCAL, "X: "))
    assert once(served, request(first, LOCAL, f"X: {'x' * fits}"))[0] == 200
    many = [f"X-{number}: {'x' * 1000}" for number in range(70)]
    too_large = [
        request(first, LOCAL, f"X: {'x' * (fits + 1)}"),
        request(first, LOCAL, f"X: {'x' * most}"),
        request(first, LOCAL, *many),
        request(f"GET /{'x' * most} HTTP/1.1", LOCAL),
        b"GET /health HTTP/1.1\r\n" + b"X: x\r\n" * 200_000,
        b"GET /health HTTP/1.1\r\nX: " + b"x" * (1 << 20),
    ]
    for data in too_large:
        with Talk(served.port) as talk:
            try:
                talk.send(data)
            except ConnectionError:
                continue  # it closed in the midst of it
            try:
                status, _, body = talk.answer()
            except ConnectionError:
                continue
            assert status == 431
            assert talk.ended()
            assert body == b"devdb: the head of a request may have 65536 bytes.\n"
    assert once(served, HEALTH)[0] == 200


def all_read(port: int) -> bool:
    """Whether nothing is on its way through a connection to that port, as Linux counts it."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    there = [row for row in rows if f":{port:04X}" in row[1] + row[2] and row[3] == "01"]
    assert there
    return all(row[4] == "00000000:00000000" for row in there)


@pytest.mark.parametrize(
    ("before", "part", "words"),
    [
        (b"", b"", None),
        (b"", b"GET /health HT", b"no whole request came within 2 seconds"),
        (b"", b"GET /health HTTP/1.1\r\nHost: loc", b"no whole request came within 2 seconds"),
        (HEALTH, b"GET /health HTTP/1.1\r\nHost: loc", b"no whole request came"),
        (HEALTH + b"G", b"ET /health HTTP/1.1\r\nHost: loc", b"no whole request came"),
        (UNREAD, b"GET /health HTTP/1.1\r\nHost: loc", b"no whole request came"),
        (b"", request(*SQL, "Content-Length: 9") + b"{", b"the rest of the request did not come"),
    ],
)
def test_who_is_slow_is_not_waited_for(
    target: Target, before: bytes, part: bytes, words: bytes | None
) -> None:
    lingering = PATIENCE if before is UNREAD else 0.1  # it is all read, however slowly
    with thread(target, Bounds(patience=2, lingering=lingering)), Talk(target.port) as talk:
        if before:
            talk.send(before)
            assert talk.answer()[0] in (200, 400)
            # Alone: what came with the end of a body is waited for as long as what is idle.
            world.eventually(lambda: all_read(target.port), "the gateway has read what was sent")
        talk.send(part)
        if words:
            status, headers, body = talk.answer()
            assert (status, headers["connection"]) == (408, "close")
            assert words in body
        assert talk.ended()


def test_an_idle_connection_is_closed(target: Target) -> None:
    with thread(target, Bounds(idle=0.3)), Talk(target.port) as talk:
        talk.send(HEALTH)
        assert talk.answer()[0] == 200
        assert talk.ended()


@pytest.mark.parametrize(
    "data",
    [
        b"SECRET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
        b"GET /health HTTP/9.9 SECRET\r\nHost: localhost\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nSECRET\r\n\r\n",
        b"POST /sql HTTP/1.1\r\nHost: localhost\r\nContent-Length: SECRET\r\n\r\n",
        b"POST /sql HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nSECRET\r\n",
        b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
    ],
)
def test_what_is_no_http_is_refused_and_told_nowhere(target: Target, data: bytes) -> None:
    with process(target) as running:
        with Talk(target.port) as talk:
            talk.send(data)
            status, headers, body = talk.answer()
            assert (status, headers["server"]) == (400, "devdb")
            assert body.startswith(b"devdb: ")
            assert b"SECRET" not in body
            assert talk.ended()
        assert once(target, HEALTH)[0] == 200
        running.terminate()
        assert running.communicate(timeout=PATIENCE) == ("", "")


def test_there_can_be_so_many_connections(target: Target) -> None:
    with thread(target, Bounds(connections=3)), ExitStack() as stack:
        talks = [stack.enter_context(Talk(target.port)) for _ in range(3)]
        for talk in talks:
            talk.send(HEALTH)
            assert talk.answer()[0] == 200
        with Talk(target.port) as talk:
            talk.send(HEALTH)
            status, headers, body = talk.answer()
            assert (status, headers["server"], headers["connection"]) == (503, "devdb", "close")
            assert body == b"devdb: 3 connections are open, and there can be no more.\n"
            assert talk.ended()
        talks[0].close()

        world.eventually(lambda: once(target, HEALTH)[0] == 200, "one left, another may come")


def test_it_asks_for_the_files_that_it_needs_and_lives_with_fewer(target: Target) -> None:
    def limited(soft: int, hard: int) -> list[str]:
        shell = f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@"'
        return ["sh", "-c", shell, "sh", sys.executable, "-P"]

    with process(target, python=limited(256, 4096)) as running:
        assert psutil.Process(running.pid).rlimit(resource.RLIMIT_NOFILE)[0] == 2064
    with process(target, python=limited(80, 80)):
        with ExitStack() as stack:
            answers = []
            for _ in range(8):
                talk = stack.enter_context(Talk(target.port))
                talk.send(HEALTH)
                answers.append(talk.answer()[0])
            assert answers[:7] == [200] * 7  # one may still be that of who looked if it accepts
            for _ in range(92):
                with Talk(target.port) as talk:
                    talk.send(HEALTH)
                    assert talk.answer()[0] == 503
        world.eventually(lambda: once(target, HEALTH)[0] == 200, "there is room again")


@pytest.mark.parametrize(
    "numbers", [["SIGTERM"], ["SIGINT"], ["SIGHUP"], ["SIGTERM", "SIGINT"] * 3]
)
def test_a_signal_ends_it(target: Target, numbers: list[str]) -> None:
    with process(target) as running, Talk(target.port) as idle, Talk(target.port) as half:
        idle.send(HEALTH)
        assert idle.answer()[0] == 200
        half.send(b"GET /")
        for number in numbers:
            running.send_signal(getattr(signal, number))
        while len(numbers) > 1 and running.poll() is None:
            running.send_signal(signal.SIGTERM)  # to its last moment
        assert running.communicate(timeout=PATIENCE) == ("", "")
        assert running.returncode == 0
        assert idle.ended()
        assert half.ended()


def test_more_signals_than_it_can_note_end_it_as_one_does(target: Target) -> None:
    program = (
        "import asyncio, os, signal, sys\n"
        "from devdb.gateway import __main__, server\n"
        "serve = server.serve\n"
        "def flood():\n"
        "    for _ in range(2000):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "__main__.serve = lambda target, user, ready: serve(target, user=user, ready=flood)\n"
        "sys.exit(__main__.main(sys.argv[1:]))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-P", "-c", program, *arguments(target, None)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_it_leaves_a_signal_alone_that_is_ignored(target: Target) -> None:
    with world.inheriting(signal.SIGHUP, signal.SIG_IGN), process(target) as running:
        running.send_signal(signal.SIGHUP)
        for _ in range(20):  # it would end in the midst of them
            assert once(target, HEALTH)[0] == 200
        running.terminate()
        assert running.wait(PATIENCE) == 0


def test_it_ends_when_the_marker_is_gone(target: Target) -> None:
    with process(target) as running, Talk(target.port) as idle:
        idle.send(HEALTH)
        assert idle.answer()[0] == 200
        marker = target.directory / "marker.json"
        marker.replace(target.directory / "new")  # as a marker that is saved anew
        (target.directory / "new").replace(marker)
        idle.send(HEALTH)
        assert idle.answer()[0] == 200
        assert running.poll() is None
        marker.unlink()
        assert running.communicate(timeout=PATIENCE) == ("", "")
        assert running.returncode == 0


def test_it_ends_when_the_directory_is_gone_though_there_is_another(target: Target) -> None:
    with process(target) as running:
        old = target.directory.rename(target.directory.with_name("old"))
        target.directory.mkdir()
        (target.directory / "marker.json").touch()
        (old / "marker.json").unlink()
        old.rmdir()
        assert running.wait(PATIENCE) == 0


def run(target: Target) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-P", "-m", "devdb.gateway", *arguments(target, None)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE)


@pytest.mark.parametrize("listens", [True, False])
def test_a_port_that_is_taken_is_said(target: Target, listens: bool) -> None:
    with socket.socket() as other:
        other.bind((HOST, target.port))
        if listens:
            other.listen()
        ended = run(target)
    assert ended.returncode == 5
    assert ended.stdout == ""
    assert ended.stderr.startswith(f"Port {target.port} is in use by ")
    assert ended.stderr.count("\n") == 1


def test_without_an_instance_it_does_not_begin(target: Target) -> None:
    (target.directory / "marker.json").unlink()
    target.directory.rmdir()
    ended = run(target)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "Instance 'shop' cannot be seen: No such file or directory.\n"
    target.directory.mkdir()
    assert run(target).returncode == 0
