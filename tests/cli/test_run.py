"""`devdb run`: what a command is given, what becomes of it, and of the database it had."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import commandline
import libpq
import psycopg
import pytest
import world
from clients.conftest import path_of
from commandline import Cli
from inside import Inside

from devdb import databases, marker
from devdb.engines import Engine
from devdb.model import Spec

SIGNALS = Path(__file__).with_name("signals.py")
"""A command that says which signals reach it."""

native = pytest.mark.parametrize("shared", ["native"], indirect=True)


def test_a_command_is_given_the_urls_and_takes_devdbs_place(cli: Cli) -> None:
    _, pooled = cli("up", "-d").out.splitlines()
    (cli.project / ".env").write_text("DATABASE_URL=postgresql+asyncpg://a:b@c/d\n")
    given = cli("env", "--print").out.splitlines()
    assert f"DATABASE_URL={pooled.replace('postgresql', 'postgresql+asyncpg')}" in given
    # In the C locale Python would add LC_CTYPE.
    bare = {name: cli.env[name] for name in ("PATH", "HOME", "DEVDB_DATA_DIR")}
    plain = replace(cli, env={**bare, "DATABASE_URL": "somebody else's"})
    process = plain.begin("run", "sh", "-c", "echo $$; unset PWD; exec env")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    pid, *told = out.splitlines()
    assert pid == str(process.pid)
    assert set(told) == {*given, *(f"{name}={value}" for name, value in bare.items())}


def test_names_and_spelling_are_the_projects_or_those_asked_for(cli: Cli) -> None:
    direct, pooled = cli("up", "-d").out.splitlines()
    (cli.project / "devdb.toml").write_text('client = "jdbc"\n[env]\nMY_URL = "direct"\n')
    done = cli("run", "--for", "libpq", "--", "sh", "-c", 'echo "$MY_URL"; echo "${DATABASE_URL-}"')
    assert (done.out, done.err) == (f"{direct}\n\n", "")
    below = cli.project / "below"
    below.mkdir()
    done = cli("run", "sh", "-c", 'pwd; echo "$MY_URL"', cwd=below)
    assert done.out.startswith(f"{below}\njdbc:postgresql://")
    (cli.project / "devdb.toml").unlink()
    (cli.project / "manage.py").touch()
    done = cli("run", "--preset", "auto", "--", "sh", "-c", 'echo "$DATABASE_URL"')
    assert (done.out, done.err) == (f"{pooled}\n", "preset django: saw manage.py\n")


def test_a_stopped_instance_is_started_and_a_new_one_made_and_said(cli: Cli) -> None:
    done = cli("run", "--", "true")
    assert done.code == 0
    assert "created 'shop'" in done.err
    cli("down")
    done = cli("run", "--", "echo", "-n", "here", "--temp", "--json", "-h")
    assert (done.code, done.out) == (0, "here --temp --json -h")
    assert "started 'shop'" in done.err
    assert cli("exec", "true").err == ""


def test_signals_that_python_ignores_end_a_command(cli: Cli) -> None:
    cli("up", "-d")
    done = cli("run", "sh", "-c", "kill -PIPE $$; echo alive")
    assert (done.code, done.out) == (-signal.SIGPIPE, "")
    assert cli("run", "sh", "-c", "kill -9 $$").code == -signal.SIGKILL
    with world.inheriting(signal.SIGHUP, signal.SIG_IGN):
        done = cli("run", "sh", "-c", "kill -HUP $$; echo alive")
    assert (done.code, done.out) == (0, "alive\n")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nope"], 127, "There is no program 'nope'."),
        (["--temp", "--", "./nope"], 127, "There is no program './nope'."),
        (["npm run dev"], 127, "devdb run -- sh -c"),
        (["--", "cd", "web"], 127, "devdb run -- sh -c"),
        (["--", "--temp", "true"], 127, "in front of the command"),
        ([""], 127, "There is no program ''."),
        (["/"], 126, "'/' is a directory."),
        (["./file"], 126, "chmod +x ./file"),
        ([], 2, "devdb run wants a command."),
        (["--temp", "--"], 2, "devdb run wants a command."),
        (["--keep-failed", "true"], 2, "Give --temp too."),
        (["--ttl", "1h", "true"], 2, "Give --temp too."),
        (["--temp", "--ttl", "soon", "true"], 2, "--ttl: 'soon'"),
        (["--json", "true"], 2, "has no option '--json'"),
        (["--from"], 2, "--from wants a value"),
        (["--seed", "nope.sql", "true"], 2, "nope.sql"),
        (["--preset", "nope", "ls", "--json"], 2, "nope"),
        (["-n", "no/name", "ls", "--json"], 2, "no/name"),
    ],
)
def test_what_cannot_be_run_is_two_lines_and_makes_nothing(
    inside: commandline.Inside, words: list[str], code: int, said: str
) -> None:
    (inside.project / "file").touch()
    assert inside.run is not None
    done = inside.run(["run", *words], inside.project, inside.env)  # it becomes no other program
    assert (done.code, done.out) == (code, "")
    assert len(done.error) == 2
    assert said in done.err
    assert inside.markers() == []


@native
def test_a_script_without_a_first_line_is_the_shells(borrowed: Cli) -> None:
    for name, text in (("script", 'echo "$0 $1"\n'), ("broken", "#!/nope/nope\n")):
        (borrowed.project / name).write_text(text)
        (borrowed.project / name).chmod(0o755)
    for options in ((), ("--temp",)):
        assert borrowed("run", *options, "./script", "x").out == "./script x\n"
        done = borrowed("run", *options, "./broken")
        assert done.code == 127
        assert "(#!)" in done.error[1]


def test_with_temp_it_has_a_database_of_its_own(borrowed: Cli, running: Spec) -> None:
    superuser = libpq.connect(running.direct)
    with superuser as connection:
        connection.execute("CREATE EXTENSION pageinspect; CREATE TABLE made AS SELECT 1 AS one")
    try:
        script = """
        whole="$(cat)"
        psql "$DIRECT_URL" -XAtc 'SELECT current_database() = current_user, count(*) FROM made' \\
            -c "SELECT '$whole'" -c 'CREATE EXTENSION citext' \\
            -c 'CREATE EXTENSION IF NOT EXISTS pageinspect' -c 'CREATE EXTENSION file_fdw'
        psql "$DATABASE_URL" -XAtc 'SELECT current_database()'
        (psql "$DIRECT_URL" -c 'SELECT pg_sleep(1000)' > left 2>&1 &)
        seen='SELECT query FROM pg_stat_activity'
        until psql "$DIRECT_URL" -XAtc "$seen" | grep -q 1000; do :; done
        exit 3
        """
        argv = borrowed.argv("run", "--from", "main", "--", "sh", "-c", script)
        done = subprocess.run(
            argv,
            cwd=borrowed.project,
            env=borrowed.env,
            input="its stdin",
            capture_output=True,
            text=True,
        )
        assert done.returncode == 3
        *rows, name = done.stdout.splitlines()
        assert rows == ["t|1", "its stdin", "CREATE EXTENSION", "CREATE EXTENSION"]
        assert "permission denied to create extension" in done.stderr
        assert name not in Inside(running).databases()
        world.eventually(
            lambda: (borrowed.project / "left").read_text(), "who was left is sent away"
        )
    finally:
        with libpq.connect(running.direct) as connection:
            connection.execute("DROP EXTENSION pageinspect; DROP TABLE made")


@native
def test_what_did_not_come_of_a_seed_is_told(borrowed: Cli) -> None:
    (borrowed.project / "rows.sql").write_text("-- later\n")
    done = borrowed("run", "--seed", "rows.sql", "true")
    assert (done.code, done.out) == (0, "")
    assert done.err.splitlines() == [
        "loaded 'rows.sql'",
        "note: nothing came of it: the database is empty",
    ]


@native
def test_one_that_failed_can_be_kept(borrowed: Cli, running: Spec) -> None:
    (borrowed.project / "rows.sql").write_text("CREATE TABLE made AS SELECT 7 AS seven;\n")
    query = 'psql "$DIRECT_URL" -XAtc "TABLE made" && exit "$1"'
    words = ("run", "--seed", "rows.sql", "--keep-failed", "--ttl", "1h", "sh", "-c", query, "sh")
    done = borrowed(*words, "0")
    assert (done.code, done.out, done.err) == (0, "7\n", "")
    assert Inside(running).entries() == {}
    done = borrowed(*words, "5")
    assert (done.code, done.out) == (5, "7\n")
    ((name, state),) = Inside(running).entries().items()
    assert state == "ready"
    first, second = done.err.splitlines()
    assert first.startswith(f"kept '{name}' for 1 h: postgresql://")
    assert second == f"for good: devdb temp claim {name}   drop it: devdb temp drop {name}"
    with psycopg.connect(first.split()[-1]) as connection:
        assert connection.execute("TABLE made").fetchone() == (7,)


@native
def test_one_claimed_or_dropped_meanwhile_is_left_alone(borrowed: Cli, running: Spec) -> None:
    devdb = " ".join(borrowed.argv())
    url = 'name=$(psql "$DIRECT_URL" -XAtc "SELECT current_database()")'
    done = borrowed("run", "--temp", "sh", "-c", f'{url}; {devdb} temp claim "$name" >&2')
    assert done.code == 0
    assert "was claimed meanwhile: it stays" in done.err
    assert list(Inside(running).entries().values()) == ["claimed"]
    done = borrowed("run", "--temp", "sh", "-c", f'{url}; {devdb} temp drop "$name" 2>/dev/null')
    assert (done.code, done.err) == (0, "")


@native
@pytest.mark.parametrize("options", [[], ["--temp"]])
def test_a_closed_stdin_and_a_pipe_that_nobody_reads(borrowed: Cli, options: list[str]) -> None:
    argv = [*borrowed.argv("run", *options), "sh", "-c", "cat <&0 || echo closed; exec yes"]
    line = 'exec 0<&-; "$@" 2>/dev/null | head -n 1; echo "${PIPESTATUS[0]}"'
    done = subprocess.run(
        ["bash", "-c", line, "bash", *argv],
        cwd=borrowed.project,
        env=borrowed.env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == ["closed", "141"]


Begin = Callable[..., tuple[subprocess.Popen[str], int]]


@pytest.fixture
def begin(borrowed: Cli) -> Iterator[Begin]:
    """Starts it with the command that tells of signals, and says the pid of that."""
    started = []

    def begin_one(*words: str) -> tuple[subprocess.Popen[str], int]:
        with ExitStack() as stack:
            # What was started in the background, or by nohup, was told to ignore them.
            for number in (signal.SIGQUIT, signal.SIGHUP):
                stack.enter_context(world.inheriting(number, signal.SIG_DFL))
            process = borrowed.begin("run", *words, "--", "python3", str(SIGNALS))
        started.append(process)
        return process, int(told(process))

    yield begin_one
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)


def told(process: subprocess.Popen[str]) -> str:
    """What the command says next."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


