"""The gateway by the command line: asked for, told of, and never in the way of the instance."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
import world
from commandline import Cli


@pytest.fixture
def port(cli: Cli, free_port: Callable[[], int]) -> Iterator[int]:
    yield free_port()
    cli("down", "--all")


def gateway(data: Any) -> Any:
    [found] = [part for part in data["parts"] if part["name"] == "gateway"]
    return found


def test_its_url_is_narrated_and_stdout_stays_two_lines(cli: Cli, port: int) -> None:
    done = cli("up", "-d", "--http", "--http-port", str(port))
    assert done.code == 0, done.err
    assert [line.partition(":")[0] for line in done.out.splitlines()] == ["postgresql"] * 2
    url = f"http://127.0.0.1:{port}"
    assert f"\n  http       port {port} (" in done.err
    assert f"\nhttp: {url}\n" in done.err
    assert cli("url", "--http").out == f"{url}\n"
    data = cli("url", "--http", "--json").json["data"]
    assert (data["url"], data["running"]) == (url, True)
    assert f"\nhttp: {url}\n" in cli("up", "-d").err
    cli("down")
    off = cli("url", "--http")
    assert (off.code, off.out) == (0, f"{url}\n")
    assert off.err == "warning: the gateway of 'shop' is off; devdb up -d --http -n shop\n"


def test_all_that_tells_of_an_instance_tells_of_it(cli: Cli, port: int) -> None:
    data = cli("up", "--json").json["data"]["instance"]
    assert (data["http_port"], data["http_url"]) == (None, None)
    assert {part["name"] for part in data["parts"]} == {"postgres", "pgbouncer"}
    assert "HTTP" not in cli("ls").out
    data = cli("up", "--json", "--http-port", str(port)).json["data"]["instance"]
    assert gateway(data)["state"] == "running"
    pid = int(gateway(data)["detail"].removeprefix("pid "))
    for command in ("status", "ls"):
        found = cli(command, "--json").json["data"]
        found = found["instances"][0] if command == "ls" else found
        assert (found["http_port"], found["http_url"]) == (port, f"http://127.0.0.1:{port}")
        assert gateway(found) == gateway(data)
    assert f"gateway    running, port {port}, pid {pid}\n" in cli("status").out
    head, row = cli("ls").out.splitlines()
    assert head.split()[4:7] == ["DIRECT", "POOLED", "HTTP"]
    assert row[head.index("HTTP") :].startswith(f"{port} ")

    os.kill(pid, signal.SIGKILL)
    world.eventually(lambda: not world.listening(port), "it is gone")
    status = cli("status")
    assert status.code == 0, "the instance is well"
    assert f"gateway    stopped, port {port}; devdb up -d -n shop starts it\n" in status.out
    assert gateway(cli("status", "--json").json["data"])["state"] == "stopped"
    assert f" {port} off " in cli("ls").out
    [finding] = findings(cli, "gateway")
    assert (finding["level"], finding["fix"]) == ("warning", "devdb up -d -n shop")
    cli("up", "-d")
    assert findings(cli, "gateway") == []

    cli("down")
    assert findings(cli, "gateway") == []
    with socket.create_server(("127.0.0.1", port)):
        [finding] = findings(cli, "HTTP port")
        assert f"(pid {os.getpid()})" in finding["message"]
        assert "--http-port" in finding["fix"]
        assert "somebody else" in cli("status").out


def findings(cli: Cli, word: str) -> list[dict[str, str]]:
    found = cli("doctor", "--json").json["data"]["instances"]
    return [each for each in found if word in each["message"]]


@pytest.mark.parametrize(
    ("words", "env", "toml"),
    [
        (("--http",), {}, ""),
        ((), {"DEVDB_HTTP": "1"}, ""),
        ((), {}, "http = true"),
        ((), {"DEVDB_HTTP": "yes"}, "http = false"),
        (("--no-http",), {"DEVDB_HTTP": "1"}, "http = true"),
        ((), {"DEVDB_HTTP": "0"}, "http = true"),
        ((), {}, "http = false"),
    ],
)
def test_whether_it_runs_is_a_setting_as_any_other(
    cli: Cli, port: int, words: tuple[str, ...], env: dict[str, str | None], toml: str
) -> None:
    (cli.project / "devdb.toml").write_text(f"http-port = {port}\n{toml}\n")
    done = cli("up", "-d", *words, cwd=None, **env)
    assert done.code == 0, done.err
    is_on = words == ("--http",) or (env.get("DEVDB_HTTP") in ("1", "yes") and not words)
    is_on = is_on or (toml == "http = true" and not (words or env))
    assert world.listening(port) == is_on
    assert cli("url", "--http").out == f"http://127.0.0.1:{port}\n"


def test_what_it_is_told_wrongly_is_a_usage_error(cli: Cli, port: int) -> None:
    assert cli("up", "-d", DEVDB_HTTP="perhaps").code == 2
    assert cli("up", "-d", "--http-port", "0").code == 2
    assert cli("up", "-d", "--port", str(port), "--http-port", str(port)).code == 2
    cli("up", "-d")
    for words in ("--pooled", "--for prisma", "--tls"):
        done = cli("url", "--http", *words.split())
        assert (done.code, done.out) == (2, "")
    done = cli("url", "--http")
    assert (done.code, done.out) == (1, "")
    assert done.error == [
        "error: 'shop' has no HTTP URL yet.",
        "  try: devdb up -d --http -n shop",
    ]


def test_a_taken_port_fails_the_command_that_asked_and_no_other(cli: Cli, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        asked = cli("up", "-d", "--http-port", str(port))
        assert (asked.code, cli.markers()) == (5, [])
    cli("up", "-d", "--http-port", str(port))
    cli("down")
    with socket.create_server(("127.0.0.1", port)):
        asked = cli("up", "-d", "--http")
        assert (asked.code, asked.out) == (5, "")
        assert "started 'shop'" in asked.err
        assert asked.error[0].startswith("error: 'shop' runs, its gateway does not.")
        assert cli("up", "-d", "--http", "--json").json["error"]["code"] == "port_in_use"
        other = cli("up", "-d")
        assert (other.code, len(other.out.splitlines())) == (0, 2)
        assert "note: 'shop' runs, its gateway does not." in other.err
        assert cli("status").code == 0


def test_an_ordinary_users_is_his_own(unprivileged: Cli, port: int) -> None:
    starts = "import subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
    argv = [*unprivileged.prefix, sys.executable, "-c", starts]
    if subprocess.run(argv, cwd="/", capture_output=True).returncode:
        pytest.skip(f"an ordinary user cannot reach {sys.executable}")
    done = unprivileged("up", "-d", "--http-port", str(port))
    assert done.code == 0, done.err
    data = unprivileged("status", "--json").json["data"]
    pid = int(gateway(data)["detail"].removeprefix("pid "))
    detached = psutil.Process(pid)
    assert detached.uids().real == (os.geteuid() or pwd.getpwnam("nobody").pw_uid)
    serving = unprivileged.begin("http")
    assert serving.stdout is not None
    assert serving.stdout.readline() == f"http://127.0.0.1:{port}\n"
    assert world.has_ended(detached)
    status = unprivileged("status")
    assert f"pid {serving.pid}, in the foreground" in status.out
    serving.send_signal(signal.SIGINT)
    out, err = serving.communicate(timeout=60)
    assert (serving.returncode, out) == (0, "")
    assert err.splitlines()[-1] == "ended"
    assert unprivileged("rm", "-f", "shop").code == 0


def test_several_are_ended_with_their_instances(cli: Cli, free_port: Callable[[], int]) -> None:
    ports = [free_port(), free_port()]
    for number, port in enumerate(ports):
        cli("up", "-d", "-n", f"shop-{number}", "--http-port", str(port))
    assert all(map(world.listening, ports))
    assert cli("down", "shop-*").code == 0
    assert not any(map(world.listening, ports))
