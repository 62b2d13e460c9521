"""`devdb up`: what it says, where, and what it refuses."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest
from commandline import Cli, Done


@pytest.fixture
def cli(inside: Cli) -> Cli:
    return inside


URL = re.compile(r"postgresql://devdb:[\w-]{20,}@127\.0\.0\.1:(\d+)/main")


def test_off_a_terminal_stdout_is_the_two_urls(cli: Cli) -> None:
    done = cli("up")
    assert done.code == 0
    direct, pooled = done.out.splitlines()
    assert URL.fullmatch(direct)
    assert URL.fullmatch(pooled)
    assert direct != pooled
    assert cli("up", "-d").out == done.out


def test_each_step_is_said_once_with_its_time(cli: Cli) -> None:
    err = cli("up", "-d", DEVDB_FAKE_PACE="0.6").err
    for step in ("engine", "prepare", "postgres", "pgbouncer", "login", "ready"):
        assert len(re.findall(rf"^  {step} .*\(\d+(\.\d+)? s\)$", err, re.MULTILINE)) == 1
    assert len(err.splitlines()) == 6 + 4


def test_it_says_what_it_did_why_this_engine_where_the_data_is_and_how_to_stop(cli: Cli) -> None:
    created = cli("up", "-d").err
    assert "created 'shop'" in created
    assert "asked for by DEVDB_ENGINE" in created
    assert f"data: {cli.env['DEVDB_DATA_DIR']}/instances/shop" in created
    assert "stop: devdb down shop" in created
    assert "attached to 'shop'" in cli("up", "-d").err
    cli("down")
    assert "started 'shop'" in cli("up", "-d").err


def test_changes_are_said(cli: Cli) -> None:
    cli("up", "-d")
    assert "changed: pool mode transaction -> session" in cli("up", "--pool-mode", "session").err
    changed = cli("up", "--max-connections", "50").err
    assert "changed: settings none -> max_connections=50" in changed
    changed = cli("up", "--log-min-duration-statement", "250").err
    assert "-> log_min_duration_statement=250, max_connections=50" in changed


def test_a_changed_table_of_pgbouncer_is_said(cli: Cli) -> None:
    cli("up", "-d")
    (cli.project / "devdb.toml").write_text("[pgbouncer]\nquery_wait_timeout = 3\n")
    changed = "changed: pooler settings none -> query_wait_timeout=3"
    assert changed in cli("up", "-d").err
    assert "changed" not in cli("up", "-d").err


@pytest.mark.parametrize("line", ["auth_type = 'any'", "max_client_conn = 0", "pool_mode = 'x'"])
def test_what_a_project_may_not_tell_pgbouncer_is_a_usage_error(cli: Cli, line: str) -> None:
    (cli.project / "devdb.toml").write_text(f"[pgbouncer]\n{line}\n")
    done = cli("up", "-d")
    assert done.code == 2
    assert line.split()[0] in done.error[0]
    assert cli("ls", "--json").json["data"]["instances"] == []


def test_json_has_the_instance(cli: Cli) -> None:
    done = cli("up", "--json")
    data = done.json["data"]
    assert done.json == {"version": 1, "ok": True, "command": "up", "data": data}
    assert data["outcome"] == "created"
    assert data["reason"] == "fake: asked for by DEVDB_ENGINE"
    assert data["changes"] == []
    assert data["instance"]["name"] == "shop"
    assert data["instance"]["url"] == cli("url").out.strip()
    assert cli("up", "--json").json["data"]["outcome"] == "attached"


def test_env_is_written_when_ready(cli: Cli) -> None:
    done = cli("up", "--env", ".env")
    direct, pooled = done.out.splitlines()
    text = (cli.project / ".env").read_text()
    assert text == f"DATABASE_URL={pooled}\nDIRECT_URL={direct}\n"
    assert "DATABASE_URL added" in done.err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--port", "0"], "'0' is out of range"),
        (["--port", "70000"], "'70000' is out of range"),
        (["--port", "abc"], "'abc' is out of range"),
        (["--pool-port", "-1"], "'-1' is out of range"),
        (["--port", "26001", "--pool-port", "26001"], "both 26001"),
        (["--engine", "podman"], "'podman' is unknown"),
        (["--pg", "7"], "'7' is out of range"),
        (["--pool-mode", "statement"], "'statement' is unknown"),
        (["--max-connections", "1"], "'1' is out of range"),
        (["-n", "a b"], "is no instance name"),
        (["-n", "../x"], "is no instance name"),
        (["-n", "n" * 200], "is no instance name"),
        (["-n", "größe"], "is no instance name"),
        (["-n", ""], "is no text"),
        (["-n", "\udcff"], "is no instance name"),
        (["--prot", "1"], "has no option '--prot'"),
        (["--port"], "--port wants a value"),
        (["extra", "words"], "does not take 'extra'"),
    ],
)
def test_words_that_cannot_be_right_are_exit_2_in_two_lines(
    cli: Cli, args: list[str], words: str
) -> None:
    done = cli("up", "-d", *args)
    assert done.code == 2
    assert done.out == ""
    first, second = done.error
    assert words in first
    assert second.startswith("  try: ")
    assert cli.markers() == []


def test_a_foreign_listener_on_the_port_is_exit_5_and_named(cli: Cli, listener: int) -> None:
    done = cli("up", "-d", "--port", str(listener))
    assert done.code == 5
    assert f"Port {listener} is in use by" in done.error[0]
    assert f"(pid {os.getpid()})" in done.error[0]
    assert cli.markers() == []


def test_a_port_of_another_instance_is_exit_5_though_it_is_stopped(cli: Cli) -> None:
    port = str(cli("up", "--json").json["data"]["instance"]["port"])
    cli("down")
    done = cli("up", "-d", "-n", "other", "--port", port)
    assert done.code == 5
    assert f"Port {port} belongs to the instance 'shop'" in done.error[0]


def test_a_port_for_root_is_refused_to_others(unprivileged: Cli) -> None:
    first = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if first.exists() and int(first.read_text()) <= 80:
        pytest.skip("this system lets everybody have port 80")
    done = unprivileged("up", "-d", "--port", "80")
    assert done.code == 2
    assert "only root" in done.error[0]


def test_another_engine_or_major_is_an_error_with_the_way_out(cli: Cli) -> None:
    cli("up", "-d")
    engine = cli("up", "-d", "--engine", "native")
    assert engine.code == 1
    assert "lives in the engine fake" in engine.error[0]
    major = cli("up", "-d", "--pg", "16")
    assert major.code == 1
    assert "devdb up -n shop-16 --pg 16" in major.error[1]


def test_settings_come_from_the_file_the_environment_the_option(cli: Cli) -> None:
    (cli.project / "devdb.toml").write_text("port = 26101\npool-port = 26102\nname = 'filed'\n")
    made = cli("up", "--json", "--pool-port", "26104", DEVDB_PORT="26103").json["data"]["instance"]
    assert (made["name"], made["port"], made["pool_port"]) == ("filed", 26103, 26104)


def ports(done: Done) -> tuple[int, int]:
    made = done.json["data"]["instance"]
    return made["port"], made["pool_port"]


def test_a_preset_listens_where_its_provider_does(cli: Cli) -> None:
    first = cli("up", "--json", "--preset", "digitalocean")
    assert ports(first) == (25060, 25061)
    assert first.json["data"]["notes"] == []
    own = cli("up", "--json", "-n", "other", "--preset", "supabase", "--port", "26105")
    assert ports(own)[0] == 26105
    unknown = cli("up", "-d", "-n", "third", "--preset", "nope")
    assert unknown.code == 2
    assert "Known: auto, plain" in unknown.error[1]


def test_a_preset_whose_ports_are_taken_says_by_whom(cli: Cli) -> None:
    (cli.project / "devdb.toml").write_text('preset = "digitalocean"\n')
    cli("up", "-d")
    by_instance = cli("up", "-d", "-n", "other")
    assert by_instance.code == 0
    direct, pooled = URL.findall(by_instance.out)
    assert (
        f"note: ports {direct} and {pooled} instead of digitalocean's 25060 and 25061: "
        "port 25060 belongs to the instance 'shop'."
    ) in by_instance.err
    cli("rm", "--force", "shop", "other")
    with socket.create_server(("127.0.0.1", 25061)):
        by_process = cli("up", "--json")
    assert ports(by_process) != (25060, 25061)
    [note] = by_process.json["data"]["notes"]
    assert "port 25061 is in use by " in note
    assert f"(pid {os.getpid()})" in note


def test_a_preset_does_not_move_an_instance(cli: Cli) -> None:
    before = cli("up", "-d").out
    done = cli("up", "-d", "--preset", "digitalocean")
    assert done.out == before
    assert "--port 25060 --pool-port 25061" in done.err
    assert "changed" not in done.err
    assert "keeps its ports" not in cli("up", "-d", DEVDB_PRESET="digitalocean").err
    cli("up", "-d", "--port", "25060", "--pool-port", "25061")
    assert "keeps its ports" not in cli("up", "-d", "--preset", "digitalocean").err


def test_a_file_that_is_no_toml_is_exit_2(cli: Cli) -> None:
    (cli.project / "devdb.toml").write_text("port = = 1\n")
    done = cli("up", "-d")
    assert done.code == 2
    assert str(cli.project / "devdb.toml") in done.error[0]


def test_a_data_directory_that_cannot_be_made_is_two_lines(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = cli("up", "-d", DEVDB_DATA_DIR=str(tmp_path / "file" / "data"))
    assert done.code == 1
    assert len(done.error) == 2
    assert "DEVDB_DATA_DIR" in done.error[1]


def test_a_read_only_data_directory_is_two_lines(unprivileged: Cli) -> None:
    Path(unprivileged.env["DEVDB_DATA_DIR"]).chmod(0o555)
    done = unprivileged("up", "-d")
    assert done.code == 1
    assert len(done.error) == 2
    assert "DEVDB_DATA_DIR" in done.error[1]
