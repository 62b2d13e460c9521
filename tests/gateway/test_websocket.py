"""Postgres over the gateway's WebSocket, on real servers, byte for byte."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import aiohttp
import psutil
import pytest
import world
from gateway import serving
from gateway.serving import PATIENCE, Talk, nothing, process, request, thread
from gateway.sockets import (
    ASKED,
    DEVDB,
    GSS,
    SSL,
    TERMINATE,
    Client,
    opened,
    password,
    query,
    rows,
    run,
    startup,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from instances import Instance
from libpq import connect

from devdb.gateway.bounds import Bounds
from devdb.gateway.target import Target
from devdb.model import HOST, Spec
from devdb.wire import framing

WORDS = {"S": "FATAL", "V": "FATAL"}
OK, GOING_AWAY, PROTOCOL, UNSUPPORTED, POLICY, TOO_BIG = 1000, 1001, 1002, 1003, 1008, 1009


@pytest.fixture
def served(running: Spec) -> Iterator[Target]:
    """The running instance, served."""
    target = serving.target(running)
    with thread(target):
        yield target


def paths(target: Target) -> dict[str, int]:
    """Paths that clients ask for, each with the port that it leads to."""
    return {
        "/v2": target.pooled,
        "/v1": target.pooled,
        "/": target.pooled,
        "/any/where?x=y": target.pooled,
        "/v2?address=": target.pooled,
        "/v2?address=shop.example.com": target.pooled,
        "/v2?address=shop.example.com:": target.pooled,
        f"/v2?address=shop.example.com:{target.pooled}": target.pooled,
        f"/v2?address=shop.example.com:{target.direct}": target.direct,
        f"/v2?address=shop.example.com%3A{target.direct}&x=y": target.direct,
        f"/v1?address=127.0.0.1:{target.direct}": target.direct,
        f"/v1?address=[::1]:{target.direct}": target.direct,
        f"/?address=:{target.direct}": target.direct,
    }


async def is_direct(client: Client, spec: Spec) -> bool:
    """Log in; whether it is Postgres' own process whose key it was given."""
    greeting = await client.enter(spec)
    (key,) = [body for kind, body in greeting if kind == b"K"]
    ((pid,),) = await client.ask("SELECT pg_backend_pid()")
    return int(pid or 0) == int.from_bytes(key[:4], "big")


def test_the_port_of_the_address_chooses(served: Target, running: Spec) -> None:
    async def test() -> None:
        for path, port in paths(served).items():
            async with opened(served, path) as client:
                assert await is_direct(client, running) == (port == served.direct), path

    run(test())


@pytest.mark.parametrize("origin", [None, "https://app.example.com"])
def test_all_that_comes_first_may_come_at_once_or_when_asked(
    served: Target, running: Spec, origin: str | None
) -> None:
    async def test(port: int) -> None:
        path = f"/v2?address=x:{port}"
        async with opened(served, path, origin=origin) as client:
            assert rows(await client.enter(running, "SELECT 1, NULL, 'ä'")) == [["1", None, "ä"]]
            await client.send(TERMINATE)
            assert await client.message() == (b"", b"")
            assert client.page.close_code == OK
        async with opened(served, path) as client:
            for encryption in (SSL, GSS):
                await client.send(encryption)
                assert await client.byte() == b"N"
            await client.send(startup(**DEVDB, application_name="asked"))
            assert framing.message(*await client.message()) == ASKED
            await client.send(password(running.password))
            said = dict(
                body.rstrip(b"\0").split(b"\0", 1)
                for kind, body in await client.until(b"Z")
                if kind == b"S"
            )
            assert said[b"server_encoding"] == b"UTF8"
            assert await client.ask("SHOW application_name") == [["asked"]]

    for port in (served.direct, served.pooled):
        run(test(port))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.sets(st.integers(1, 200)), encrypted=st.booleans())
def test_frames_may_end_anywhere(
    served: Target, running: Spec, cuts: set[int], encrypted: bool
) -> None:
    data = startup(**DEVDB) + password(running.password) + query("SELECT 'found'")
    data = SSL + data if encrypted else data

    async def test() -> None:
        async with opened(served) as client:
            borders = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
            for begin, end in pairwise(borders):
                await client.send(data[begin:end])
            if encrypted:
                assert await client.byte() == b"N"
            assert framing.message(*await client.message()) == ASKED
            await client.until(b"Z")
            assert rows(await client.until(b"Z")) == [["found"]]

    run(test())


