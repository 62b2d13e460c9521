"""devdb's own sessions: nothing of the user's reaches them, and nobody else gets a password."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import libpq
import psycopg
import pytest
from inside import login, until

from devdb import connections, databases, pgbouncer, postgres, sessions, wire
from devdb.engines import Engine
from devdb.errors import DevdbError, ExitCode, PortInUse
from devdb.model import HOST, Spec
from devdb.workspace.instances import health
from devdb.workspace.pulse import Pulse

HOUR = timedelta(hours=1)


@pytest.fixture
def hostile_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What may stand in somebody's environment, each of which leads libpq astray."""
    services = tmp_path / "services"
    services.write_text("[other]\nhost=203.0.113.1\nuser=nobody\noptions=-c search_path=evil\n")
    hostile = {
        "PGHOST": "203.0.113.1",
        "PGHOSTADDR": "203.0.113.1",
        "PGPORT": "1",
        "PGDATABASE": "nowhere",
        "PGUSER": "nobody",
        "PGPASSWORD": "wrong",
        "PGPASSFILE": str(tmp_path / "missing"),
        "PGSERVICE": "other",
        "PGSERVICEFILE": str(services),
        "PGOPTIONS": "-c no_such_setting=1",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": str(tmp_path / "missing"),
        "PGSSLNEGOTIATION": "direct",
        "PGCHANNELBINDING": "require",
        "PGREQUIREAUTH": "none",
        "PGGSSENCMODE": "require",
        "PGTARGETSESSIONATTRS": "standby",
        "PGLOADBALANCEHOSTS": "bogus",
        "PGCLIENTENCODING": "SQL_ASCII",
        "PGDATESTYLE": "German",
        "PGTZ": "Asia/Kathmandu",
        "PGGEQO": "bogus",
        "PGAPPNAME": "somebody",
        "PGCONNECT_TIMEOUT": "bogus",
        "PGMINPROTOCOLVERSION": "bogus",
    }
    for name, value in hostile.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("hostile_environment")
def test_the_users_environment_does_not_reach_them(real_engine: Engine, real_spec: Spec) -> None:
    before = dict(os.environ)
    list(real_engine.start(replace(real_spec, reaper=databases.REAPER)))
    made = databases.create(real_spec, ttl=HOUR)
    copy = databases.create(real_spec, ttl=HOUR, source=made.name)
    assert made.expires == made.created + HOUR
    assert {one.name for one in databases.every(real_spec)} == {made.name, copy.name}
    assert databases.drop(real_spec, [made.name, copy.name]) == [made.name, copy.name]
    assert health(real_spec).ready
    assert {name for name, _ in postgres.databases(real_spec.direct) or ()} == {"main"}
    list(real_engine.start(replace(real_spec, reaper=databases.REAPER)))
    assert dict(os.environ) == before


def test_what_the_server_was_told_does_not_reach_them(real_engine: Engine, real_spec: Spec) -> None:
    """By ALTER ROLE and ALTER DATABASE, as an application's own setup script does."""
    list(real_engine.start(real_spec))
    hostile = {
        "role": "nobody",
        "search_path": "evil",
        "statement_timeout": "1ms",
        "lock_timeout": "1ms",
        "idle_in_transaction_session_timeout": "1ms",
        "default_transaction_read_only": "on",
        "default_transaction_isolation": "serializable",
        "default_tablespace": "pg_global",
        "client_encoding": "LATIN1",
        "datestyle": "German",
        "intervalstyle": "sql_standard",
        "timezone": "Asia/Kathmandu",
        "standard_conforming_strings": "off",
        "session_replication_role": "replica",
        "transform_null_equals": "on",
        "extra_float_digits": "-15",
    }
    later = {"idle_session_timeout": "1ms"} | (
        {"transaction_timeout": "1ms"} if postgres_major(real_spec) >= 17 else {}
    )
    with sessions.direct(real_spec.direct) as session:
        session.query("CREATE ROLE nobody; GRANT nobody TO devdb")
        for name, value in {**hostile, **later}.items():
            session.query(f"ALTER ROLE devdb IN DATABASE postgres SET {name} = '{value}'")
    with sessions.direct(real_spec.direct) as session:
        for name in (*hostile, *later):
            [(value,)] = session.query(f"SELECT current_setting('{name}')")
            assert value != hostile.get(name, "1ms"), name
        assert session.query("SELECT current_user, E'\\\\', 'ä\\'") == [("devdb", "\\", "ä\\")]
    made = databases.create(real_spec, ttl=HOUR)
    assert made.expires == made.created + HOUR
    databases.claim(real_spec, made.name, "kept")
    list(real_engine.start(real_spec))
    assert health(real_spec).ready
    with Pulse_of(real_spec) as pulse:
        assert all(pulse.look()[1] for _ in range(3))


