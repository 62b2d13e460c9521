"""`devdb url`, `devdb env` and `devdb psql`."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from commandline import Cli
from terminal import Terminal

from devdb import marker
from devdb.urls.serverless import SNIPPET


@pytest.fixture
def cli(inside: Cli) -> Cli:
    return inside


def made(cli: Cli) -> tuple[str, str]:
    """The direct and the pooled URL of an instance that runs."""
    direct, pooled = cli("up", "-d").out.splitlines()
    return direct, pooled


def test_url_prints_the_url_and_nothing_else(cli: Cli) -> None:
    direct, pooled = made(cli)
    assert (cli("url").out, cli("url").err) == (f"{direct}\n", "")
    assert cli("url", "--pooled").out == f"{pooled}\n"


def test_url_of_a_stopped_instance_warns_and_is_exit_0(cli: Cli) -> None:
    direct, _ = made(cli)
    cli("down")
    done = cli("url")
    assert (done.code, done.out) == (0, f"{direct}\n")
    assert done.err == "warning: 'shop' is not running; devdb up -d -n shop\n"


def test_a_pooler_that_tracks_no_prepared_statements_is_spelled_for(cli: Cli) -> None:
    (cli.project / "devdb.toml").write_text("[pgbouncer]\nmax_prepared_statements = 0\n")
    made(cli)
    assert "prepareThreshold=0" in cli("url", "--for", "jdbc", "--pooled").out
    assert "prepareThreshold" not in cli("url", "--for", "jdbc").out
    assert "prepare_threshold=None" in cli("url", "--for", "psycopg", "--pooled").err
    assert "pgbouncer=true" in cli("env", "--preset", "prisma", "--print").out
    (cli.project / "devdb.toml").write_text('pool-mode = "session"\n')
    cli("up", "-d")
    assert "prepareThreshold" not in cli("url", "--for", "jdbc", "--pooled").out


def test_url_for_a_client_is_its_spelling(cli: Cli) -> None:
    direct, pooled = made(cli)
    assert cli("url", "--for", "libpq").out == f"{direct}\n"
    asyncpg = cli("url", "--for", "sqlalchemy-asyncpg", "--pooled").out
    assert asyncpg == f"{pooled.replace('postgresql', 'postgresql+asyncpg')}\n"


def test_url_for_an_unknown_client_lists_the_known_ones(cli: Cli) -> None:
    made(cli)
    done = cli("url", "--for", "prizma")
    assert done.code == 2
    assert "'prisma'" in done.error[1]
    assert "asyncpg" in done.error[1]


def test_url_json(cli: Cli) -> None:
    direct, _ = made(cli)
    data = cli("url", "--json").json["data"]
    assert data == {
        "name": "shop",
        "client": None,
        "url": direct,
        "notes": [],
        "running": True,
    }


def test_url_is_spelled_for_the_projects_client_and_it_is_said(cli: Cli) -> None:
    direct, pooled = made(cli)
    (cli.project / "devdb.toml").write_text('client = "postgres.js"\n')
    done = cli("url", "--pooled")
    assert done.out == f"{pooled.replace('postgresql:', 'postgres:')}\n"
    assert done.err == (
        "note: spelled for postgres.js, which devdb.toml names; for psql: --for libpq\n"
    )
    assert (cli("url", "--for", "libpq").out, cli("url", "--for", "libpq").err) == (
        f"{direct}\n",
        "",
    )
    by_variable = cli("url", "--json", DEVDB_CLIENT="jdbc").json["data"]
    assert by_variable["client"] == "jdbc"
    assert by_variable["url"].startswith("jdbc:postgresql://")
    assert cli("url", DEVDB_CLIENT="asyncpg").err == ""
    assert cli("up", "-d").out == f"{direct}\n{pooled}\n"


def test_a_client_that_is_unknown_is_blamed_on_who_named_it(cli: Cli) -> None:
    made(cli)
    (cli.project / "devdb.toml").write_text('client = "prizma"\n')
    for command in ("url", "env"):
        done = cli(command)
        assert done.code == 2
        assert done.error[0] == "error: devdb.toml: There is no client 'prizma' in devdb's table."
        assert "Did you mean 'prisma'?" in done.error[1]
    assert cli("url", DEVDB_CLIENT="nope").error[0].startswith("error: DEVDB_CLIENT: ")
    assert cli("url", "--for", "libpq").code == 0


def test_url_loads_nothing_slow(processes: Cli) -> None:
    made(processes)
    done = processes("url", PYTHONPROFILEIMPORTTIME="1")
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.err.splitlines()}
    assert "typer" in loaded
    slow = {"docker", "textual", "psycopg", "psutil", "filelock", "rich", "pydantic"}
    assert loaded & slow == set()


def fake_tool(directory: Path, name: str, script: str) -> str:
    """A directory for PATH with that program in it."""
    directory.mkdir()
    tool = directory / name
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    return f"{directory}{os.pathsep}{os.environ['PATH']}"


def test_copy_says_copied_when_a_tool_took_it(cli: Cli, tmp_path: Path) -> None:
    direct, _ = made(cli)
    path = fake_tool(tmp_path / "bin", "xclip", f"cat > {tmp_path}/clipboard")
    done = cli("url", "--copy", PATH=path, DISPLAY=":7")
    assert done.out == f"{direct}\n"
    assert done.err == "copied (xclip)\n"
    assert (tmp_path / "clipboard").read_text() == direct


def test_copy_does_not_say_copied_when_the_tool_failed(cli: Cli, tmp_path: Path) -> None:
    made(cli)
    path = fake_tool(tmp_path / "bin", "xclip", "exit 1")
    done = cli("url", "--copy", PATH=path, DISPLAY=":7", WAYLAND_DISPLAY=None)
    assert done.code == 0
    assert done.err.startswith("not copied")


def test_copy_in_tmux_without_a_server_says_what_became_of_it(cli: Cli) -> None:
    made(cli)
    done = cli("url", "--copy", TMUX="/nowhere,1,0", DISPLAY=None, WAYLAND_DISPLAY=None)
    assert done.err.startswith("not copied")


def test_copy_over_ssh_goes_to_the_terminal(
    cli: Cli, tmp_path: Path, terminal: Callable[..., Terminal]
) -> None:
    made(cli)
    path = fake_tool(tmp_path / "bin", "xclip", f"cat > {tmp_path}/clipboard")
    shown = terminal("url", "--copy", PATH=path, DISPLAY=":7", SSH_CONNECTION="a 1 b 2")
    assert shown.end() == 0
    assert "\x1b]52;c;" in shown.text
    assert "sent by OSC 52: select it here if nothing arrives" in shown.text
    assert not (tmp_path / "clipboard").exists()
    assert "not copied" in cli("url", "--copy", SSH_CONNECTION="a 1 b 2").err


def test_env_writes_both_urls_once(cli: Cli) -> None:
    direct, pooled = made(cli)
    (cli.project / ".env").write_bytes(b"# mine\r\nDATABASE_URL=postgres://a:b@c/d\r\nKEEP=1\r\n")
    done = cli("env")
    assert done.code == 0
    assert "DATABASE_URL replaced (was postgres://a:***@c/d)" in done.err
    text = (cli.project / ".env").read_bytes().decode()
    assert text == f"# mine\r\nDATABASE_URL={pooled}\r\nKEEP=1\r\nDIRECT_URL={direct}\r\n"
    assert "DATABASE_URL unchanged" in cli("env").err
    assert (cli.project / ".env").read_bytes().decode() == text


def test_env_makes_a_private_file_in_the_current_directory(cli: Cli) -> None:
    made(cli)
    below = cli.project / "below"
    below.mkdir()
    assert cli("env", cwd=below).code == 0
    assert stat.S_IMODE((below / ".env").stat().st_mode) == 0o600
    assert not (cli.project / ".env").exists()


def test_env_takes_several_files(cli: Cli) -> None:
    made(cli)
    data = cli("env", "--file", ".env.local", "--file", ".env.test", "--json").json["data"]
    assert [Path(each["path"]).name for each in data["files"]] == [".env.local", ".env.test"]
    texts = [(cli.project / name).read_text() for name in (".env.local", ".env.test")]
    assert texts[0] == texts[1]


def test_env_print_and_dry_run_write_nothing(cli: Cli) -> None:
    direct, pooled = made(cli)
    lines = [f"DATABASE_URL={pooled}", f"DIRECT_URL={direct}"]
    assert cli("env", "--print").out.splitlines() == lines
    assert cli("env", "--dry-run").out.splitlines() == [f"+{line}" for line in lines]
    assert not (cli.project / ".env").exists()


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_env_warns_when_git_would_commit_the_file(cli: Cli) -> None:
    made(cli)
    subprocess.run(["git", "init", "-q", str(cli.project)], check=True)
    assert "git does not ignore" in cli("env").err
    (cli.project / ".gitignore").write_text(".env\n")
    assert "warning" not in cli("env").err
    subprocess.run(["git", "-C", str(cli.project), "add", "-f", ".env"], check=True)
    err = cli("env").err
    assert "git rm --cached .env" in err
    assert "gitignore" not in err


def test_env_writes_names_of_ones_own_wherever_it_writes(cli: Cli) -> None:
    toml = cli.project / "devdb.toml"
    toml.write_text('[env]\nMY_URL = "pooled"\nMY_PORT = "port"\n')
    direct, pooled = cli("up", "-d", "--env", ".env").out.splitlines()
    port = direct.rpartition(":")[2].partition("/")[0]
    assert (cli.project / ".env").read_text() == f"MY_URL={pooled}\nMY_PORT={port}\n"
    done = cli("env", "--set", "MY_URL=direct", "--set", "MORE=user", "--file", "-")
    assert done.out == f"MY_URL={direct}\nMY_PORT={port}\nMORE=devdb\n"
    assert not (cli.project / "-").exists()
    toml.write_text('[env]\nMY_URL = "poled"\n')
    assert cli("env").code == 2
    assert cli("env").error[0].startswith("error: devdb.toml, [env]: MY_URL = 'poled'")


def test_env_gives_the_instance_an_http_port_where_a_variable_leads_there(cli: Cli) -> None:
    made(cli)

    def port() -> int | None:
        spec = marker.load("shop")
        assert spec is not None
        return spec.http_port

    cli("env")
    assert "DEVDB_HTTP_URL=http://127.0.0.1:" in cli("env", "--preset", "neon", "--dry-run").out
    assert port() is None
    done = cli("env", "--preset", "neon")
    chosen = port()
    assert chosen is not None
    url = f"http://127.0.0.1:{chosen}"
    assert f"DEVDB_HTTP_URL={url}\n" in (cli.project / ".env").read_text()
    assert f"note: {url} answers once it is started: devdb up --http -n shop" in done.err
    assert cli("env", "--set", "MINE=http", "--print").out == f"MINE={url}\n"
    assert ".env holds this instance's URLs" in cli("status").out
    (cli.project / ".env").write_text("DEVDB_HTTP_URL=http://127.0.0.1:7\n")
    assert "where the gateway of 'shop' is not" in cli("status").out
    assert port() == chosen


def test_env_takes_the_http_port_that_devdb_toml_names(
    cli: Cli, free_port: Callable[[], int]
) -> None:
    made(cli)
    port = free_port()
    (cli.project / "devdb.toml").write_text(f"http-port = {port}\n")
    line = f"DEVDB_HTTP_URL=http://127.0.0.1:{port}"
    assert line in cli("env", "--preset", "neon", "--dry-run").out
    assert line in cli("env", "--preset", "neon", "--print").out
    spec = marker.load("shop")
    assert spec is not None
    assert spec.http_port == port


def test_url_help_has_the_lines_for_serverless_drivers(cli: Cli) -> None:
    shown = cli("url", "--help").out
    assert [line for line in SNIPPET.splitlines() if line.strip() not in shown] == []


def test_env_names_the_keys_that_nobody_wrote(cli: Cli) -> None:
    made(cli)
    (cli.project / ".env").write_text("POSTGRES_URL=\n")
    assert "POSTGRES_URL is not devdb's; to write it too: devdb env --preset vercel" in (
        cli("env").err
    )
    assert "is not devdb's" not in cli("env", "--preset", "vercel").err
    assert "POSTGRES_URL=postgresql://devdb:" in (cli.project / ".env").read_text()


def test_stdout_is_no_file_that_up_or_temp_would_write(cli: Cli) -> None:
    for command in (("up", "-d"), ("temp",)):
        done = cli(*command, "--env", "-")
        assert done.code == 2
        assert "devdb env --file -" in done.error[1]
    assert cli.markers() == []


def test_env_preset_auto_says_what_it_saw(cli: Cli) -> None:
    made(cli)
    (cli.project / "manage.py").touch()
    done = cli("env", "--preset", "auto", "--print")
    assert "preset django: saw manage.py" in done.err
    assert cli("env", "--print", DEVDB_PRESET="heroku").out.startswith("DATABASE_URL=")
    unknown = cli("env", "--preset", "herokku")
    assert unknown.code == 2
    assert "'heroku'" in unknown.error[1]


def test_tls_of_an_instance_without_it_is_an_error(cli: Cli) -> None:
    made(cli)
    done = cli("url", "--tls", "verify-full")
    assert done.code == 1
    assert "'shop' has no TLS" in done.error[0]
    assert cli("url", "--tls", "prefer").code == 2


@pytest.mark.parametrize("words", ["url --tls", "url --tls --pooled", "env --tls --file .env"])
def test_tls_alone_takes_no_other_option_for_its_value(cli: Cli, words: str) -> None:
    made(cli)
    done = cli(*words.split())
    assert done.code == 1
    assert "'shop' has no TLS" in done.error[0]


def test_a_word_after_tls_is_its_value(cli: Cli) -> None:
    made(cli)
    done = cli("url", "--tls", "shop")
    assert done.code == 2
    assert done.error == [
        "error: --tls: 'shop' is unknown.",
        "  try: Known: require, verify-full.",
    ]


def test_env_of_a_stopped_instance_says_that_the_shadow_database_waits(cli: Cli) -> None:
    direct, _ = made(cli)
    done = cli("env", "--preset", "prisma")
    assert "note: 'shadow' is made when the instance runs" in done.err
    assert f"SHADOW_DATABASE_URL={direct.removesuffix('main')}shadow" in (
        (cli.project / ".env").read_text()
    )


@pytest.mark.parametrize("kind", ["directory", "read-only", "leads out"])
def test_env_that_cannot_be_written_is_two_lines(cli: Cli, tmp_path: Path, kind: str) -> None:
    made(cli)
    path = cli.project / ".env"
    if kind == "directory":
        path.mkdir()
    elif kind == "read-only":
        path.touch(mode=0o444)
    else:
        path.symlink_to(tmp_path / "outside")
    done = cli("env")
    assert done.code == 1
    assert len(done.error) == 2
    assert not (tmp_path / "outside").exists()


def test_psql_starts_a_stopped_instance_and_passes_its_arguments_on(cli: Cli) -> None:
    made(cli)
    cli("down")
    done = cli("psql", "-c", "select 1", "--", "--anything")
    assert (done.code, done.out) == (0, "")
    assert "started 'shop'" in done.err
    assert cli("psql", "-Atc", "select 1").err == ""