def test_each_byte_may_be_a_frame(served: Target, running: Spec) -> None:
    async def test() -> None:
        async with opened(served) as client:
            data = SSL + startup(**DEVDB) + password(running.password) + query("SELECT 1")
            for byte in data:
                await client.send(bytes([byte]))
                await client.send(b"")
            assert await client.byte() == b"N"
            await client.until(b"Z")
            assert rows(await client.until(b"Z")) == [["1"]]

    run(test())


def test_what_version_3_0_does_not_know_is_negotiated(served: Target, running: Spec) -> None:
    async def test() -> None:
        for version, options in ((0x30002, []), (0x30002, ["_pq_.new"]), (0x30000, ["_pq_.new"])):
            text = b"".join(f"{name}\0on\0".encode() for name in options)
            text += b"user\0devdb\0database\0main\0\0"
            first = framing.message(b"", version.to_bytes(4, "big") + text)
            async with opened(served, f"/v2?address=x:{served.direct}") as client:
                await client.send(first + password(running.password))
                kind, body = await client.message()
                assert kind == b"v"
                assert body[:8] == (0x30000).to_bytes(4, "big") + len(options).to_bytes(4, "big")
                assert body[8:] == b"".join(f"{name}\0".encode() for name in options)
                assert framing.message(*await client.message()) == ASKED
                await client.until(b"Z")
                assert await client.ask("SELECT 1") == [["1"]]

    run(test())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"password": "wrong"}, {"C": "28P01"}),
        ({"user": "nobody"}, {"C": "28P01"}),
        ({"database": "nowhere"}, {"C": "3D000", "M": 'database "nowhere" does not exist'}),
        ({"options": "-c no.such=thing -c work_mem=much"}, {"C": "22023"}),
    ],
)
def test_the_servers_own_no_is_passed_on(
    served: Target, running: Spec, changes: dict[str, str], words: dict[str, str]
) -> None:
    given = {"password": running.password, "user": "devdb", "database": "main", **changes}
    secret = given.pop("password")

    async def test(port: int) -> dict[str, str]:
        async with opened(served, f"/v2?address=x:{port}") as client:
            await client.send(startup(**given) + password(secret) + query("SELECT 1"))
            assert framing.message(*await client.message()) == ASKED
            said = await client.refused()
            assert client.page.close_code == OK
            return said

    said = run(test(served.direct))
    assert said | words == said
    assert said["S"] == "FATAL"
    if "options" not in changes:
        said = run(test(served.pooled))
        assert said["S"] == "FATAL"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:{}",
        "localhost:{}",
        "[::1]:{}",
        "127.0.0.1:{}&address=127.0.0.1:{}",
        "127.0.0.1:{}/",
        "127.0.0.1:+{}",
        "127.0.0.1:0{}",
        "user@127.0.0.1:{}",
        "127.0.0.1:1:{}",
        "http://127.0.0.1:{}",
        "127.0.0.1:0",
        "127.0.0.1:99999999999999999999",
        "127.0.0.1:x",
        "127.0.0.1:%D9%A1",
    ],
)
def test_no_address_leads_elsewhere(tmp_path: Path, address: str) -> None:
    target = nothing(tmp_path)
    with socket.create_server((HOST, 0)) as elsewhere, thread(target):
        elsewhere.setblocking(False)
        port = elsewhere.getsockname()[1]

        async def test(first: bytes) -> None:
            async with opened(target, f"/v1?address={address.format(port, port)}") as client:
                await client.send(first)
                said = await client.refused()
                assert said | WORDS == said
                assert said["C"] == "08004"
                assert said["M"].startswith("devdb: ")
                assert client.page.close_code == POLICY

        run(test(startup(**DEVDB) + password("secret")))
        run(test(framing.request(framing.CANCEL_REQUEST, bytes(8))))
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


def knock(port: int) -> None:
    socket.create_connection((HOST, port)).close()


