"""What a look at an instance finds: clients of real servers that wait, block, and fill them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import available
import libpq
import psycopg
import pytest
import world
from inside import Inside
from instances import Instance
from world import NewSpec

from devdb import databases, engines, sessions
from devdb.engines import Engine
from devdb.engines.vitals import Health, Vitals
from devdb.model import Endpoint, Spec
from devdb.monitor import backends
from devdb.monitor.backends import PREPARED, Backend
from devdb.monitor.look import Look
from devdb.monitor.pools import Pool
from devdb.monitor.trouble import troubles
from devdb.workspace.instances import health
from devdb.workspace.pulse import Pulse

Connection = psycopg.Connection[tuple[Any, ...]]
Client = Callable[..., Connection]


@pytest.fixture
def client() -> Iterator[Client]:
    """Makes clients, which are gone at the end, whatever they wait for."""
    with ExitStack() as stack:

        def connect(endpoint: Endpoint, **options: Any) -> Connection:
            found = libpq.connect(endpoint, prepare_threshold=None, **options)
            stack.callback(found.close)
            return found

        yield connect


@pytest.fixture
def looking() -> Iterator[Callable[[Engine, Spec], Vitals]]:
    """Makes what looks at an instance."""
    with ExitStack() as stack:
        yield lambda engine, spec: stack.enter_context(engine.vitals(spec))


def start(engine: Engine, spec: Spec) -> None:
    for _ in engine.start(spec):
        pass


def ask(connection: Connection, sql: str) -> Connection:
    """Have it ask, and not wait for the answer."""
    connection.pgconn.send_query(sql.encode())
    connection.pgconn.flush()
    return connection


def pid_of(connection: Connection) -> int:
    [found] = connection.execute("SELECT pg_backend_pid()").fetchall()
    return int(found[0])


def main_pool(look: Look) -> Pool:
    assert look.pools is not None
    return next(pool for pool in look.pools if pool.database == "main")


def by_pid(look: Look) -> dict[int, Backend]:
    assert look.backends is not None
    return {backend.pid: backend for backend in look.backends}


@pytest.fixture(params=["native", "docker", "docker, with the oldest PgBouncer"])
def engine_and_image(request: pytest.FixtureRequest) -> tuple[Engine, str | None]:
    """Each real engine, and the oldest PgBouncer that Docker has for the tests."""
    name, _, oldest = request.param.partition(", ")
    if reason := available.why_not(name):
        if name in available.required():
            pytest.fail(f"the {name} engine is required here, but: {reason}")
        pytest.skip(f"{name} engine: {reason}")
    images = [each for each in os.environ.get("DEVDB_TEST_PGBOUNCER_IMAGES", "").split(",") if each]
    if oldest and len(images) < 2:
        pytest.skip("DEVDB_TEST_PGBOUNCER_IMAGES does not name several")
    return engines.get(name), images[0] if oldest else None


def test_clients_that_wait_for_the_pool_are_counted(
    engine_and_image: tuple[Engine, str | None],
    new_spec: NewSpec,
    client: Client,
    looking: Callable[[Engine, Spec], Vitals],
) -> None:
    engine, image = engine_and_image
    small = (("default_pool_size", "2"),)
    spec = new_spec(engine, pooler_settings=small, pooler_image=image)
    start(engine, spec)
    at_work = [client(spec.pooled) for _ in range(2)]
    for each in at_work:
        each.execute("BEGIN")
    pids = {pid_of(each) for each in at_work}
    waiting = [ask(client(spec.pooled), "SELECT 1") for _ in range(6)]

    # The very first look at a full pool tells, and does not stand in its queue.
    found, look = looking(engine, spec).look()
    pool = main_pool(look)
    assert (pool.active, pool.waiting, pool.used, pool.open, pool.size) == (2, 6, 2, 2, 2)
    assert pool.users == ("devdb",)
    assert found.ready
    assert found.pgbouncer is not None
    assert (found.pgbouncer.clients, found.pgbouncer.servers) == (8, 2)
    assert {pid for pid, backend in by_pid(look).items() if backend.is_pooled} == pids
    assert health(spec).ready

    vitals = looking(engine, spec)

    def told() -> bool:
        return any(
            words.startswith("6 wait for the pool, the oldest ")
            for words in troubles(vitals.look()[1])
        )

    world.eventually(told, "in words")
    for each in (*waiting, *at_work):
        each.close()
    world.eventually(lambda: main_pool(vitals.look()[1]).waiting == 0, "nobody waits")
    assert troubles(vitals.look()[1]) == ()
    # Now that it does not queue it logs in as a client does.
    assert vitals.look()[0].ready


def test_who_blocks_whom(
    real_engine: Engine,
    new_spec: NewSpec,
    client: Client,
    looking: Callable[[Engine, Spec], Vitals],
) -> None:
    spec = new_spec(real_engine, settings=(("max_prepared_transactions", "2"),))
    start(real_engine, spec)
    vitals = looking(real_engine, spec)
    update = "UPDATE stock SET n = n + 1 WHERE id = 1"
    root = client(spec.direct, application_name="devdb-shop")
    root.execute("CREATE TABLE stock (id int PRIMARY KEY, n int)")
    root.execute("INSERT INTO stock VALUES (1, 0), (2, 0)")
    root.execute("BEGIN")
    root.execute(update)
    behind = [client(spec.direct, application_name="worker") for _ in range(2)]
    behind.append(client(spec.pooled, application_name="worker"))
    pids = [each.info.backend_pid for each in behind]
    [(port,)] = behind[0].execute("SELECT inet_client_port()").fetchall()
    behind[2].execute("BEGIN")
    pids[2] = pid_of(behind[2])

    def blocked() -> list[Backend]:
        return [each for each in vitals.look()[1].backends or () if each.blocked_by]

    for count, each in enumerate(behind, 1):
        ask(each, update)
        world.eventually(lambda: len(blocked()) == count, f"{count} blocked")  # noqa: B023

    holder = root.info.backend_pid
    words = world.eventually(lambda: troubles(vitals.look()[1]), "in words")
    assert words[0] == f"3 blocked by pid {holder}"
    look = vitals.look()[1]
    assert look.backends is not None
    # The root first, then those behind it, the oldest of them first.
    assert [each.pid for each in look.backends] == [holder, *pids]
    found = by_pid(look)
    assert found[holder].state == "idle in transaction"
    assert (found[holder].application, found[holder].blocked_by) == ("devdb-shop", ())
    assert found[pids[0]].blocked_by == (holder,)
    # In the queue behind another one: not the root itself, and yet the root is told.
    assert all(found[pid].blocked_by[0] in pids for pid in pids[1:])
    assert [found[pid].is_pooled for pid in pids] == [False, False, True]
    assert {found[pid].application for pid in pids} == {"worker"}
    assert all(found[pid].waits_for.startswith("Lock: ") for pid in pids)
    assert {found[pid].query for pid in pids} == {update}
    assert found[pids[0]].client.rpartition(":")[2] == str(port)
    assert all(0 < found[pid].age < 60 for pid in (holder, *pids))

    with sessions.direct(spec.direct) as session:
        # The pid is right, but it is another session's by now.
        stranger = replace(found[holder], started=found[holder].started - timedelta(microseconds=1))
        assert not backends.end(session, stranger)
        assert not backends.cancel(session, stranger)
        assert backends.cancel(session, found[pids[1]])
        assert _error(behind[1]).startswith("ERROR:  canceling statement due to user request")
        assert behind[1].execute("SELECT 1").fetchone() == (1,)
        assert backends.end(session, found[holder])
    assert "terminating connection due to administrator command" in _error(ask(root, "SELECT 1"))
    world.eventually(lambda: holder not in by_pid(vitals.look()[1]), "the root is gone")

    another = client(spec.direct)
    another.execute("BEGIN")
    another.execute("UPDATE stock SET n = 0 WHERE id = 2")
    another.execute("PREPARE TRANSACTION 'x'")
    late = ask(client(spec.direct), "UPDATE stock SET n = 1 WHERE id = 2")
    by_prepared = "1 blocked by a prepared transaction"
    world.eventually(lambda: by_prepared in troubles(vitals.look()[1]), "in words")
    assert by_pid(vitals.look()[1])[late.info.backend_pid].blocked_by == (PREPARED,)


def _error(connection: Connection) -> str:
    results = []
    while (result := connection.pgconn.get_result()) is not None:
        results.append(result.error_message.decode())
    return "".join(results)


def test_devdbs_own_sessions_are_not_among_them(
    real_engine: Engine,
    real_spec: Spec,
    client: Client,
    looking: Callable[[Engine, Spec], Vitals],
) -> None:
    start(real_engine, replace(real_spec, reaper=databases.REAPER))
    vitals = looking(real_engine, real_spec)
    made = databases.create(real_spec, ttl=timedelta(hours=1))
    visitor = client(made.pooled)
    visitor.execute("SELECT 1")
    with sessions.direct(real_spec.direct), vitals:
        look = vitals.look()[1]
        assert look.backends is not None
        assert [(each.database, each.is_pooled) for each in look.backends] == [(made.name, True)]
        assert look.pools is not None
        assert [pool.database for pool in look.pools] == ["main", made.name]


BETWEEN = "SHOW VERSION"
"""What nobody asks for but the test, to tell one look from the next in PgBouncer's log."""


