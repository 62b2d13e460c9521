"""A working day with real servers, by nothing but the command line."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import available
import old_pgbouncer
import psycopg
import pytest
import world
from commandline import Cli
from terminal import Terminal

native = pytest.mark.parametrize("real_engine", ["native"], indirect=True)


def query(url: str, sql: str) -> str:
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        row = connection.execute(sql.encode()).fetchone()
    assert row is not None
    return str(row[0])


def urls(cli: Cli) -> tuple[str, str]:
    """Of an instance that was just brought up."""
    done = cli("up", "-d")
    assert done.code == 0, done.err
    direct, pooled = done.out.splitlines()
    return direct, pooled


def assert_no_password_is_shown(real: Cli, url: str) -> None:
    password = url.partition("devdb:")[2].partition("@")[0]
    assert len(password) > 10
    for words in ("status", "status --json", "ls", "ls --json", "doctor --json", "logs --json"):
        done = real(*words.split())
        assert password not in done.out + done.err, words


def assert_tls_alone_means_require(real: Cli, direct: str, pooled: str) -> None:
    for words in ("--tls", "--tls require", "--tls=require"):
        assert real("url", *words.split()).out == f"{direct}?sslmode=require\n"
    assert real("url", "--tls", "--pooled").out == f"{pooled}?sslmode=require\n"
    assert "sslmode=verify-full" in real("url", "--tls", "verify-full").out
    assert f"DIRECT_URL={direct}?sslmode=require\n" in real("env", "--tls", "--print").out


def test_up_work_down_up_rm(real: Cli) -> None:
    direct, pooled = urls(real)
    assert query(direct, "SELECT current_database()") == "main"
    assert query(pooled, "SELECT current_user") == "devdb"
    with psycopg.connect(direct, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    status = real("status", "--json")
    assert status.code == 0
    assert status.json["data"]["postgres"]["version"].split(".")[0].isdigit()
    assert_no_password_is_shown(real, direct)
    assert_tls_alone_means_require(real, direct, pooled)
    assert real.completed("temp", "--from", "m") == ["main"]
    assert real("psql", "-XAtc", "SELECT answer FROM kept").out == "42\n"
    assert {"postgres", "pgbouncer"} <= {
        line.split()[2] for line in real("logs", "--tail", "5").out.splitlines()
    }
    backend = ("-XAtc", "SELECT pg_backend_pid()")
    assert real("psql", *backend).out != real("psql", *backend).out
    # One after the other, the pooler's clients share its server connections, of which devdb's own
    # looks may have made a second.
    pooled_backends = {real("psql", "--pooled", *backend).out for _ in range(3)}
    assert len(pooled_backends) < 3
    real("env")
    assert f"DATABASE_URL={pooled}\n" in (real.project / ".env").read_text()
    assert real("down").code == 0
    assert real("status").code == 1
    assert real("url").out.strip() == direct
    psql = real("psql", "-XAtc", "SELECT answer FROM kept")
    assert (psql.code, psql.out) == (0, "42\n")
    assert f"started '{real.name}'" in psql.err
    refused = real("rm", real.name)
    assert refused.code == 2
    assert "main (" in refused.error[0]
    assert query(direct, "SELECT answer FROM kept") == "42"
    with psycopg.connect(direct.replace("/main", "/postgres"), autocommit=True) as connection:
        connection.execute("DROP DATABASE main")
    assert "'main' was dropped or renamed" in real("status").error[0]
    assert "note: the database 'main' was gone" in real("up", "-d").err
    assert real("status").code == 0
    assert real("rm", "-f", real.name).code == 0
    assert real.markers() == []


def test_a_pooler_that_a_packet_can_crash_is_told_of_and_is_no_failure(real: Cli) -> None:
    kind = {"native": "DEVDB_PGBOUNCER", "docker": "DEVDB_PGBOUNCER_IMAGE"}
    variable, old = kind[real.env["DEVDB_ENGINE"]], "devdb-test/pgbouncer:1.18"
    if variable == "DEVDB_PGBOUNCER":
        found = old_pgbouncer.get()
        if isinstance(found, str):
            pytest.skip(f"no PgBouncer below 1.19: {found}")
        old = str(found)
    elif not available.has_image(old):
        pytest.skip(f"no image {old} here; scripts/images builds it")
    up = replace(real, env={**real.env, variable: old})("up", "-d")
    assert up.code == 0, up.err
    said = "Whoever reaches the port of PgBouncer 1.18.0 can crash it with one packet"
    assert said in up.err
    status = real("status")
    assert status.code == 0
    assert said in status.out
    assert "devdb doctor --fix" in status.out
    assert any(note.startswith(said) for note in real("status", "--json").json["data"]["notes"])
    doctor = real("doctor", "--json")
    assert doctor.code == 0
    [warning] = [f for f in doctor.json["data"]["instances"] if f["level"] == "warning"]
    assert warning["message"].startswith(said)
    assert "--pooler-image" in warning["fix"]
    again = real("up", "-d")
    assert again.code == 0, again.err
    assert said not in again.err + real("status").out


def test_logs_follow_ends_at_ctrl_c_while_nothing_is_written(
    real: Cli, terminal: Callable[..., Terminal]
) -> None:
    urls(real)
    variables = {key: value for key, value in real.env.items() if key.startswith("DEVDB_")}
    shown = terminal("logs", "-f", "--tail", "1", cwd=real.project, NO_COLOR="1", **variables)
    for part in ("postgres", "pgbouncer"):
        shown.wait_for(f" {part:<9} ")  # of whatever severity is the last line
    shown.type("\x03")
    assert shown.end() == 130
    for part in ("postgres", "pgbouncer"):
        assert re.search(rf" {part:<9} (LOG|FATAL) +\S", shown.text)
    assert "Traceback" not in shown.text


@native
def test_a_setting_of_devdb_s_own_is_refused_at_once(real: Cli) -> None:
    for setting in ('hba_file = "/tmp/x"', "port = 5433", 'ssl_key_file = "x"'):
        (real.project / "devdb.toml").write_text(f"[postgres]\n{setting}\n")
        done = real("up", "-d")
        assert done.code == 2
        assert setting.split()[0] in done.error[0]
        assert "devdb.toml" in done.error[1]
        assert real.markers() == []
        assert "postgres" not in {line.split()[0] for line in done.err.splitlines()}


@native
def test_a_devdb_toml_runs_no_command_without_a_container(real: Cli) -> None:
    ran = real.project / "ran"
    (real.project / "devdb.toml").write_text(
        f'[postgres]\narchive_mode = true\narchive_command = "touch {ran}"\n'
    )
    done = real("up", "-d")
    assert (done.code, ran.exists(), real.markers()) == (2, False, [])
    assert "archive_command" in done.error[0]
    assert "--engine docker" in done.error[1]


HOSTILE = "\x1b]52;c;aGk=\x07 \x1b[2J \x9b31m \u202e \x85forged \u2028forged \r[bold]"
SHOWN = r"\x1b]52;c;aGk=\x07 \x1b[2J \x9b31m \u202e \x85forged \u2028forged \r[bold]"


def test_what_a_temporary_role_writes_to_the_log_is_shown_and_not_sent(real: Cli) -> None:
    urls(real)
    url = real("temp", "-q").out.strip()
    with psycopg.connect(url, autocommit=True) as connection:
        for level in ("LOG", "WARNING"):
            connection.execute(f"DO $$ BEGIN RAISE {level} '%', '{level} {HOSTILE}'; END $$")
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute(f'SELECT FROM "{HOSTILE}"')
    done = real("logs")
    assert done.code == 0
    for words in (f"LOG       LOG {SHOWN}", f"WARNING   WARNING {SHOWN}", "ERROR     relation"):
        assert words in done.out
    assert not [c for c in done.out if c != "\n" and not c.isprintable() and c != "\t"]
    parts = ("postgres ", "pgbouncer", "reaper   ")
    assert not [line for line in done.out.split("\n") if line and line[24:33] not in parts]
    written = real("logs", "--json").json["data"]["lines"]
    assert [line for line in written if f"LOG {HOSTILE}" in line["text"]]


@native
def test_ten_at_once_make_one_instance_and_all_succeed(real: Cli) -> None:
    processes = [real.begin("up", "-d") for _ in range(10)]
    results = [process.communicate(timeout=170) for process in processes]
    said = "\n".join(err for _, err in results if "error:" in err)
    assert [process.returncode for process in processes] == [0] * 10, said
    assert len({out for out, _ in results}) == 1
    assert sum(f"created '{real.name}'" in err for _, err in results) == 1
    assert query(results[0][0].splitlines()[1], "SELECT 1") == "1"


STEPS = ("engine", "prepare", "postgres", "pgbouncer", "login")


@native
@pytest.mark.parametrize("step", STEPS)
def test_kill_9_after_any_step_of_a_fresh_start_then_up(real: Cli, step: str) -> None:
    process = real.begin("up", "-d")
    assert process.stderr is not None
    while (line := process.stderr.readline()) and line.split()[0] != step:
        pass
    process.kill()
    process.communicate(timeout=60)
    direct, pooled = urls(real)
    assert (query(direct, "SELECT 1"), query(pooled, "SELECT 1")) == ("1", "1")


@native
def test_a_signal_in_a_fresh_start_leaves_nothing(real: Cli, home: Path) -> None:
    process = real.begin("up", "-d")
    assert process.stderr is not None
    assert process.stderr.readline().startswith("  engine")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert real.markers() == []
    assert world.traces(real.name, home) == []


@native
def test_it_outlives_the_terminal_that_started_it(
    real: Cli, terminal: Callable[..., Terminal]
) -> None:
    variables = {key: value for key, value in real.env.items() if key.startswith("DEVDB_")}
    shown = terminal("up", "-d", cwd=real.project, **variables)
    assert shown.end() == 0
    shown.close()
    (instance,) = real("ls", "--json").json["data"]["instances"]
    assert instance["state"] == "running"
    assert query(real("url", "--pooled", "--json").json["data"]["url"], "SELECT 1") == "1"


def kill(real: Cli, *parts: str) -> None:
    """SIGKILL these parts, by what `status` says of them."""
    known = {part["name"]: part for part in real("status", "--json").json["data"]["parts"]}
    for part in parts:
        os.kill(int(known[part]["detail"].removeprefix("pid ")), signal.SIGKILL)


@native
def test_a_server_killed_with_9_comes_back_by_itself(real: Cli) -> None:
    _, pooled = urls(real)

    def pid(part: str) -> str | None:
        """Where all is well."""
        done = real("status", "--json")
        parts = {each["name"]: each["detail"] for each in done.json["data"]["parts"]}
        return parts[part] if done.code == 0 else None

    for part in ("postgres", "pgbouncer", "reaper"):
        before = pid(part)
        assert before is not None
        kill(real, part)
        world.eventually(partial(is_another, pid, part, before), "status is content again")
        assert query(pooled, "SELECT 1") == "1"


def is_another(pid: Callable[[str], str | None], part: str, before: str) -> bool:
    return pid(part) not in (None, before)


@native
def test_a_dead_supervisor_is_named_and_what_looks_brings_it_back(real: Cli) -> None:
    direct, pooled = urls(real)
    kill(real, "supervisor", "reaper")
    doctor = real("doctor")
    assert doctor.code == 1
    assert "reaper is dead" in doctor.out
    assert "supervisor is dead" in doctor.out
    assert real("ls", "--json").json["data"]["instances"][0]["state"] == "degraded"
    done = real("status")
    assert done.code == 1
    assert "degraded" in done.out
    world.eventually(lambda: real("status").code == 0, "it mended that")

    kill(real, "supervisor")
    assert real("temp", "-q", "--ttl", "1m").code == 0
    assert real("status").code == 0
    assert urls(real) == (direct, pooled)


@native
def test_a_port_taken_while_it_was_stopped_is_exit_5_and_named(real: Cli) -> None:
    direct, _ = urls(real)
    real("down")
    holder = subprocess.Popen(
        ["python3", "-c", HOLD, real.env["DEVDB_PORT"]], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "listening\n"
        done = real("up", "-d")
        assert done.code == 5
        assert done.out == ""
        assert f"(pid {holder.pid})" in done.error[0]
        assert "--port" in done.error[1]
        assert real("url").out.strip() == direct
    finally:
        holder.kill()
        holder.communicate()
    assert urls(real)[0] == direct


HOLD = """
import socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
time.sleep(300)
"""


@native
def test_another_devdb_holds_the_port(real: Cli, tmp_path: Path) -> None:
    urls(real)
    other = real("up", "-d", DEVDB_DATA_DIR=str(tmp_path))
    assert other.code == 5
    assert real.env["DEVDB_PORT"] in other.error[0]
    assert not (tmp_path / "instances" / real.name).exists()


@native
def test_settings_change_with_a_restart_that_is_said(real: Cli) -> None:
    direct, _ = urls(real)
    done = real("up", "-d", "--max-connections", "37")
    assert "changed: settings none -> max_connections=37" in done.err
    assert query(direct, "SHOW max_connections") == "37"


@native
def test_an_image_or_major_that_is_not_here_is_exit_3(real: Cli) -> None:
    done = real("up", "-d", "--pg", "13")
    assert done.code == 3
    assert "13" in done.error[0]
    assert real.markers() == []


@native
def test_env_makes_the_shadow_and_the_test_database(real: Cli) -> None:
    done = real("up", "-d", "--env", ".env", "--preset", "redwood")
    text = (real.project / ".env").read_text()
    for variable, database in (("SHADOW_DATABASE_URL", "shadow"), ("TEST_DIRECT_URL", "test")):
        assert f"made the database '{database}'" in done.err
        url = text.partition(f"{variable}=")[2].splitlines()[0]
        assert query(url, "SELECT current_database()") == database
    assert "made the database" not in real("env", "--preset", "redwood").err


@native
def test_a_full_disk_is_two_lines_and_costs_nothing(real: Cli) -> None:
    with world.disk("size=9m") as small:
        done = real("up", "-d", DEVDB_DATA_DIR=str(small))
        assert done.code == 1
        assert len(done.error) == 2
        assert not (small / "instances" / real.name).exists()