def postgres_major(spec: Spec) -> int:
    with sessions.direct(spec.direct) as session:
        return session.major


@contextmanager
def Pulse_of(spec: Spec) -> Iterator[Pulse]:  # noqa: N802
    pulse = Pulse(spec)
    yield pulse
    pulse.close()


LOGGED = (
    ("log_statement", "all"),
    ("log_min_duration_statement", "0"),
    ("log_min_duration_sample", "0"),
    ("log_transaction_sample_rate", "1"),
    ("log_statement_sample_rate", "1"),
    ("log_duration", "on"),
    ("log_min_error_statement", "debug5"),
    ("log_min_messages", "debug1"),
    ("log_replication_commands", "on"),
    ("debug_print_parse", "on"),
    ("debug_print_rewritten", "on"),
    ("debug_print_plan", "on"),
    ("shared_preload_libraries", "pg_stat_statements,auto_explain"),
    ("pg_stat_statements.track", "all"),
    ("auto_explain.log_min_duration", "0"),
    ("auto_explain.log_nested_statements", "on"),
)


def test_no_verifier_is_logged_or_kept(real_engine: Engine, real_spec: Spec) -> None:
    """Whatever may be logged is, and pg_stat_statements keeps the text of utility statements."""
    spec = replace(real_spec, settings=LOGGED, reaper=databases.REAPER)
    list(real_engine.start(spec))
    with libpq.connect(spec.direct, database="postgres") as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        made = databases.create(spec, ttl=HOUR)
        databases.extend(spec, made.name, 2 * HOUR)
        databases.claim(spec, made.name, "kept")
        assert postgres.set_password(spec.direct, spec)
        list(real_engine.start(spec))
        assert login(made.direct, user="kept", database="kept") == "in"
        # The user's own statements are, so it would have been seen.
        connection.execute("ALTER ROLE kept PASSWORD 'seen'")
        query = "SELECT query FROM pg_stat_statements"
        kept = [str(row[0]) for row in connection.execute(query.encode())]
    log = [line.text for line in real_engine.logs(spec.name, tail=100_000, follow=False) if line]
    for texts in (log, kept):
        assert any("ALTER ROLE kept PASSWORD" in text for text in texts)
        assert [text for text in texts if "SCRAM-SHA-256$" in text] == []


@contextmanager
def stranger(port: int, answer: bytes) -> Iterator[list[bytes]]:
    """Somebody who listens on the instance's port and answers so; collects what he is told."""
    heard: list[bytes] = []
    over = threading.Event()

    def serve(listener: socket.socket) -> None:
        while not over.is_set():
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            with client:
                client.settimeout(1)
                try:
                    heard.append(client.recv(1024))
                    client.sendall(answer)
                    while chunk := client.recv(1024):
                        heard.append(chunk)
                except OSError:
                    continue

    with socket.create_server((HOST, port)) as listener:
        listener.settimeout(0.1)
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield heard
        finally:
            over.set()
            thread.join()


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


READY = _message(b"R", struct.pack("!i", 0)) + _message(b"Z", b"I")
CLEAR_TEXT = _message(b"R", struct.pack("!i", 3))
MD5 = _message(b"R", struct.pack("!i", 5) + b"salt")