def test_a_look_is_two_statements_and_four_shows_at_most(
    running: Spec, shared: Instance, client: Client
) -> None:
    app = client(running.pooled)
    app.execute("SELECT 1")
    commits = "SELECT xact_commit FROM pg_stat_database WHERE datname = 'postgres'"
    [before] = Inside(running).sql(commits)
    looks = 30
    with shared.engine.vitals(running) as vitals, libpq.console(running) as console:
        console.execute("SET verbose = 1")
        for _ in range(looks):
            console.execute(BETWEEN)
            _, look = vitals.look()
            assert any(backend.is_pooled for backend in look.backends or ())
        console.execute(BETWEEN)
        console.execute("SET verbose = 0")
    # A session hands over what it counted at its end, or a little later.
    rounds = [Inside(running).sql(commits)[0] for _ in range(3)]
    assert looks <= rounds[-1] - before <= 2 * looks

    def asked() -> list[list[str]]:
        log = shared.engine.logs(running.name, tail=100_000, follow=False)
        texts = [line.text for line in log if line is not None and line.part == "pgbouncer"]
        queries = [text.partition("got admin query: ")[2] for text in texts]
        told = "\n".join(filter(None, queries))
        return [each.split("\n")[1:-1] for each in told.split(BETWEEN)[1:-1]]

    world.eventually(lambda: len(asked()) == looks, "all of them are in the log")
    for queries in asked():
        assert {"SHOW POOLS", "SHOW STATS", "SHOW SERVERS"} <= set(queries)
        assert len(queries) <= 4