@contextmanager
def answering(target: Target, answer: bytes | None) -> Iterator[None]:
    """Somebody at both ports, who gives that answer to whatever comes, or none."""
    ending = threading.Event()

    def serve(listener: socket.socket) -> None:
        while True:
            client, _ = listener.accept()
            with client:
                if client.recv(1024) and answer is not None:
                    client.sendall(answer)
                    client.shutdown(socket.SHUT_WR)
                if ending.is_set():
                    return
                while answer is None and client.recv(1024):
                    pass

    with ExitStack() as stack:
        for port in (target.direct, target.pooled):
            listener = stack.enter_context(socket.create_server((HOST, port)))
            thread = threading.Thread(target=serve, args=(listener,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(knock, port)
        stack.callback(ending.set)
        yield


STARTING = framing.message(b"E", b"SFATAL\0C57P03\0Mthe database system is starting up\0\0")
TRUSTING = framing.message(b"R", bytes(4)) + framing.message(b"Z", b"I")
DOWN = "devdb: 'shop' is not running. Start it: devdb up -n shop"


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (STARTING, "57P03", DOWN),
        (b"", "57P03", DOWN),
        (b"HTTP/1.1 400 Bad Request", "08006", "is not 'shop'. Look at it: devdb status -n shop"),
        (TRUSTING, "08006", "is not 'shop'. Look at it: devdb status -n shop"),
        (None, "57P03", "devdb: 'shop' does not answer. Look at it: devdb status -n shop"),
        ("nobody", "57P03", DOWN),
    ],
)
def test_servers_that_let_nobody_in_are_said(
    tmp_path: Path, answer: bytes | str | None, code: str, words: str
) -> None:
    target = nothing(tmp_path)

    async def test(port: int) -> None:
        async with opened(target, f"/v2?address=x:{port}") as client:
            first = startup(user="devdb") + password("secret") + query("SELECT 1")
            await client.send(first)
            assert framing.message(*await client.message()) == ASKED
            said = await client.refused()
            assert said["S"] == "FATAL"
            assert said["C"] == code
            assert words in said["M"]

    with ExitStack() as stack:
        if not isinstance(answer, str):
            stack.enter_context(answering(target, answer))
        stack.enter_context(thread(target, Bounds(login=0.3 if answer is None else 70)))
        for port in (target.direct, target.pooled):
            run(test(port))


@pytest.mark.parametrize(
    "first",
    [b"", startup(user="devdb")[:15], SSL, SSL + startup(user="devdb")[:15]],
)
def test_a_login_that_does_not_come_is_not_waited_for(tmp_path: Path, first: bytes) -> None:
    target = nothing(tmp_path)

    async def test(first: bytes, said: bytes) -> None:
        async with opened(target) as client:
            await client.send(first)
            for number in said:
                assert await client.byte() == bytes([number])
            assert await client.message() == (b"", b"")
            assert client.page.close_code == POLICY

    with thread(target, Bounds(patience=0.3)):
        run(test(first, b"N" if SSL in first else b""))
        whole = startup(user="devdb")
        run(test(whole, ASKED))
        run(test(whole + password("secret")[:-2], ASKED))


KEY = bytes(range(8))


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (bytes(4), "08P01"),
        (b"GET / HTTP/1.1\r\n\r\n", "08P01"),
        (framing.message(b"", bytes(4)), "08P01"),
        (framing.message(b"", (2 << 16).to_bytes(4, "big") + b"user\0devdb\0\0"), "08P01"),
        (framing.message(b"", (4 << 16).to_bytes(4, "big") + b"user\0devdb\0\0"), "08P01"),
        (framing.message(b"", (3 << 16).to_bytes(4, "big")), "08P01"),
        (framing.message(b"", (3 << 16).to_bytes(4, "big") + b"user\0devdb\0"), "08P01"),
        (framing.message(b"", (3 << 16).to_bytes(4, "big") + b"user\0\0"), "08P01"),
        (framing.message(b"", (3 << 16).to_bytes(4, "big") + b"user\0de\xff\0\0"), "22021"),
        (startup(database="main"), "28000"),
        (startup(user=""), "28000"),
        (startup(user="x" * 70_000), "08P01"),
        (framing.request(framing.CANCEL_REQUEST), "08P01"),
        (framing.request(framing.CANCEL_REQUEST, bytes(1000)), "08P01"),
        (SSL * 3, "08P01"),
        (startup(user="devdb") + query("SELECT 1"), "08P01"),
        (startup(user="devdb") + password("x" * 70_000), "08P01"),
        (startup(user="devdb") + password(""), "28P01"),
        (startup(user="devdb") + password("a\0b"), "08P01"),
        (startup(user="devdb") + framing.message(b"p", b"secret"), "08P01"),
        (startup(user="devdb") + framing.message(b"p", b"\xff\0"), "22021"),
    ],
)
def test_what_is_no_login_is_refused(tmp_path: Path, first: bytes, code: str) -> None:
    target = nothing(tmp_path)

    async def test() -> None:
        async with opened(target) as client:
            await client.send(first)
            for _ in range(2 if first == SSL * 3 else 0):
                assert await client.byte() == b"N"
            if first.startswith(startup(user="devdb")):
                assert framing.message(*await client.message()) == ASKED
            said = await client.refused()
            assert (said["S"], said["C"]) == ("FATAL", code)
            assert client.page.close_code == POLICY

    with thread(target):
        run(test())


