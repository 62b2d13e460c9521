"""`devdb ls`, `status`, `logs` and `doctor`: for people and, with --json, for programs."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from commandline import Cli
from terminal import Terminal

from devdb.engines.fake import FakeEngine
from devdb.urls import masked


@pytest.fixture
def cli(inside: Cli) -> Cli:
    return inside


INSTANCE = {
    "name",
    "state",
    "engine",
    "project",
    "created",
    "port",
    "pool_port",
    "http_port",
    "url",
    "pooled_url",
    "http_url",
    "masked",
    "pool_mode",
    "max_clients",
    "major",
    "location",
    "parts",
    "notes",
    "trouble",
}
PART = {"name", "state", "version", "started", "detail"}
STATUS = INSTANCE | {"ready", "postgres", "pgbouncer", "stale", "env"}


def test_ui_needs_a_terminal_and_names_what_does_not(cli: Cli) -> None:
    done = cli("ui")
    assert (done.code, done.out) == (2, "")
    assert done.error == [
        "error: devdb ui draws on a terminal, and there is none here.",
        "  try: devdb ls",
    ]


def test_ls_of_nothing_has_an_empty_stdout(cli: Cli) -> None:
    done = cli("ls")
    assert (done.code, done.out) == (0, "")
    assert "devdb up" in done.err


def test_ls_is_a_table(cli: Cli) -> None:
    made = cli("up", "--json").json["data"]["instance"]
    head, row = cli("ls").out.splitlines()
    assert head.split() == [
        "NAME",
        "STATE",
        "ENGINE",
        "POSTGRES",
        "DIRECT",
        "POOLED",
        "UP",
        "PROJECT",
    ]
    assert row.split()[:4] == ["shop", "running", "fake", "18.0"]
    assert [int(cell) for cell in row.split()[4:6]] == [made["port"], made["pool_port"]]
    assert row.endswith(str(cli.project))


def test_ls_json_is_pinned(cli: Cli) -> None:
    cli("up", "-d")
    envelope = cli("ls", "--json").json
    assert set(envelope) == {"version", "ok", "command", "data"}
    assert (envelope["version"], envelope["ok"], envelope["command"]) == (1, True, "ls")
    assert set(envelope["data"]) == {"owner", "data", "instances", "not_asked"}
    assert envelope["data"]["owner"] == pwd.getpwuid(os.geteuid()).pw_name
    assert envelope["data"]["data"] == cli.env["DEVDB_DATA_DIR"]
    (instance,) = envelope["data"]["instances"]
    assert set(instance) == INSTANCE
    assert [set(part) for part in instance["parts"]] == [PART, PART]


def test_status_of_a_ready_instance_is_exit_0(cli: Cli) -> None:
    made = cli("up", "--json").json["data"]["instance"]
    done = cli("status")
    assert done.code == 0
    facts = dict(line.split(maxsplit=1) for line in done.out.splitlines())
    assert facts["state"] == "ready"
    assert facts["direct"] == masked(made["url"])
    assert facts["pooled"] == masked(made["pooled_url"])
    assert facts["data"] == made["location"]
    assert "18.0, running" in facts["postgres"]
    assert "of 100 connections" in facts["postgres"]
    assert "1.25.2, running" in facts["pgbouncer"]
    assert "0 of 10000 clients" in facts["pgbouncer"]
    assert made["max_clients"] == 10_000


def test_status_of_a_stopped_one_is_exit_1_with_the_way_out(cli: Cli) -> None:
    cli("up", "-d")
    cli("down")
    done = cli("status")
    assert done.code == 1
    assert done.error == ["error: 'shop' is not ready.", "  try: devdb up -d -n shop"]


def test_status_names_the_server_that_died(cli: Cli) -> None:
    cli("up", "-d")
    FakeEngine().kill("shop", "pgbouncer")
    done = cli("status", "--json")
    assert done.code == 1
    assert done.json["ok"] is False
    assert done.json["data"]["state"] == "degraded"
    assert done.json["data"]["parts"][1]["detail"] == "killed by signal 9"
    assert done.json["data"]["pgbouncer"] is None
    assert "dead, port" in cli("status").out


def test_status_json_is_pinned(cli: Cli) -> None:
    cli("up", "-d")
    data = cli("status", "--json").json["data"]
    assert set(data) == STATUS
    assert set(data["postgres"]) == {"version", "started", "connections", "max_connections"}
    assert set(data["pgbouncer"]) == {"version", "clients", "servers"}


def test_what_looks_at_an_instance_shows_no_password(cli: Cli) -> None:
    started = cli("up", "--json").json["data"]["instance"]
    assert started["masked"] is False
    url = cli("url").out.strip()
    assert started["url"] == url
    password = url.partition("devdb:")[2].partition("@")[0]
    assert len(password) > 10
    for running in (True, False):
        for words in ("status", "status --json", "ls", "ls --json", "doctor --json", "logs"):
            done = cli(*words.split())
            assert password not in done.out + done.err, words
        for command, find in (("ls", lambda data: data["instances"][0]), ("status", dict)):
            shown = find(cli(command, "--json").json["data"])
            assert shown["masked"] is True
            assert shown["url"] == url.replace(password, "***")
            assert shown["pooled_url"] == started["pooled_url"].replace(password, "***")
        if running:
            cli("down")


@pytest.mark.skipif(os.geteuid() != 0, reason="is about root")
def test_who_became_root_is_told_whose_instances_these_are(cli: Cli) -> None:
    told = "note: these are root's instances, in /var/lib/devdb; those of alice: devdb ls as alice"
    assert "root's" not in cli("ls", SUDO_USER="alice").err  # DEVDB_DATA_DIR is the same for both
    of_system = replace(cli, env={**cli.env, "DEVDB_DATA_DIR": "", "DEVDB_CACHE_DIR": ""})
    assert told in of_system("ls", SUDO_USER="alice").err
    assert told in of_system("ls", DOAS_USER="alice").err
    assert "Those of alice" in of_system("url", SUDO_USER="alice").error[1]
    assert "root's" not in of_system("ls", SUDO_USER="root").err
    assert of_system("ls", "--json").json["data"]["data"] == "/var/lib/devdb"


def test_status_without_an_instance_is_an_error(cli: Cli) -> None:
    done = cli("status", "--json")
    assert done.code == 1
    assert done.json == {
        "version": 1,
        "ok": False,
        "error": {
            "code": "not_found",
            "message": f"{cli.project} has no instance yet.",
            "hint": "devdb up makes it.",
            "exit_code": 1,
        },
    }
    assert done.err == ""


def test_usage_errors_are_in_the_envelope_too(cli: Cli) -> None:
    done = cli("status", "--json", "--nmae", "x")
    assert done.code == 2
    assert done.json["error"]["code"] == "usage"
    assert done.json["error"]["hint"] == "devdb status --name NAME"


def test_name_is_an_option_or_a_variable(cli: Cli) -> None:
    cli("up", "-d", "-n", "other")
    assert cli("status", "-n", "other").code == 0
    assert cli("status", DEVDB_NAME="other").code == 0
    assert cli("status", "-n", "nope", DEVDB_NAME="other").code == 1


def test_logs_have_part_and_level_before_each_line(cli: Cli) -> None:
    cli("up", "-d")
    assert [line.split(maxsplit=1) for line in cli("logs").out.splitlines()] == [
        ["postgres", "postgres is ready"],
        ["pgbouncer", "pgbouncer is ready"],
    ]
    assert len(cli("logs", "--tail", "1").out.splitlines()) == 1
    assert cli("logs", "--tail", "-1").code == 2


LINE = {
    "moment": None,
    "level": None,
    "pid": None,
    "duration_ms": None,
    "belongs": False,
    "housekeeping": False,
}


def test_logs_json_is_pinned(cli: Cli) -> None:
    cli("up", "-d")
    lines = [
        {**LINE, "part": part, "text": f"{part} is ready"} for part in ("postgres", "pgbouncer")
    ]
    assert cli("logs", "--json").json == {
        "version": 1,
        "ok": True,
        "command": "logs",
        "data": {"name": "shop", "lines": lines, "hidden": 0},
    }
    assert cli("logs", "--json", "-n", "nope").json["error"]["code"] == "not_found"


def test_logs_json_followed_is_an_object_a_line(
    cli: Cli, terminal: Callable[..., Terminal]
) -> None:
    cli("up", "-d")
    shown = terminal("logs", "-f", "--json", columns=400)
    shown.wait_for("checkpoint complete")
    shown.type("\x03")
    assert shown.end() == 130
    first, _, last = (json.loads(line) for line in shown.text.splitlines()[:3])
    assert first == {
        "version": 1,
        "ok": True,
        "command": "logs",
        "data": {**LINE, "part": "postgres", "text": "postgres is ready"},
    }
    assert last["data"]["moment"] is not None, "of what comes it is known when it came"


def test_logs_follow_until_ctrl_c(cli: Cli, terminal: Callable[..., Terminal]) -> None:
    cli("up", "-d")
    shown = terminal("logs", "-f", NO_COLOR="1")
    shown.wait_for("checkpoint complete")
    shown.type("\x03")
    assert shown.end() == 130
    assert "Traceback" not in shown.text


def test_on_a_narrow_terminal_ls_is_one_block_an_instance(
    cli: Cli, terminal: Callable[..., Terminal]
) -> None:
    cli("up", "-d")
    shown = terminal("ls", columns=40)
    assert shown.end() == 0
    lines = shown.text.splitlines()  # above them may be that Docker was not asked
    assert lines[lines.index("NAME      shop") + 1] == "STATE     running"


def test_colours_are_for_terminals_that_want_them(
    cli: Cli, terminal: Callable[..., Terminal]
) -> None:
    cli("up", "-d")
    assert "\x1b[" not in cli("status").out
    coloured, plain = terminal("status"), terminal("status", NO_COLOR="1")
    assert (coloured.end(), plain.end()) == (0, 0)
    assert "\x1b[32mready\x1b[0m" in coloured.text
    assert "\x1b[" not in plain.text


def test_doctor_says_which_engine_and_why(cli: Cli) -> None:
    done = cli("doctor")
    assert done.code == 0
    assert "engine for a new instance: fake" in done.out
    assert "asked for by DEVDB_ENGINE" in done.out


def test_doctor_explains_what_somebody_was_told(cli: Cli) -> None:
    done = cli("doctor", "Error:", "connect", "ECONNREFUSED", "127.0.0.1:15432")
    assert done.code == 0
    assert [line.split()[0] for line in done.out.splitlines()] == ["error", "why", "try"]
    assert set(cli("doctor", "P1001", "--json").json["data"]) == {"error", "cause", "cure"}
    assert cli("doctor", "what nobody ever said").code == 1
    assert "no instance 'nope'" in cli("doctor", "-n", "nope", "P1001").error[0]


def test_doctor_json_is_pinned(cli: Cli) -> None:
    data = cli("doctor", "--json").json["data"]
    assert set(data) == {
        "asked",
        "engine",
        "reason",
        "healthy",
        "engines",
        "ports",
        "surroundings",
        "instances",
        "remedies",
        "fixed",
    }
    assert data["surroundings"]["data"] == cli.env["DEVDB_DATA_DIR"]
    assert (data["asked"], data["engine"], data["healthy"]) == ("fake", "fake", True)
    assert set(data["engines"]) == {"docker", "native"}
    for report in data["engines"].values():
        assert set(report) == {"usable", "findings"}
        for finding in report["findings"]:
            assert set(finding) == {"level", "subject", "message", "fix"}


def test_doctor_finds_a_dead_server_and_a_gone_project(cli: Cli) -> None:
    cli("up", "-d")
    FakeEngine().kill("shop", "postgres")
    done = cli("doctor")
    assert done.code == 1
    assert "postgres is dead" in done.out
    assert "try: devdb up -d -n shop" in done.out
    cli.project.rename(cli.project.with_name("moved"))
    gone = cli("doctor", cwd=cli.project.with_name("moved"))
    assert f"its project {cli.project} is gone" in gone.out


def test_doctor_names_the_owner_of_a_stopped_instances_port(cli: Cli, listener: int) -> None:
    cli("up", "-d")
    cli("down")
    cli.change_marker("shop", port=listener)
    done = cli("doctor")
    assert done.code == 0
    assert f"its port {listener} is in use by" in done.out
    assert f"(pid {os.getpid()})" in done.out


def test_an_engine_that_does_not_answer_is_exit_3_and_never_another_engine(cli: Cli) -> None:
    made = cli("up", "--json").json["data"]["instance"]
    cli.change_marker("shop", engine="docker", docker_host="unix:///nonexistent/docker.sock")
    for words in ("up -d", "status", "down", "rm -f shop", "psql", "logs", "up -d --engine docker"):
        done = cli(*words.split(), DEVDB_ENGINE=None)
        assert done.code == 3, (words, done.err)
        assert len(done.error) == 2, words
    found = cli("ls", "--json").json["data"]["instances"]
    (listed,) = (each for each in found if each["engine"] == "docker")
    assert (listed["state"], listed["trouble"]["exit_code"]) == ("unknown", 3)
    assert cli("url").out.strip() == made["url"]
    assert cli.markers() == ["shop"]


def test_removing_several_goes_on_after_a_failure(cli: Cli) -> None:
    for name in ("a", "b", "c"):
        cli("up", "-d", "-n", name)
    cli.change_marker("b", engine="docker", docker_host="unix:///nonexistent/docker.sock")
    done = cli("rm", "-f", "--json", "a", "b", "c")
    assert done.code == 1
    assert done.json["ok"] is False
    assert [each["name"] for each in done.json["data"]["deleted"]] == ["a", "c"]
    assert [each["exit_code"] for each in done.json["data"]["failed"]] == [3]
    assert cli.markers() == ["b"]


def test_a_clock_that_was_set_back_is_no_error(cli: Cli) -> None:
    cli("up", "-d")
    cli.change_marker("shop", created="2099-01-01T00:00:00+00:00")
    state = Path(cli.env["DEVDB_DATA_DIR"]) / "instances" / "shop" / "fake.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "started": "2099-01-01T00:00Z"}))
    assert "up 0 s" in cli("status").out
    assert cli("ls").code == 0
    assert cli("up", "-d").code == 0


def test_an_env_file_of_an_instance_that_is_gone_is_told_everywhere(cli: Cli) -> None:
    cli("up", "-d", "--env", ".env")
    fine = ".env holds this instance's URLs"
    assert f"env: {fine}\n" in cli("up", "-d").err
    assert fine in cli("status").out
    assert cli("status", "--json").json["data"]["env"] == fine
    assert f"instance shop: {fine}\n" in cli("doctor").out
    cli("rm", "--force", "shop")
    told = "DATABASE_URL, DIRECT_URL lead to 'shop' with a password that is not its any more"
    assert f"warning: .env: {told}; devdb env\n" in cli("up", "-d").err
    status = cli("status")
    assert f".env: {told}; devdb env\n" in status.out
    assert status.err == ""
    data = cli("status", "--json").json["data"]
    assert data["env"] == f".env: {told}"
    (found,) = data["stale"]
    assert (found["message"], found["fix"]) == (told, "devdb env")
    doctor = cli("doctor").out
    assert f"instance shop: .env: {told}\n           try: devdb env\n" in doctor
    elsewhere = cli("doctor", cwd=cli.project.parent).out
    assert f"instance shop: {cli.project}/.env: {told}\n" in elsewhere
    assert f"try: cd {cli.project} && devdb env\n" in elsewhere
    cli("env")
    assert f"env: {fine}\n" in cli("up", "-d").err
    assert ".env: DIRECT_URL leads to port" in cli("up", "-d", "--port", "17017").err


def test_a_project_that_uses_no_env_is_told_so_once_and_warned_of_nothing(cli: Cli) -> None:
    none = "no .env here has its URLs"
    up = cli("up", "-d").err
    assert up.count(none) == 1
    assert "warning" not in up
    assert none in cli("status").out
    assert none in cli("doctor").out
    assert none not in cli("doctor", cwd=cli.project.parent).out


def test_a_directory_that_one_may_not_enter_is_passed_over(unprivileged: Cli) -> None:
    for name in ("pgdata", "prisma", "api"):
        (unprivileged.project / name).mkdir(mode=0)
    assert unprivileged("up", "-d").code == 0
    assert unprivileged("env", "--preset", "auto", "--print").code == 0