@contextmanager
def taken(spec: Spec, count: int) -> Iterator[list[Connection]]:
    """So many connections straight to Postgres."""
    with ExitStack() as stack:
        held: list[Connection] = []

        def all_in() -> bool:
            while len(held) < count:
                try:
                    held.append(stack.enter_context(libpq.connect(spec.direct)))
                except psycopg.OperationalError:
                    return False  # of somebody who has just gone
            return True

        world.eventually(all_in, f"{count} clients in")
        yield held


FEW = (("max_connections", "10"),)


def test_it_goes_on_where_apps_have_all_connections(
    real_engine: Engine, new_spec: NewSpec, looking: Callable[[Engine, Spec], Vitals]
) -> None:
    spec = new_spec(real_engine, settings=FEW)
    start(real_engine, spec)
    before = looking(real_engine, spec)
    assert before.look()[0].ready
    with taken(spec, 9):
        # The last one is for an app.
        before.look()
        with taken(spec, 1):
            for vitals in (before, looking(real_engine, spec)):
                found, look = vitals.look()
                assert found.postgres is not None
                assert (found.postgres.full, found.postgres.connections) == (True, 10)
                assert len(look.backends or ()) == 10
                (words, *_) = troubles(look)
                assert words.startswith("all 10 connections are taken: ")
                assert f"(pid {os.getpid()})" in words
                # No login through the pool is tried, as Postgres has no room for it.
                assert found.pgbouncer is not None
    world.eventually(lambda: before.look()[0].ready, "room again")
    assert troubles(before.look()[1]) == ()