@pytest.mark.parametrize("engine", ["native"], indirect=True)  # nothing is started
@pytest.mark.parametrize(
    "answer", [CLEAR_TEXT, MD5, READY, b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad Request\r\n"]
)
def test_a_stranger_on_the_port_gets_no_password(spec: Spec, answer: bytes) -> None:
    """The instance is stopped, or was never started: its port is anybody's."""
    with stranger(spec.port, answer) as heard:
        for command in (
            lambda: databases.every(spec),
            lambda: databases.create(spec, ttl=HOUR),
            lambda: databases.drop(spec, ["temp_any_one"]),
            lambda: databases.reap(spec),
        ):
            with pytest.raises(PortInUse, match=r"in use by \w+ \(pid \d+\)") as caught:
                command()
            assert caught.value.exit_code == ExitCode.PORT_IN_USE
        assert postgres.probe(spec.direct) is None
        assert postgres.health(spec.direct) is None
    with (
        stranger(spec.pool_port, answer) as heard_too,
        pytest.raises(wire.FAILURES),
    ):
        pgbouncer.visit(spec)
    for said in (*heard, *heard_too):
        assert spec.password.encode() not in said
        assert spec.pooler_password.encode() not in said


@contextmanager
def all_taken(spec: Spec) -> Iterator[None]:
    """Every connection that Postgres has is held, as an app without a pool does it."""
    with ExitStack() as stack:

        def one_more() -> bool:
            try:
                stack.enter_context(libpq.connect(spec.direct))
            except psycopg.OperationalError:
                return False
            return True

        # Again: a session of somebody who has gone ends a little later.
        until(lambda: not one_more() and not one_more())
        yield


def test_they_have_room_where_an_app_takes_all_connections(
    real_engine: Engine, real_spec: Spec
) -> None:
    spec = replace(real_spec, settings=(("max_connections", "10"),))
    list(real_engine.start(spec))
    before = databases.create(spec, ttl=HOUR)
    with all_taken(spec):
        begun = time.monotonic()
        made = databases.create(spec, ttl=HOUR)
        copy = databases.create(spec, ttl=HOUR, source=before.name)
        assert {one.name for one in databases.every(spec)} >= {made.name, copy.name}
        databases.claim(spec, copy.name, "kept")
        databases.drop(spec, [made.name])
        found = postgres.health(spec.direct)
        assert found is not None
        assert (found.connections, found.full) == (10, True)
        assert not health(spec).ready
        assert "all 10 connections are taken: " in connections.taken(spec)
        assert f"(pid {os.getpid()})" in connections.taken(spec)
        list(real_engine.start(spec))
        assert time.monotonic() - begun < 40
        # That way in is for no temporary role.
        with pytest.raises(wire.Refused):
            wire.Session(before.direct, parameters={"replication": "database"})
    until(lambda: health(spec).ready)


def test_without_room_of_their_own_they_say_whose_it_all_is(
    real_engine: Engine, real_spec: Spec
) -> None:
    settings = (("max_connections", "10"), ("max_wal_senders", "0"), ("wal_level", "minimal"))
    spec = replace(real_spec, settings=settings)
    list(real_engine.start(spec))
    with all_taken(spec):
        for ask in (
            lambda: databases.create(spec, ttl=HOUR),
            lambda: list(real_engine.start(spec)),
        ):
            with pytest.raises(DevdbError) as caught:
                ask()
            assert "all 10 connections are taken: " in caught.value.message
            assert f"(pid {os.getpid()})" in caught.value.message
            assert "max_connections" in caught.value.hint


def test_a_pool_full_of_open_transactions_is_left_alone(
    real_engine: Engine, real_spec: Spec
) -> None:
    spec = replace(real_spec, pooler_settings=(("default_pool_size", "2"),))
    before = list(real_engine.start(spec))[-1].server
    with ExitStack() as stack:
        for _ in range(2):
            client = stack.enter_context(libpq.connect(spec.pooled, prepare_threshold=None))
            stack.enter_context(client.transaction())
            client.execute("SELECT 1")
        begun = time.monotonic()
        after = list(real_engine.start(spec))[-1].server
        assert time.monotonic() - begun < 15
        assert client.execute("SELECT 2").fetchone() == (2,)
    assert before is not None
    assert after is not None
    assert after.part("pgbouncer").started == before.part("pgbouncer").started