@native
def test_what_is_sent_to_devdb_is_passed_on_once(begin: Begin, running: Spec) -> None:
    process, child = begin("--temp")
    for number in (signal.SIGUSR1, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGALRM):
        process.send_signal(number)
        assert told(process) == f"{number.value} from {process.pid}"
    os.kill(child, signal.SIGUSR2)  # tells its parent, which is devdb
    assert told(process) == f"{signal.SIGUSR2.value} from {os.getpid()}"
    os.kill(child, signal.SIGSTOP)
    world.eventually(lambda: state(child) == "T", "it is stopped")
    os.kill(child, signal.SIGCONT)
    assert told(process) == f"{signal.SIGCONT.value} from {os.getpid()}"
    world.eventually(lambda: state(process.pid) == "S", "it waits, and is not stopped")
    assert set(Inside(running).entries().values()) == {"ready"}
    process.send_signal(signal.SIGTERM)
    assert told(process) == f"{signal.SIGTERM.value} from {process.pid}"
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 128 + signal.SIGTERM
    assert Inside(running).entries() == {}


def state(pid: int) -> str:
    """Of a process: S sleeps, T is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@native
def test_nothing_keeps_it_from_being_dropped(begin: Begin, running: Spec) -> None:
    process, _ = begin("--temp")
    with libpq.connect(running.direct, database="postgres") as holding:
        holding.execute("BEGIN; LOCK TABLE _devdb.databases")
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        inside = Inside(running)
        world.eventually(lambda: inside.sql(waits) == [1], "it comes to the drop")
        for number in (
            signal.SIGINT,
            signal.SIGTERM,
            signal.SIGINT,
            signal.SIGQUIT,
            signal.SIGUSR1,
        ):
            process.send_signal(number)
        assert process.poll() is None
        holding.execute("ROLLBACK")
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (128 + signal.SIGTERM, "")
    assert inside.entries() == {}


@native
def test_a_signal_while_it_is_made_leaves_nothing(borrowed: Cli, running: Spec) -> None:
    with libpq.connect(running.direct, database="template1") as holding:
        databases.reap(running)  # so that there is a registry
        holding.execute("SELECT 1")
        process = borrowed.begin("run", "--temp", "--", "echo", "never")
        inside = Inside(running)
        world.eventually(lambda: inside.entries() and state_of(inside) == "making", "it begins")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert inside.entries() == {}


def state_of(inside: Inside) -> str:
    return next(iter(inside.entries().values()))


def test_killed_it_leaves_a_database_that_expires(begin: Begin, running: Spec) -> None:
    process, child = begin("--temp", "--ttl", "4s")
    inside = Inside(running)
    expires = "SELECT max(expires) FROM _devdb.databases"
    first = inside.sql(expires)
    world.eventually(lambda: inside.sql(expires) > first, "it lives on while it is used")
    process.kill()
    os.kill(child, signal.SIGKILL)
    process.communicate(timeout=60)
    ((name, stage),) = inside.entries().items()
    assert stage == "ready"
    inside.expire(name)
    assert databases.reap(running) == [name]
    assert inside.entries() == {}


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_nodes_dotenv_does_not_override_what_it_is_given(cli: Cli) -> None:
    modules = path_of("DEVDB_TEST_NODE_CLIENTS") / "node_modules"
    _, pooled = cli("up", "-d").out.splitlines()
    (cli.project / ".env").write_text("DATABASE_URL=postgresql://old:old@old/old\nOTHER=mine\n")
    code = "require('dotenv').config({quiet: true}); const {DATABASE_URL, OTHER} = process.env;"
    code += "console.log(JSON.stringify([DATABASE_URL, OTHER]))"
    scripts = {"dev": f'node -e "{code}"'}
    (cli.project / "package.json").write_text(json.dumps({"scripts": scripts}))
    done = cli("run", "--", "npm", "run", "-s", "dev", NODE_PATH=str(modules))
    assert (done.code, json.loads(done.out)) == (0, [pooled, "mine"]), done.err


@pytest.mark.parametrize("real_engine", ["native"], indirect=True)
def test_what_does_not_run_of_an_instance_is_started(
    real: Cli, real_engine: Engine, free_port: Callable[[], int]
) -> None:
    assert "created" in real("run", "--", "true").err
    port = free_port()
    (real.project / "devdb.toml").write_text(f'http-port = {port}\n[env]\nHTTP = "http"\n')
    fetch = "import os, urllib.request as r; print(r.urlopen(os.environ['HTTP']+'/health').status)"
    done = real("run", "--", "python3", "-c", fetch)
    assert (done.code, done.out) == (0, "200\n")
    assert done.err == f"started the gateway of '{real.name}'\n"
    (real.project / "devdb.toml").unlink()

    spec = marker.load(real.name)
    assert spec is not None
    world.kill_for_good(real_engine, spec, "pgbouncer")
    query = 'psql "$DATABASE_URL" -XAtc "SELECT 1"'
    done = real("run", "--", "sh", "-c", query)
    assert (done.code, done.out) == (0, "1\n")
    assert f"started '{real.name}'" in done.err
    assert real("run", "--", "true").err == ""

    real("down")
    with socket.create_server(("127.0.0.1", spec.port)):
        done = real("run", "--", "echo", "never")
    assert (done.code, done.out) == (5, "")