def test_what_is_no_client_of_postgres_is_closed(tmp_path: Path) -> None:
    target = nothing(tmp_path)

    async def test() -> None:
        async with opened(target) as client:
            await client.page.send_str("SELECT 1")
            assert await client.message() == (b"", b"")
            assert client.page.close_code == UNSUPPORTED
        async with opened(target) as client:
            await client.send(bytes(1001))
            assert await client.message() == (b"", b"")
            assert client.page.close_code == TOO_BIG
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            async with opened(target, headers={"Sec-WebSocket-Version": "99"}):
                pass
        assert caught.value.status == 400

    with thread(target, Bounds(body=1000)):
        run(test())
        with Talk(target.port) as talk:
            talk.send(request("GET /v2 HTTP/1.1", "Host: localhost", "Upgrade: websocket"))
            status, headers, body = talk.answer()
            assert (status, headers["server"]) == (400, "devdb")
            assert body == b"devdb: this is no WebSocket handshake.\n"
            assert talk.ended()


def test_a_query_is_cancelled_by_its_key(served: Target, running: Spec) -> None:
    async def test(port: int) -> None:
        path = f"/v2?address=x:{port}"
        async with opened(served, path) as client:
            (key,) = [body for kind, body in await client.enter(running) if kind == b"K"]
            await client.send(query("SELECT 'long', pg_sleep(600)"))
            await asyncio.to_thread(world.eventually, lambda: at_work(running), "it is at work")
            async with opened(served, path) as cancelling:
                await cancelling.send(framing.request(framing.CANCEL_REQUEST, key))
                assert await cancelling.message() == (b"", b"")
                assert cancelling.page.close_code == OK
            error = dict(await client.until(b"Z"))[b"E"]
            assert framing.fields(error)["C"] == "57014"
            assert await client.ask("SELECT 1") == [["1"]]

    for port in (served.direct, served.pooled):
        run(test(port))


def at_work(spec: Spec) -> int:
    """How many sessions are at work on something long."""
    with connect(spec.direct) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT ''long''%'"
            " AND state = 'active'"
        ).fetchone()
        assert found
        return int(found[0])


@pytest.mark.parametrize("how", ["cut off", "closed"])
def test_what_a_client_began_that_left_is_cancelled(
    served: Target, running: Spec, how: str
) -> None:
    async def test(port: int) -> None:
        async with opened(served, f"/v2?address=x:{port}") as client:
            await client.enter(running)
            await client.send(query("SELECT 'long', pg_sleep(600)"))
            await asyncio.to_thread(world.eventually, lambda: at_work(running), "it is at work")
            if how == "closed":
                await client.page.close()
            else:
                client.cut_off()

    for port in (served.direct, served.pooled):
        run(test(port))
        world.eventually(lambda: not at_work(running), "it was cancelled")


def test_who_says_goodbye_has_nothing_cancelled(
    served: Target, running: Spec, shared: Instance
) -> None:
    """Postgres would note that there is no such process any more."""

    async def test() -> str:
        async with opened(served, f"/v2?address=x:{served.direct}") as client:
            await client.enter(running)
            ((pid,),) = await client.ask("SELECT pg_backend_pid()")
            await client.send(TERMINATE)
            await client.page.close()
            return str(pid)

    pid = run(test())
    with connect(running.direct) as connection:
        for _ in range(3):  # what came before it is in the log by then
            connection.execute("DO $$ BEGIN RAISE LOG 'here'; END $$")
    lines = shared.engine.logs(running.name, tail=100, follow=False)
    text = [line.text for line in lines if line is not None]
    assert any("here" in each for each in text)
    assert not any(f"PID {pid} in cancel request" in each for each in text)


