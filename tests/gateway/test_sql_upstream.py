"""What stands behind `POST /sql`: connections that are kept, that end, that are left."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import aiohttp
import libpq
import psutil
import pytest
import world
from gateway import serving
from gateway.asking import RAW, Asking, Reply, gateway
from inside import Inside
from instances import Instance

from devdb import databases
from devdb.gateway import pool, sql
from devdb.gateway.parameters import Login, Statement
from devdb.gateway.pool import Closed, Pool
from devdb.gateway.target import Target
from devdb.gateway.values import Mode
from devdb.model import HOST, Endpoint, PoolMode, Spec
from devdb.urls import url
from devdb.wire import framing

PID = "SELECT pg_backend_pid()"
HOUR = timedelta(hours=1)


@pytest.fixture
def target(running: Spec) -> Iterator[Target]:
    with gateway(running) as target:
        yield target


@pytest.fixture
def direct(running: Spec, target: Target) -> Asking:
    return Asking(target, running.direct)


@pytest.fixture(params=["direct", "pooled"])
def ask(request: pytest.FixtureRequest, running: Spec, target: Target) -> Asking:
    """By each of the two URLs."""
    return Asking(target, getattr(running, request.param))


@pytest.fixture
def inside(running: Spec) -> Inside:
    return Inside(running)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are kept longer than any test takes."""
    monkeypatch.setattr(pool, "IDLE", 600.0)


@pytest.fixture
def scratch(inside: Inside) -> Iterator[str]:
    """A database to be dropped by whoever likes."""
    name = f"scratch_{os.urandom(4).hex()}"
    inside.sql(f"CREATE DATABASE {name}")
    yield name
    inside.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def sessions(inside: Inside, database: str) -> int:
    [count] = inside.sql("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", database)
    return int(count)


@pytest.mark.usefixtures("patient")
def test_a_connection_is_kept_and_shows_nothing_of_the_request_before(
    direct: Asking, inside: Inside
) -> None:
    [[pid]] = direct.rows(PID)
    left = [
        "SET search_path TO pg_temp",
        "SET application_name TO 'mine'",
        "SET default_transaction_read_only TO on",
        "SET statement_timeout TO '1h'",
        "CREATE TEMP TABLE mine (a int)",
        "SELECT pg_advisory_lock(4711)",
        "PREPARE mine AS SELECT 1",
        "DECLARE mine CURSOR WITH HOLD FOR SELECT 1",
        "DO $$ BEGIN EXECUTE 'LISTEN mine'; END $$",
        "SELECT set_config('my.own', 'x', false)",
        "SET SESSION AUTHORIZATION pg_monitor",
        "SELECT 1/0",
        "SELECT FROM nowhere",
    ]
    for statement in left:
        assert direct.query(statement).status in (200, 400)
    assert direct.batch("SET search_path TO pg_temp", "CREATE TEMP TABLE t (a int)").status == 200
    assert direct.batch("SET search_path TO pg_temp", "SELECT 1/0").status == 400
    state = """
        SELECT current_setting('search_path'), current_setting('application_name'),
               current_setting('default_transaction_read_only'),
               current_setting('statement_timeout'), current_setting('my.own', true), user,
               to_regclass('pg_temp.mine'), (SELECT count(*) FROM pg_prepared_statements),
               (SELECT count(*) FROM pg_cursors WHERE name <> ''),
               (SELECT count(*) FROM pg_listening_channels()),
               (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), pg_backend_pid()
    """
    clean = ['"$user", public', "", "off", "0", "", "devdb", None, "0", "0", "0", "0", pid]
    [found] = direct.rows(state)
    assert found == clean
    assert inside.sql("SELECT pg_try_advisory_lock(4711)") == [True]


@pytest.mark.usefixtures("patient")
def test_a_setting_is_not_kept_by_the_pooler_for_the_next_request(
    running: Spec, target: Target
) -> None:
    pooled = Asking(target, running.pooled)
    before = pooled.rows("SHOW TimeZone")
    assert pooled.query("SET TimeZone TO 'Asia/Tokyo'").status == 200
    assert pooled.rows("SHOW TimeZone") == before


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("query", ["BEGIN", "START TRANSACTION READ ONLY"])
def test_an_open_transaction_is_never_handed_on(ask: Asking, inside: Inside, query: str) -> None:
    assert ask.query(query).status == 200
    for _ in range(3):
        assert ask.rows("SHOW transaction_read_only") == [["off"]]
    assert ask.batch("SELECT 1", "COMMIT", query).status == 200
    left = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%%'"
    world.eventually(lambda: inside.sql(left) == [0], "no transaction is open")


