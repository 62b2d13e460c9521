"""How many get in, that no role shuts out the rest, and what a project may tell PgBouncer."""

from __future__ import annotations

import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import kube
import libpq
import psycopg
import pytest
import world
from inside import login
from instances import Instance
from world import NewSpec

from devdb import databases, pgbouncer
from devdb.engines import Engine
from devdb.errors import StartFailed, UsageError
from devdb.model import Endpoint, Server, Spec
from devdb.workspace.instances import health

HOUR = timedelta(hours=1)
FULL = "no more connections allowed"


def start(engine: Engine, spec: Spec) -> Server:
    server = list(engine.start(spec))[-1].server
    assert server is not None
    return server


def told(spec: Spec) -> dict[str, str]:
    """The settings that the running PgBouncer has."""
    with libpq.console(spec) as connection:
        return {str(row[0]): str(row[1]) for row in connection.execute("SHOW CONFIG")}


@contextmanager
def crowd(endpoint: Endpoint, count: int) -> Iterator[Callable[[Endpoint], str]]:
    """So many clients; what else comes meanwhile is told what it is given."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(libpq.connect(endpoint, prepare_threshold=None))
        yield login


def test_it_is_named_how_many_clients_the_pooled_url_takes(
    real_engine: Engine, real_spec: Spec
) -> None:
    server = start(real_engine, real_spec)
    assert server.max_clients is not None
    assert 1 < server.max_clients <= 10_000
    assert told(real_spec)["max_client_conn"] == str(server.max_clients)
    found = real_engine.find(real_spec.name)
    assert found is not None
    assert found.max_clients == server.max_clients
    real_engine.stop(real_spec.name)
    found = real_engine.find(real_spec.name)
    assert found is not None
    assert found.max_clients == server.max_clients


def test_settings_of_pgbouncer_take_effect_and_postgres_goes_on(
    real_engine: Engine, real_spec: Spec
) -> None:
    before = start(real_engine, real_spec)
    wanted = (
        ("default_pool_size", "3"),
        ("max_client_conn", "5"),
        ("query_wait_timeout", "2"),
        ("server_idle_timeout", "7"),
    )
    spec = replace(real_spec, pooler_settings=wanted)
    after = start(real_engine, spec)
    if real_engine.name != "kubernetes":  # where both are one pod, which is replaced as a whole
        assert after.part("postgres").started == before.part("postgres").started
    assert after.max_clients == 5
    settings = told(spec)
    for name, value in wanted:
        assert float(settings[name]) == float(value), name
    with crowd(spec.pooled, 5) as another:
        assert FULL in another(spec.pooled)
        # devdb's own questions are asked all the same.
        assert told(spec)["max_client_conn"] == "5"
    world.eventually(lambda: login(spec.pooled) == "in", "room for another")


def test_a_client_that_waits_too_long_is_refused(real_engine: Engine, new_spec: NewSpec) -> None:
    wanted = (("default_pool_size", "1"), ("query_wait_timeout", "1"))
    spec = new_spec(real_engine, pooler_settings=wanted)
    start(real_engine, spec)
    with libpq.connect(spec.pooled) as first, libpq.connect(spec.pooled) as second:
        first.execute("BEGIN")
        with pytest.raises(psycopg.OperationalError, match="query_wait_timeout"):
            second.execute("SELECT 1")


@pytest.mark.parametrize(
    "name",
    [
        *("listen_addr", "listen_port", "unix_socket_dir", "unix_socket_mode"),
        *("auth_type", "auth_file", "auth_hba_file", "auth_query", "auth_user", "auth_dbname"),
        *("admin_users", "stats_users", "user", "logfile", "pidfile", "job_name", "service_name"),
        *("client_tls_sslmode", "client_tls_key_file", "server_tls_sslmode", "conffile"),
        *("resolv_conf", "dns_max_ttl", "so_reuseport", "peer_id", "pool_mode", "syslog"),
        *("disable_pqexec", "ignore_startup_parameters"),
    ],
)
def test_what_is_devdbs_own_is_refused_by_name(name: str) -> None:
    with pytest.raises(UsageError, match=name) as caught:
        pgbouncer.refuse_own(((name, "1"),))
    assert "devdb.toml" in caught.value.hint


def test_what_is_devdbs_own_changes_nothing(
    real_engine: Engine, real_spec: Spec, new_spec: NewSpec
) -> None:
    before = start(real_engine, real_spec)
    wanted = (("auth_type", "any"),)
    with pytest.raises(UsageError, match="auth_type"):
        start(real_engine, replace(real_spec, pooler_settings=wanted))
    found = real_engine.find(real_spec.name)
    assert found is not None
    for part in ("postgres", "pgbouncer"):
        assert found.part(part).started == before.part(part).started
    other = new_spec(real_engine, pooler_settings=wanted)
    with pytest.raises(UsageError, match="auth_type"):
        start(real_engine, other)
    assert real_engine.find(other.name) is None


@pytest.mark.parametrize("setting", [("no_such_setting", "1"), ("query_wait_timeout", "soon")])
def test_what_pgbouncer_refuses_is_told_in_its_words(
    real_engine: Engine, new_spec: NewSpec, setting: tuple[str, str]
) -> None:
    spec = new_spec(real_engine, pooler_settings=(setting,))
    with pytest.raises(StartFailed) as caught:
        start(real_engine, spec)
    assert re.search(f"(unknown|invalid).*{setting[0]}", caught.value.message)


@pytest.fixture
def limited(real_engine: Engine, new_spec: NewSpec) -> Spec:
    """An instance of 40 connections and 8 clients."""
    spec = new_spec(
        real_engine,
        settings=(("max_connections", "40"),),
        pooler_settings=(("max_client_conn", "8"),),
    )
    start(real_engine, spec)
    return spec


def test_one_temporary_role_does_not_shut_out_the_rest(limited: Spec) -> None:
    greedy = databases.create(limited, ttl=HOUR)
    modest = databases.create(limited, ttl=HOUR)
    with crowd(greedy.direct, 24) as another:
        assert "too many connections for role" in another(greedy.direct)
        assert another(modest.direct) == another(limited.direct) == "in"
        # A pool of it waits for one of its connections, a pool of others' does not.
        assert another(modest.pooled) == another(limited.pooled) == "in"
    pooler = health(limited).pgbouncer
    assert pooler is not None
    if pgbouncer.parse_version(pooler.version)[:2] < pgbouncer.PER_USER:
        pytest.skip(f"PgBouncer {pooler.version} has no limit of clients for each user")
    with crowd(greedy.pooled, 4) as another:
        assert "max_user_client_connections" in another(greedy.pooled)
        assert another(modest.pooled) == another(limited.pooled) == "in"


def test_the_instances_own_role_may_be_all_the_clients(limited: Spec) -> None:
    with crowd(limited.pooled, 8) as another:
        assert FULL in another(limited.pooled)


def test_a_claimed_database_has_all_connections(limited: Spec) -> None:
    made = databases.create(limited, ttl=HOUR)
    kept = databases.claim(limited, made.name, "kept")
    with crowd(kept.direct, 25) as another:
        assert another(kept.direct) == "in"


def test_nobody_gets_to_the_console_without_a_password(shared: Instance, running: Spec) -> None:
    for user in ("pgbouncer", "devdb_pooler", "devdb", "postgres", ""):
        console = replace(running.pooled, database="pgbouncer", user=user, password="")
        assert login(console) not in ("in", "")
    sockets = told(running)["unix_socket_dir"]
    assert bool(sockets) == (shared.engine.name == "native")
    if sockets:
        status = Path(sockets).stat()
        assert stat.S_IMODE(status.st_mode) == 0o700


def test_down_ends_with_a_shutdown(real_engine: Engine, real_spec: Spec) -> None:
    start(real_engine, real_spec)
    if real_engine.name == "kubernetes":  # which has no log of a pod that is gone
        with kube.log(real_spec.name, "postgres") as said:
            real_engine.stop(real_spec.name)
    else:
        real_engine.stop(real_spec.name)
        lines = real_engine.logs(real_spec.name, tail=20, follow=False)
        said = [line.text for line in lines if line is not None and line.part == "postgres"]
    assert "database system is shut down" in said[-1]


def test_an_instance_with_as_many_clients_as_it_takes_is_left_alone(
    real_engine: Engine, new_spec: NewSpec
) -> None:
    spec = new_spec(real_engine, pooler_settings=(("max_client_conn", "4"),))
    before = start(real_engine, spec)
    world.eventually(lambda: (seen := health(spec).pgbouncer) and not seen.full, "it to be empty")
    with crowd(spec.pooled, 4):
        pooler = health(spec).pgbouncer
        assert pooler is not None
        assert (pooler.clients, pooler.full) == (4, True)
        begun = time.monotonic()
        after = start(real_engine, spec)
        assert time.monotonic() - begun < 12
        assert after.part("pgbouncer").started == before.part("pgbouncer").started
        pooler = health(spec).pgbouncer
        assert pooler is not None
        assert pooler.clients == 4
