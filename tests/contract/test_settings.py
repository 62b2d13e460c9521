"""The user's Postgres settings: they arrive as they are, or are refused before anything happens."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
import world
from libpq import connect

from devdb.engines import Engine
from devdb.engines.refusal import LetsNobodyIn
from devdb.errors import StartFailed, UsageError
from devdb.model import POOLER_ROLE, Endpoint, Server, Spec
from devdb.wire import Session

HOSTILE = (
    "it's \"quoted\"\n\twork_mem = '1kB'\r\n$(touch /tmp/pwned) `id` $HOME \\n ${x} # \\' end "
)
SOON = 10.0
"""Seconds: far from the 60 that a server is waited for."""


def start(engine: Engine, spec: Spec) -> Server:
    server = list(engine.start(spec))[-1].server
    assert server is not None
    return server


def show(endpoint: Endpoint, name: str) -> str | None:
    with Session(endpoint) as session:
        value: str | None = session.query(f"SHOW {name}")[0][0]
        return value


def test_values_arrive_as_they_are_and_a_refused_one_leaves_what_runs_running(
    real_engine: Engine, real_spec: Spec
) -> None:
    settings = (("My.Value", HOSTILE), ("work_mem", "7MB"), ("application.name", ""))
    spec = replace(real_spec, settings=settings)
    start(real_engine, spec)
    for endpoint in (spec.direct, spec.pooled):
        assert show(endpoint, "my.value") == HOSTILE
        assert show(endpoint, "work_mem") == "7MB"
        assert show(endpoint, "application.name") == ""
    first = real_engine.find(spec.name)
    assert first is not None
    again = start(real_engine, spec)
    assert again.part("postgres").started == first.part("postgres").started, "nothing has changed"

    with pytest.raises(UsageError):
        start(real_engine, replace(spec, settings=(*settings, ("port", "5433"))))
    after = start(real_engine, spec)
    for part in ("postgres", "pgbouncer"):
        assert after.part(part).started == first.part(part).started, "a refusal changes nothing"


def test_the_files_of_the_data_directory_count_too(real_engine: Engine, real_spec: Spec) -> None:
    start(real_engine, real_spec)
    with Session(real_spec.direct) as session:
        files = {
            row[0] for row in session.query("SELECT DISTINCT sourcefile FROM pg_file_settings")
        }
        [(data,)] = session.query("SHOW data_directory")
        session.query("ALTER SYSTEM SET work_mem = '9MB'")
    assert f"{data}/postgresql.conf" in files
    real_engine.stop(real_spec.name)
    start(real_engine, replace(real_spec, settings=(("work_mem", "7MB"),)))
    assert show(real_spec.direct, "work_mem") == "9MB", "who sets it in there means it"


OWN = (
    ("hba_file", "/tmp/pg_hba.conf"),
    ("HBA_FILE", "/tmp/pg_hba.conf"),
    ("port", "5433"),
    ("listen_addresses", "*"),
    ("ssl_cert_file", "/tmp/x"),
    ("include", "/etc/passwd"),
    ("password_encryption", "md5"),
)


def test_a_setting_of_devdb_s_own_is_refused_before_anything_is_done(
    real_engine: Engine, real_spec: Spec, home: Path
) -> None:
    for name, value in OWN:
        with pytest.raises(UsageError) as caught:
            start(real_engine, replace(real_spec, settings=((name, value),)))
        assert name.lower() in caught.value.message
    assert real_engine.find(real_spec.name) is None
    marker = str(home / "instances" / real_spec.name / "marker.json")
    assert world.traces(real_spec.name, home) == [marker]


def test_a_command_runs_in_a_container_or_not_at_all(
    real_engine: Engine, real_spec: Spec, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    tmp_path.chmod(0o777)
    settings = (("archive_mode", "on"), ("archive_command", f"touch {ran}"))
    spec = replace(real_spec, settings=settings)
    if real_engine.name == "native":
        with pytest.raises(UsageError, match="archive_command"):
            start(real_engine, spec)
    else:
        start(real_engine, spec)
        with Session(spec.direct) as session:
            session.query("SELECT pg_switch_wal()")
    assert not ran.exists()


@pytest.mark.parametrize("setting", [("shared_buffers", "lots"), ("nosuch", "1")])
def test_a_wrong_setting_is_named_with_the_table_it_is_in(
    real_engine: Engine, real_spec: Spec, setting: tuple[str, str]
) -> None:
    with pytest.raises(StartFailed) as caught:
        start(real_engine, replace(real_spec, settings=(setting,)))
    assert setting[0] in caught.value.message
    assert caught.value.hint.startswith(f"Correct {setting[0]} (devdb.toml, [postgres])")


CLOSED = "ALTER DATABASE {} ALLOW_CONNECTIONS {}"


REFUSALS = (
    (
        CLOSED.format("postgres", "false"),
        CLOSED.format("postgres", "true"),
        'database "postgres" is not currently accepting connections',
        "devdb psql -n",
    ),
    (
        CLOSED.format("main", "false"),
        CLOSED.format("main", "true"),
        'database "main" is not currently accepting connections',
        "devdb psql -n",
    ),
    (
        "ALTER ROLE devdb NOLOGIN",
        "ALTER ROLE devdb LOGIN",
        'role "devdb" is not permitted to log in',
        "ALTER ROLE devdb LOGIN",
    ),
)
"""What lets nobody in, what mends it, what Postgres says, and what devdb advises."""


def test_a_no_that_repeats_is_told_in_the_server_s_own_words_and_can_be_mended(
    real_engine: Engine, real_spec: Spec
) -> None:
    start(real_engine, real_spec)
    for close, mend, words, hint in REFUSALS:
        with connect(real_spec.direct, database="template1") as inside:
            inside.execute(close.encode())
            begun = time.monotonic()
            with pytest.raises(LetsNobodyIn) as caught:
                start(real_engine, real_spec)
            assert time.monotonic() - begun < SOON
            assert words in caught.value.message
            assert hint in caught.value.hint
            inside.execute(mend.encode())
        assert start(real_engine, real_spec).running

    # One that was stopped is left running to be mended.
    close, mend, *_ = REFUSALS[0]
    with connect(real_spec.direct) as inside:
        inside.execute(close.encode())
    real_engine.stop(real_spec.name)
    with pytest.raises(LetsNobodyIn):
        start(real_engine, real_spec)
    with connect(real_spec.direct) as inside:
        inside.execute(mend.encode())
    assert start(real_engine, real_spec).running


def test_the_pooler_asks_who_somebody_is_without_the_users_limits(
    real_engine: Engine, real_spec: Spec
) -> None:
    start(real_engine, real_spec)
    with connect(real_spec.direct, database="postgres") as inside:
        for name in ("statement_timeout", "lock_timeout"):
            inside.execute(f"ALTER SYSTEM SET {name} = '1ms'".encode())
        inside.execute("SELECT pg_reload_conf()")
    pooler = replace(
        real_spec.direct,
        user=POOLER_ROLE,
        password=real_spec.pooler_password,
        database="postgres",
    )
    for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        assert show(pooler, name) == "0"
    assert show(pooler, "search_path") == "pg_catalog"