@pytest.mark.usefixtures("patient")
def test_a_connection_that_ended_while_it_was_kept_is_not_used(
    direct: Asking, inside: Inside, scratch: str
) -> None:
    """Neither is its last word taken for an answer."""
    for _ in range(5):
        [[pid]] = direct.rows(PID)
        inside.sql("SELECT pg_terminate_backend(%s)", int(pid))
        [[other]] = direct.rows(PID)
        assert other != pid

    for port in (direct.endpoint.port, direct.target.pooled):
        there = direct.of(database=scratch, port=port)
        assert there.query("CREATE TABLE t ()").json["command"] == "CREATE"
        inside.sql(f"DROP DATABASE {scratch} WITH (FORCE)")
        error = there.query("SELECT FROM t").error
        assert error["code"] in ("3D000", "08P01")
        assert scratch in (error["message"] or "") or "login" in (error["message"] or "")
        inside.sql(f"CREATE DATABASE {scratch}")
        settled = lambda: there.query("SELECT 1").status == 200  # noqa: B023, E731 - at once
        world.eventually(settled, "PgBouncer has seen that it is there again")
        assert there.query("SELECT FROM t").error["code"] == "42P01"


@pytest.fixture
def native(instances: Callable[[str], Instance], monkeypatch: pytest.MonkeyPatch) -> Spec:
    """An instance whose servers are processes of this machine: they can be held."""
    instance = instances("native")
    monkeypatch.setenv("DEVDB_DATA_DIR", str(instance.home))
    return instance.spec


@pytest.mark.usefixtures("patient")
def test_a_connection_is_looked_at_when_it_is_taken(native: Spec) -> None:
    """Not only when the loop comes to it: it may have ended in between."""
    who = replace(native.pooled, database="postgres")
    login = Login(who.user, who.password, who.database, who.port, ())
    statements = [Statement(b"SELECT 1", [], Mode(is_raw=True, is_array=True))]

    async def run() -> None:
        pool = Pool(serving.target(native))
        await pool.run(login, who.port, statements, None)
        with libpq.console(native) as console:
            console.execute("KILL postgres")
            console.execute("RESUME postgres")
        [result] = await pool.run(login, who.port, statements, None)
        assert result.rows == [b'["1"]']
        await pool.close()

    asyncio.run(asyncio.wait_for(run(), serving.PATIENCE))


@pytest.mark.usefixtures("patient")
def test_a_request_that_meets_the_end_of_its_connection_is_sent_again(native: Spec) -> None:
    with gateway(native) as target:
        _meet_the_end(Asking(target, native.direct), Inside(native))


def _meet_the_end(direct: Asking, inside: Inside) -> None:
    [[pid]] = direct.rows(PID)
    server = psutil.Process(int(pid))
    server.suspend()
    try:
        inside.sql("SELECT pg_terminate_backend(%s)", int(pid))
        answers: list[object] = []
        asking = threading.Thread(target=lambda: answers.append(direct.rows(PID)))
        asking.start()
        # It was sent when as many bytes wait on the server's side as are not read.
        mine = [
            each.laddr.port
            for each in psutil.Process().net_connections("tcp")
            if each.raddr and each.raddr.port == direct.endpoint.port
        ]
        world.eventually(lambda: any(map(waiting, mine)), "the request waits to be read")
    finally:
        server.resume()
    asking.join()
    assert answers
    assert answers != [[[pid]]]


