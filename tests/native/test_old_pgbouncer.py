"""A PgBouncer from before 1.19: session pooling, and its auth query in every database."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from libpq import connect

from devdb import urls
from devdb.config import Settings
from devdb.engines.native import binaries
from devdb.engines.native.engine import NativeEngine
from devdb.gateway import process
from devdb.model import Level, PoolMode, Spec
from devdb.postgres import verifier
from devdb.workspace import gateway


@pytest.fixture(autouse=True)
def old(pgbouncer_1_18: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVDB_PGBOUNCER", str(pgbouncer_1_18))


def test_the_pool_mode_is_session_and_it_says_why(native: NativeEngine, spec: Spec) -> None:
    server = list(native.start(spec))[-1].server
    assert server is not None
    assert server.pool_mode == PoolMode.SESSION
    assert server.part("pgbouncer").version == "1.18.0"
    mode, crash = server.notes
    assert "1.21" in mode
    assert "PgBouncer 1.18.0 can crash" in crash
    assert native.find(spec.name) == server
    found = [finding for finding in native.check() if finding.level == Level.WARNING]
    assert {f"{finding.message} {finding.fix}" for finding in found} > {crash}
    assert any("cannot track prepared statements" in finding.message for finding in found)


def test_its_gateway_keeps_no_session_for_the_next_request(
    native: NativeEngine, spec: Spec
) -> None:
    list(native.start(spec))
    spec = gateway.port_of(spec, Settings())
    spec = gateway.open_for(spec.name)
    seen = [gateway.to_serve(spec).pool_mode, process.find(gateway.to_serve(spec)).is_current]
    told = []
    for query in ("SELECT set_config('search_path', 'theirs', false)", "SHOW search_path"):
        asked = urllib.request.Request(
            f"{urls.http(spec)}/sql",
            data=json.dumps({"query": query, "arrayMode": True}).encode(),
            headers={"Neon-Connection-String": urls.url(spec.pooled)},
        )
        with urllib.request.urlopen(asked, timeout=30) as answer:
            told += json.load(answer)["rows"]
    assert gateway.turn_off(spec.name)
    gateway.forget(spec.name)
    assert seen == [PoolMode.SESSION, True]
    assert told == [["theirs"], ['"$user", public']]


def test_prepared_statements_do_not_break(native: NativeEngine, spec: Spec) -> None:
    list(native.start(spec))
    for _ in range(3):
        with connect(spec.pooled, prepare_threshold=0) as connection:
            for number in range(3):
                assert connection.execute("SELECT %s::int", (number,)).fetchone() == (number,)


@pytest.mark.parametrize("existing", ["before", "after"])
def test_roles_of_databases_old_and_new_get_in(
    native: NativeEngine, spec: Spec, existing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Databases that a newer PgBouncer served get the lookup when an older one takes over."""
    if existing == "before":
        with monkeypatch.context() as patch:
            patch.delenv("DEVDB_PGBOUNCER")
            if binaries.pooler().version[:2] < (1, 19):
                pytest.skip("there is no PgBouncer from 1.19 on to begin with")
            list(native.start(spec))
            _make_role(spec)
        server = list(native.start(spec))[-1].server
        assert server is not None
        assert server.pool_mode == PoolMode.SESSION
    else:
        list(native.start(spec))
        _make_role(spec)
    endpoint = replace(spec.pooled, user="later", password="later secret", database="made_later")
    with connect(endpoint) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError):
        connect(replace(endpoint, password="wrong"))


def test_a_dump_has_nothing_of_devdbs_in_it(native: NativeEngine, spec: Spec) -> None:
    list(native.start(spec))
    with connect(spec.direct) as connection:
        assert connection.execute("SELECT FROM pg_namespace WHERE nspname = 'pg_devdb'").fetchall()
        connection.execute("CREATE TABLE theirs ()")
    psql, *where = native.psql_argv(spec.name)
    dump = subprocess.run(
        [Path(psql).with_name("pg_dump"), *where],
        env={**os.environ, "PGPASSWORD": spec.password},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "CREATE TABLE public.theirs" in dump
    assert "pg_devdb" not in dump
    assert "lookup" not in dump


def _make_role(spec: Spec) -> None:
    with connect(spec.direct) as connection:
        connection.execute(f"CREATE ROLE later LOGIN PASSWORD '{verifier('later secret')}'")
        connection.execute("CREATE DATABASE made_later OWNER later")


def test_its_libraries_are_found_when_it_is_copied(
    native: NativeEngine, spec: Spec, root: None, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Path(os.environ["DEVDB_PGBOUNCER"])
    closed = cache / "closed"
    closed.mkdir(mode=0o700)
    for name in ("bin", "lib"):
        (closed / name).symlink_to(program.parent.parent / name)
    monkeypatch.setenv("DEVDB_PGBOUNCER", str(closed / "bin" / "pgbouncer"))
    server = list(native.start(spec))[-1].server
    assert server is not None
    assert server.part("pgbouncer").version == "1.18.0"
