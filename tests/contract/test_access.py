"""Who gets in, and by which way; and that nobody learns a secret on the way."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest
import world
from instances import Instance
from libpq import connect
from world import NewSpec

from devdb import psql
from devdb.engines import Engine
from devdb.model import POOLER_ROLE, Endpoint, PoolMode, Server, Spec
from devdb.postgres import verifier
from devdb.workspace.instances import health

REFUSED = "password authentication failed|SASL authentication failed"


def start(engine: Engine, spec: Spec) -> Server:
    server = list(engine.start(spec))[-1].server
    assert server is not None
    return server


@pytest.fixture
def real_engine(shared: Instance) -> Engine:
    """The engine of the instance that these tests share."""
    return shared.engine


@pytest.fixture
def real_spec(running: Spec) -> Spec:
    """That instance; a test that changes it, or watches it start, makes one of its own."""
    return running


def endpoints(spec: Spec) -> list[Endpoint]:
    return [spec.direct, spec.pooled]


def test_both_urls_log_in_as_devdb_on_main(real_engine: Engine, real_spec: Spec) -> None:
    start(real_engine, real_spec)
    for endpoint in endpoints(real_spec):
        with connect(endpoint) as connection:
            row = connection.execute(
                "SELECT 1, current_user::text, current_database()::text, rolsuper "
                "FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
        assert row == (1, "devdb", "main", True)


def test_text_is_utf8_and_writes_are_durable(real_engine: Engine, real_spec: Spec) -> None:
    start(real_engine, real_spec)
    with connect(real_spec.direct) as connection:
        for name, value in (
            ("server_encoding", "UTF8"),
            ("fsync", "on"),
            ("full_page_writes", "on"),
            ("synchronous_commit", "on"),
            ("password_encryption", "scram-sha-256"),
        ):
            row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
            assert row == (value,), name


def test_tls_that_the_user_asks_of_others_is_not_asked_of_an_instance(
    real_engine: Engine, new_spec: NewSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_spec = new_spec(real_engine)
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    start(real_engine, real_spec)
    assert health(real_spec).ready


def test_a_wrong_or_missing_password_is_refused(real_engine: Engine, real_spec: Spec) -> None:
    start(real_engine, real_spec)
    for endpoint in endpoints(real_spec):
        with pytest.raises(psycopg.OperationalError, match=REFUSED):
            connect(replace(endpoint, password="wrong"))
        with pytest.raises(psycopg.OperationalError, match=f"no password supplied|{REFUSED}"):
            connect(replace(endpoint, password=""))


def test_the_bootstrap_password_of_a_shared_template_is_not_the_instances(
    real_engine: Engine, real_spec: Spec
) -> None:
    start(real_engine, real_spec)
    with connect(real_spec.direct) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_authid WHERE rolcanlogin AND rolpassword IS NULL"
        ).fetchone()
        assert row == (0,)


def test_the_pooler_role_reaches_nothing_but_its_lookup(
    real_engine: Engine, real_spec: Spec
) -> None:
    start(real_engine, real_spec)
    pooler = replace(real_spec.direct, user=POOLER_ROLE, password=real_spec.pooler_password)
    with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf rejects"):
        connect(pooler, database="main")
    with connect(pooler, database="postgres") as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT FROM pg_authid")
        row = connection.execute("SELECT verifier FROM pg_devdb.lookup('devdb')").fetchone()
    assert row is not None
    assert row[0].startswith("SCRAM-SHA-256$")


def test_no_rule_trusts_and_the_unix_socket_wants_a_password(
    real_engine: Engine, real_spec: Spec
) -> None:
    start(real_engine, real_spec)
    with connect(real_spec.direct) as connection:
        methods = connection.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules")
        assert {row[0] for row in methods} == {"scram-sha-256", "reject"}
        row = connection.execute("SHOW unix_socket_directories").fetchone()
    assert row is not None
    socket_directory = str(row[0]).split(",")[0]
    if real_engine.name == "kubernetes":  # whose servers reach each other on their pod's 127.0.0.1
        assert socket_directory == ""
        return
    if inside := world.inside(real_engine, real_spec.name, "postgres"):
        command = [*inside, "psql", "-h", socket_directory, "-p", "5432"]
    else:
        program = real_engine.psql_argv(real_spec.name)[0]
        command = [program, "-h", socket_directory, "-p", str(real_spec.port)]
    result = subprocess.run(
        [*command, "-w", "-U", "devdb", "-d", "main", "-c", "SELECT 1"],
        capture_output=True,
        text=True,
    )
    assert result.returncode != 0
    assert "no password supplied" in result.stderr


def test_it_listens_on_the_loopback_address_alone(real_engine: Engine, real_spec: Spec) -> None:
    start(real_engine, real_spec)
    bound = {
        c.laddr.ip
        for c in psutil.net_connections("tcp")
        if c.status == psutil.CONN_LISTEN
        and c.laddr
        and c.laddr.port in (real_spec.port, real_spec.pool_port)
    }
    assert bound == {"127.0.0.1"}


def test_a_role_made_later_gets_in_by_both_urls(real_engine: Engine, new_spec: NewSpec) -> None:
    real_spec = new_spec(real_engine)
    start(real_engine, real_spec)
    with connect(real_spec.direct) as connection:
        connection.execute(f"CREATE ROLE later LOGIN PASSWORD '{verifier('later secret')}'")
        connection.execute("CREATE DATABASE made_later OWNER later")
    for endpoint in endpoints(real_spec):
        later = replace(endpoint, user="later", password="later secret", database="made_later")
        with connect(later) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_prepared_statements_survive_transaction_pooling(
    real_engine: Engine, real_spec: Spec
) -> None:
    server = start(real_engine, real_spec)
    if server.pool_mode != PoolMode.TRANSACTION:
        pytest.skip(f"session pooling: {server.notes}")
    with (
        connect(real_spec.pooled, prepare_threshold=0) as one,
        connect(real_spec.pooled, prepare_threshold=0) as two,
    ):
        backends = set()
        for number in range(20):
            for connection in (one, two):
                row = connection.execute("SELECT pg_backend_pid(), %s::int", (number,)).fetchone()
                assert row is not None
                backends.add(row[0])
                assert row[1] == number
    assert len(backends) == 1, "two clients take turns on one server connection"


@pytest.mark.parametrize("pooled", [False, True])
def test_psql_opens_the_database(
    real_engine: Engine, real_spec: Spec, home: Path, pooled: bool
) -> None:
    start(real_engine, real_spec)
    argv = real_engine.psql_argv(real_spec.name, pooled=pooled)
    assert real_spec.password not in " ".join(argv)
    result = subprocess.run(
        [*argv, "-Atc", "SELECT current_database()"],
        env=psql.environment(real_spec.password, {**os.environ, **about_another_server(home)}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert (result.stdout.strip(), result.stderr) == ("main", "")


def test_its_own_tools_run_whatever_the_environment_says(
    real_engine: Engine, real_spec: Spec, home: Path
) -> None:
    server = start(real_engine, real_spec)
    major = int(str(server.part("postgres").version).split(".")[0])
    theirs = about_another_server(home) | {"PGOPTIONS": "-csearch_path=nope", "PGDATABASE": "no"}
    environment = psql.own_environment(real_spec.password, {**os.environ, **theirs})
    for tool in ("psql", "pg_restore"):
        argv = list(real_engine.tool_argv(real_spec.name, tool))
        alone = argv[: argv.index("-h")]
        said = subprocess.run([*alone, "--version"], capture_output=True, text=True).stdout
        found = re.search(r"\(PostgreSQL\) (\d+)", said)
        assert found is not None
        assert int(found[1]) >= major
        assert real_spec.password not in " ".join(argv)
    argv = list(real_engine.tool_argv(real_spec.name, "psql"))
    result = subprocess.run(
        [*argv, "-XAtw", "-U", "devdb", "-d", "main", "-f", "-"],
        input="SHOW search_path",
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (result.stdout.strip(), result.stderr) == ('"$user", public', "")


def about_another_server(home: Path) -> dict[str, str]:
    """What a user's environment has in it of a server that is not this one."""
    services = home / "services.conf"
    services.write_text("[prod]\nhost=127.0.0.9\nuser=admin\npassword=another\n")
    return {
        "PGSERVICE": "prod",
        "PGSERVICEFILE": str(services),
        "PGHOSTADDR": "127.0.0.9",
        "PGSSLMODE": "verify-full",
        "PGCHANNELBINDING": "require",
        "PGTARGETSESSIONATTRS": "standby",
        "PGGSSENCMODE": "require",
        "PGREQUIREAUTH": "none",
        "PGPASSFILE": "/dev/null",
    }