def waiting(client: int) -> bool:
    """Whether bytes from that port of ours were not read yet by who they were sent to."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, _, remote, _, queues = line.split()[:5]
        if int(remote.split(":")[1], 16) == client and int(queues.split(":")[1], 16):
            return True
    return False


@pytest.mark.usefixtures("patient")
def test_what_ends_while_it_is_committed_is_not_sent_again(
    direct: Asking, inside: Inside, scratch: str
) -> None:
    inside.sql(
        """
        CREATE SEQUENCE tries;
        CREATE TABLE fragile (a text);
        CREATE FUNCTION end_it() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER ending AFTER INSERT ON fragile
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION end_it();
        """,
        database=scratch,
    )
    there = direct.of(database=scratch)
    tries = 0
    for word in ("plain", "copy"):
        insert = f"INSERT INTO fragile SELECT '{word}' || nextval('tries')"
        for send in (there.query, there.batch):
            assert there.rows("SELECT 1") == [["1"]]  # one is kept
            assert send(insert).error["code"] == "57P01"
            tries += 1
            assert there.rows("SELECT last_value FROM tries") == [[str(tries)]]
    assert there.rows("SELECT * FROM fragile") == []


def test_what_is_kept_stands_in_nobodys_way(
    direct: Asking, inside: Inside, scratch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # CountOtherDBBackends() of Postgres waits 5 s for others to leave.
    assert 2 * pool.IDLE < 5
    monkeypatch.setattr(pool, "IDLE", 0.1)
    there = direct.of(database=scratch)
    assert there.rows("SELECT 1") == [["1"]]
    inside.sql(f"DROP DATABASE {scratch}")


@pytest.mark.usefixtures("patient")
def test_no_more_connections_are_kept_than_may_be_open(
    running: Spec, inside: Inside, scratch: str
) -> None:
    with gateway(running, max_connections=6) as target:
        ask = Asking(target, replace(running.direct, database=scratch))
        for number in range(10):
            connection = f"{url(ask.endpoint)}?application_name=n{number}"
            body = json.dumps({"query": PID})
            reply = ask.send("POST", body, {"Neon-Connection-String": connection})
            assert reply.status == 200
        world.eventually(lambda: sessions(inside, scratch) == 3, "three are kept")
    world.eventually(lambda: sessions(inside, scratch) == 0, "none is left of a gateway")


def test_a_connection_gets_old(
    direct: Asking, monkeypatch: pytest.MonkeyPatch, patient: None
) -> None:
    [[pid]] = direct.rows(PID)
    assert direct.rows(PID) == [[pid]]
    monkeypatch.setattr(pool, "AGE", 0.0)
    assert direct.rows(PID) == [[pid]]  # it was not too old when it was taken
    assert direct.rows(PID) != [[pid]]


@pytest.mark.usefixtures("patient")
def test_a_password_finds_only_what_it_opened(ask: Asking) -> None:
    assert ask.rows("SELECT 1") == [["1"]]
    for _ in range(2):
        assert ask.of(password="wrong").query("SELECT 1").error["code"] in ("28P01", "08P01")
    assert ask.of(user="postgres").query("SELECT 1").status == 400
    assert ask.rows("SELECT 1") == [["1"]]


@pytest.mark.usefixtures("patient")
def test_where_sessions_are_pooled_none_is_kept(
    running: Spec, inside: Inside, scratch: str
) -> None:
    kept = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gateway'"
    for mode, count in ((PoolMode.SESSION, 0), (PoolMode.TRANSACTION, 1)):
        with gateway(running, pool_mode=mode) as target:
            connection = f"{url(running.pooled)}?application_name=gateway"
            asking = Asking(target, running.pooled)
            body = json.dumps({"query": "SELECT 1"})
            assert asking.send("POST", body, {"Neon-Connection-String": connection}).status == 200

            def clients(expected: int = count) -> bool:
                with libpq.console(running) as console:
                    cursor = console.execute("SHOW CLIENTS")
                    assert cursor.description is not None
                    names = [each.name for each in cursor.description]
                    rows = [dict(zip(names, row, strict=True)) for row in cursor]
                found = [row for row in rows if row.get("application_name") == "gateway"]
                return len(found) == expected

            world.eventually(clients, f"PgBouncer has {count} clients")
    assert inside.sql(kept) is not None


def test_a_temporary_database_refuses_the_first_request_after_its_end(
    running: Spec, target: Target, inside: Inside
) -> None:
    dropped, expired = (databases.create(running, ttl=HOUR) for _ in range(2))
    try:
        asking = [
            Asking(target, endpoint)
            for made in (dropped, expired)
            for endpoint in (made.direct, made.pooled)
        ]
        for each in asking:
            assert each.rows("SELECT current_user") == [[each.endpoint.user]]
        for each in asking[::2]:  # nothing stays of whom it may be over for
            who = each.endpoint.user
            gone = lambda: sessions(inside, who) == 1  # noqa: B023, E731 - PgBouncer's
            world.eventually(gone, "only PgBouncer's own session is left")
        inside.expire(expired.name)
        databases.drop(running, [dropped.name])
        for each in asking:
            assert each.query("SELECT 1").error["code"] in ("28P01", "08P01", "3D000")
    finally:
        inside.tidy()


def test_the_query_of_a_client_that_has_left_is_cancelled(ask: Asking, inside: Inside) -> None:
    word = os.urandom(4).hex()
    busy = f"SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT ''{word}''%%'"
    active = f"{busy} AND state = 'active'"
    with ask.sent(f"SELECT '{word}', pg_sleep(600)"):
        world.eventually(lambda: inside.sql(active) == [1], "it is at work")
    world.eventually(lambda: inside.sql(active) == [0], "it is not any more")
    assert ask.rows("SELECT 1") == [["1"]]


def test_what_runs_when_the_gateway_ends_is_cancelled_and_says_so(
    running: Spec, inside: Inside
) -> None:
    word = os.urandom(4).hex()
    active = (
        f"SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT ''{word}''%%'"
        " AND state = 'active'"
    )
    replies: list[Reply] = []
    endpoints = running.direct, running.pooled

    def wait(asking: Asking) -> None:
        replies.append(asking.query(f"SELECT '{word}', pg_sleep(600)"))

    with gateway(running) as target:
        clients = [threading.Thread(target=wait, args=[Asking(target, each)]) for each in endpoints]
        for client in clients:
            client.start()
        world.eventually(lambda: inside.sql(active) == [2], "both are at work")
    for client in clients:
        client.join()
    assert {reply.line for reply in replies} == {"Query cancelled, connection was terminated"}
    world.eventually(lambda: inside.sql(active) == [0], "it is over")


def test_nothing_is_run_after_the_end(running: Spec) -> None:
    who = running.direct
    login = Login(who.user, who.password, who.database, who.port, ())
    statement = Statement(b"SELECT 1", [], Mode(is_raw=True, is_array=True))

    async def run() -> None:
        pool = Pool(serving.target(running))
        await pool.close()
        with pytest.raises(Closed):
            await pool.run(login, who.port, [statement], None)

    asyncio.run(run())


@pytest.fixture
def small(request: pytest.FixtureRequest) -> Iterator[Instance]:
    instance = Instance(request.param, settings={"max_connections": "20"})
    yield instance
    instance.destroy()


@pytest.mark.parametrize("small", ["native", "docker"], indirect=True)
def test_a_crowd_is_served_and_a_restart_survived(small: Instance) -> None:
    spec = small.spec
    with gateway(spec, max_connections=20) as target:
        for endpoint in (spec.direct, spec.pooled):
            answers = asyncio.run(crowd(target, endpoint, 500, "SELECT pg_sleep(0.02)"))
            assert {status for status, _ in answers} == {200}
        both = [Asking(target, endpoint) for endpoint in (spec.direct, spec.pooled)]
        for each in both:
            assert each.rows("SELECT 1") == [["1"]]
        small.stop()
        for each in both:
            line = each.query("SELECT 1").line
            assert line == target.down
        small.start()
        for each in both:
            assert each.rows("SELECT 1") == [["1"]]


async def crowd(
    target: Target, endpoint: Endpoint, count: int, query: str
) -> list[tuple[int, bytes]]:
    """What all get that come at once."""
    headers = {"Neon-Connection-String": url(endpoint), **RAW}
    where, body = f"http://{HOST}:{target.port}/sql", json.dumps({"query": query})
    every = aiohttp.TCPConnector(limit=count)
    async with aiohttp.ClientSession(connector=every, headers=headers) as client:

        async def one() -> tuple[int, bytes]:
            async with client.post(where, data=body) as answer:
                return answer.status, await answer.read()

        return await asyncio.gather(*(one() for _ in range(count)))


def said(severity: str, code: str, text: str) -> bytes:
    fields = (
        f"{letter}{word}\0"
        for letter, word in zip("SVCM", (severity, severity, code, text), strict=True)
    )
    return framing.message(b"E", "".join(fields).encode() + b"\0")


HANG_UP, NOTHING = None, b""


@contextmanager
def impostor(port: int, answer: bytes | None) -> Iterator[None]:
    """A server that gives that answer to whoever comes, once."""
    with socket.create_server((HOST, port)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(4096)
                if answer is not HANG_UP:
                    client.sendall(answer)
                    client.recv(4096)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (said("FATAL", "57P03", "the database system is starting up"), "'shop' is not running"),
        (framing.message(b"R", struct.pack("!i", 0)), "'shop' is not what answers there"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "'shop' is not what answers there"),
        (HANG_UP, "'shop' is not running"),
        (NOTHING, "'shop' has let nobody in for 0 s"),
    ],
    ids=["starting", "trusting", "http", "hanging up", "silent"],
)
def test_who_is_no_server_of_ours_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes | None, line: str
) -> None:
    if answer == NOTHING:
        monkeypatch.setattr(pool, "LOGIN", 0.1)
        monkeypatch.setattr(sql, "LOGIN", 0.1)
    target = serving.nothing(tmp_path)
    who = Endpoint(host=HOST, port=target.direct, user="devdb", password="secret", database="main")
    with serving.thread(target):
        asking = Asking(target, who)
        assert "'shop' is not running" in asking.query("SELECT 1").line
        with impostor(target.direct, answer):
            found = asking.query("SELECT 1").line
        assert line in found
        assert "devdb up -n shop" in found or "devdb status -n shop" in found
        assert "secret" not in found


def test_a_pooler_without_its_postgres_is_as_good_as_down(tmp_path: Path) -> None:
    target = serving.nothing(tmp_path)
    who = Endpoint(host=HOST, port=target.pooled, user="devdb", password="secret", database="main")
    failing = said("FATAL", "08P01", "server login has been failing")
    with serving.thread(target):
        asking = Asking(target, who)
        with impostor(target.pooled, failing):
            assert asking.query("SELECT 1").line == target.down
        with socket.create_server((HOST, target.direct)), impostor(target.pooled, failing):
            assert asking.query("SELECT 1").error["message"] == "server login has been failing"