def test_a_session_that_is_ended_hears_why(served: Target, running: Spec) -> None:
    """As when its temporary database is dropped."""

    async def test(port: int) -> None:
        async with opened(served, f"/v2?address=x:{port}") as client:
            await client.enter(running)
            ((pid,),) = await client.ask("BEGIN; SELECT pg_backend_pid()")
            with connect(running.direct) as connection:
                connection.execute("SELECT pg_terminate_backend(%s)", [int(pid or 0)])
            said = await client.until(b"?")
            assert framing.fields(dict(said)[b"E"])["S"] == "FATAL"
            assert client.page.close_code == OK

    for port in (served.direct, served.pooled):
        run(test(port))


def test_who_reads_slowly_is_waited_for(running: Spec) -> None:
    """What neither side takes stays where it is, not in the gateway."""
    count, size, most = 600, 100_000, 40 << 20
    target = serving.target(running)

    async def test(port: int, gateway: psutil.Process) -> None:
        before = gateway.memory_info().rss
        async with opened(target, f"/v2?address=x:{port}") as client:
            await client.enter(running)
            await client.send(
                query(f"SELECT 'long', repeat('x', {size}) FROM generate_series(1, {count})")
            )
            await asyncio.to_thread(world.eventually, lambda: waits(running), "it is not read")
            assert gateway.memory_info().rss < before + most
            found = rows(await client.until(b"Z"))
            assert found == [["long", "x" * size]] * count
        assert gateway.memory_info().rss < before + most

    with process(target) as gateway:
        run(test(target.direct, psutil.Process(gateway.pid)))
        run(test(target.pooled, psutil.Process(gateway.pid)))


def waits(spec: Spec) -> bool:
    """Whether a session cannot get rid of its rows."""
    with connect(spec.direct) as connection:
        found = connection.execute(
            "SELECT FROM pg_stat_activity WHERE wait_event = 'ClientWrite'"
        ).fetchone()
        return found is not None


def test_a_server_that_reads_slowly_is_waited_for(running: Spec) -> None:
    piece, most = query("SELECT 'long', '" + "x" * 1_000_000 + "'"), 40 << 20
    target = serving.target(running)

    async def test(gateway: psutil.Process) -> None:
        before = gateway.memory_info().rss
        async with opened(target, f"/v2?address=x:{target.direct}") as client:
            await client.enter(running)
            with connect(running.direct) as connection:
                connection.execute("SELECT pg_advisory_lock(12)")
                await client.send(query("SELECT pg_advisory_lock_shared(12)"))

                async def flood() -> int:
                    for _ in range(60):
                        await client.send(piece)
                    return 60

                flooding = asyncio.create_task(flood())
                with pytest.raises(TimeoutError):
                    # All that proves that it waits is that it does not end.
                    await asyncio.wait_for(asyncio.shield(flooding), 1)
                assert gateway.memory_info().rss < before + most
            for number in range(61):
                assert b"E" not in dict(await client.until(b"Z")), number
            assert await flooding == 60

    with process(target) as gateway:
        run(test(psutil.Process(gateway.pid)))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_of_the_gateway_waits_for_nobody(running: Spec, number: signal.Signals) -> None:
    target = serving.target(running)

    async def test(gateway: subprocess.Popen[str]) -> None:
        async with (
            opened(target) as quiet,
            opened(target) as begun,
            opened(target, f"/v2?address=x:{target.direct}") as direct,
            opened(target) as pooled,
            opened(target) as deaf,
        ):
            await quiet.enter(running)
            await begun.send(startup(**DEVDB))
            assert framing.message(*await begun.message()) == ASKED
            for client in (direct, pooled):
                await client.enter(running)
                await client.send(query("SELECT 'long', pg_sleep(600)"))
            await deaf.enter(running)
            await deaf.send(query("SELECT repeat('x', 1000) FROM generate_series(1, 100000)"))
            at_work_both = lambda: at_work(running) == 2  # noqa: E731
            await asyncio.to_thread(world.eventually, at_work_both, "both are at work")
            gateway.send_signal(number)
            for client in (quiet, begun, direct, pooled):
                await client.until(b"?")
                assert client.page.close_code == GOING_AWAY
            assert await asyncio.to_thread(gateway.communicate, timeout=PATIENCE) == ("", "")
            assert gateway.returncode == 0

    with process(target) as gateway:
        run(test(gateway))
    world.eventually(lambda: not at_work(running), "they were cancelled")