def test_without_a_way_in_it_says_whose_all_connections_are(
    real_engine: Engine, new_spec: NewSpec, looking: Callable[[Engine, Spec], Vitals]
) -> None:
    none = (("max_wal_senders", "0"), ("wal_level", "minimal"))
    spec = new_spec(real_engine, settings=(*FEW, *none))
    start(real_engine, spec)
    before = looking(real_engine, spec)
    before.look()
    with taken(spec, 9):
        found, look = before.look()  # it is in, and stays
        assert (len(look.backends or ()), found.postgres and found.postgres.full) == (9, True)
        assert look.holders is not None
        before.close()
        with taken(spec, 1):
            for _ in range(2):
                found, look = before.look()
                assert (found.postgres, look.backends, found.ready) == (None, None, False)
                assert look.pools is not None
                (words,) = troubles(look)
                assert words.startswith("all 10 connections are taken: ")
    world.eventually(lambda: before.look()[0].ready, "room again")


def test_the_console_answers_where_no_client_gets_in(
    real_engine: Engine,
    new_spec: NewSpec,
    client: Client,
    looking: Callable[[Engine, Spec], Vitals],
) -> None:
    spec = new_spec(real_engine, pooler_settings=(("max_client_conn", "4"),))
    start(real_engine, spec)
    vitals = looking(real_engine, spec)
    world.eventually(lambda: vitals.look()[0].ready, "it to be empty")
    vitals.close()
    for _ in range(4):
        world.eventually(lambda: client(spec.pooled), "a client in")
    found, look = vitals.look()
    assert found.pgbouncer is not None
    assert (found.pgbouncer.clients, found.pgbouncer.full) == (4, True)
    assert main_pool(look).active == 4
    assert troubles(look) == ("PgBouncer takes no more than 4 clients",)


def test_servers_that_die_and_come_back_are_looked_at_again(
    real_engine: Engine, real_spec: Spec, client: Client
) -> None:
    start(real_engine, real_spec)
    pulse = Pulse(real_spec)

    def busy() -> float:
        app = client(real_spec.pooled)
        for _ in range(50):
            app.execute("SELECT 1")
        look = pulse.look()[2]
        assert look is not None
        return main_pool(look).per_second or 0.0

    def well() -> tuple[Health, Look] | None:
        _, found, look = pulse.look()
        return (found, look) if found is not None and look is not None and found.ready else None

    def unwell() -> bool:
        return well() is None

    try:
        world.eventually(well, "a first look")
        assert busy() > 0
        world.kill_until(real_engine, real_spec, "pgbouncer", unwell, "no PgBouncer")
        start(real_engine, real_spec)
        _, look = world.eventually(well, "it is back")
        # It counts from zero.
        assert main_pool(look).per_second in (None, 0.0)
        assert busy() > 0

        world.kill_until(real_engine, real_spec, "postgres", unwell, "no Postgres")
        start(real_engine, real_spec)
        _, look = world.eventually(well, "it is back")
        assert look.backends is not None
    finally:
        pulse.close()