def test_no_secret_shows_in_argv_environment_labels_or_logs(
    real_engine: Engine, new_spec: NewSpec, home: Path
) -> None:
    """Looked for at every step of a fresh start, at a restart, and in the logs."""
    spec = new_spec(real_engine, reaper="while :; do sleep 1; done")
    secrets = [spec.password, spec.pooler_password, "SCRAM-SHA-256$"]

    def look() -> None:
        seen = _process_words()
        seen += [json.dumps(item) for item in world.objects(real_engine, spec.name)]
        for secret in secrets:
            assert not [text for text in seen if secret in text]

    for _ in real_engine.start(spec):
        look()
    real_engine.stop(spec.name)
    for _ in real_engine.start(spec):
        look()
    with pytest.raises(psycopg.OperationalError):
        connect(replace(spec.pooled, password="wrong"))
    lines = real_engine.logs(spec.name, tail=10_000, follow=False)
    written = [line.text for line in lines if line is not None]
    assert not [text for text in written for secret in secrets if secret in text]
    _assert_private(spec, home, secrets)


def _process_words() -> list[str]:
    texts = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            if process.pid != os.getpid():
                words += process.environ().values()
        except psutil.Error:
            continue
        texts.append("\0".join(words))
    return texts


def _assert_private(spec: Spec, home: Path, secrets: list[str]) -> None:
    """Files that hold a password are their owner's alone."""
    for path in (home / "instances" / spec.name).rglob("*"):
        if path.is_file() and "base" not in path.parts and "pg_wal" not in path.parts:
            text = path.read_bytes()
            if any(secret.encode() in text for secret in secrets):
                assert path.stat().st_mode & 0o077 == 0, path
