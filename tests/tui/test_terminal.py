"""The dashboard on a terminal: as a user starts it, leaves it, and loses it."""

from __future__ import annotations

import base64
import os
import shlex
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import available
import libpq
import psutil
import pytest
import world
from driving import NAME
from terminal import Terminal
from tui.tmux import Tmux

from devdb import databases, marker, urls
from devdb.model import Spec
from devdb.workspace import down, instances
from devdb.workspace.instances import State

UP = [sys.executable, "-m", "devdb", "up"]
SLOW = "0.4"


@pytest.fixture
def environment(home: Path, free_port: Callable[[], int]) -> dict[str, str]:
    theirs = ("SSH_CONNECTION", "SSH_TTY", "DISPLAY", "WAYLAND_DISPLAY", "TMUX", "STY")
    kept = {key: value for key, value in os.environ.items() if key not in theirs}
    return {
        **kept,
        "DEVDB_DATA_DIR": str(home),
        "DEVDB_ENGINE": "fake",
        "DEVDB_PORT": str(free_port()),
        "DEVDB_POOL_PORT": str(free_port()),
        "DEVDB_FAKE_PACE": "0",
        "TERM": "xterm-256color",
        "LC_ALL": "C.UTF-8",
    }


@pytest.fixture
def tmux(project: Path, environment: dict[str, str]) -> Iterator[Callable[..., Tmux]]:
    """Opens the dashboard in a tmux."""
    if shutil.which("tmux") is None:
        pytest.skip("needs tmux")
    opened: list[Tmux] = []

    def open_one(argv: list[str] = UP, **changes: str) -> Tmux:
        opened.append(Tmux(project, argv, env={**environment, **changes}))
        return opened[-1]

    yield open_one
    for each in opened:
        each.kill()


@pytest.fixture
def terminal(project: Path, environment: dict[str, str]) -> Iterator[Callable[..., Terminal]]:
    """Opens the dashboard on a pseudo-terminal."""
    opened: list[Terminal] = []

    def open_one(argv: list[str] = UP, **changes: str) -> Terminal:
        opened.append(Terminal(argv, cwd=project, env={**environment, **changes}, columns=80))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


def spec() -> Spec:
    found = marker.load(NAME)
    assert found is not None
    return found


def state() -> State:
    return instances.find(spec()).state


def test_up_dashboard_url_quit(tmux: Callable[..., Tmux]) -> None:
    screen = tmux()
    screen.sees("● ready")
    assert spec().password not in screen.screen()
    screen.press("t")
    screen.sees(urls.url(spec().direct))
    screen.press("q")
    left = screen.sees("exit-code-0")
    assert f"'{NAME}' is stopped" in left
    assert "● ready" not in left, "the shell's own screen is back"
    assert state() == State.STOPPED


def test_in_tmux_t_is_in_its_buffer_and_sent_to_the_terminal(
    tmux: Callable[..., Tmux], terminal: Callable[..., Terminal]
) -> None:
    screen = tmux()
    screen.sees("● ready")
    attached = terminal(argv=[*screen.command, "attach"])
    attached.wait_for("● ready")
    screen.press("t")
    screen.sees("✓ in tmux's buffer and sent to the terminal")
    url = urls.url(spec().direct)
    assert screen.buffer() == url
    attached.wait_for(base64.b64encode(url.encode()).decode())
    assert "\x1b]52;" in attached.text


def test_ui_lists_opens_and_leaves(tmux: Callable[..., Tmux]) -> None:
    first = tmux()
    first.sees("● ready")
    first.press("d")
    first.sees("exit-code-0")
    down.down(spec())
    screen = tmux(argv=[sys.executable, "-m", "devdb", "ui"])
    screen.sees("○ stopped", "1 instance, 0 running", f"▸ {NAME}")
    screen.press("u")
    screen.sees("● running")
    screen.press("Enter")
    screen.sees("q Quit & stop")
    screen.press("i")
    screen.sees("1 instance, 1 running")
    screen.press("q")
    assert f"'{NAME}' runs on. devdb down {NAME} stops it." in screen.sees("exit-code-0")
    assert state() == State.RUNNING


def test_it_is_drawn_on_the_terminal_although_stderr_is_a_file(
    terminal: Callable[..., Terminal], project: Path
) -> None:
    screen = terminal(argv=["sh", "-c", f"exec {shlex.join(UP)} 2>narration"])
    screen.wait_for("● ready")
    screen.type("q")
    assert screen.end() == 0
    assert "is stopped" in (project / "narration").read_text()
    assert "\x1b" not in (project / "narration").read_text()


BUG = """
from devdb import urls
from devdb.cli import main
from devdb.tui.dashboard import Dashboard

def action_help(self):
    url = urls.url(self._spec.direct)
    spec = self._spec
    raise RuntimeError(f"cannot help with {url}")

Dashboard.action_help = action_help
main()
"""


@pytest.mark.parametrize("debug", ["", "1"])
def test_a_bug_is_two_lines_and_shows_no_password(
    terminal: Callable[..., Terminal], debug: str
) -> None:
    screen = terminal(argv=[sys.executable, "-c", BUG, "up"], DEVDB_DEBUG=debug)
    screen.wait_for("● ready")
    shown = len(screen.text)
    screen.type("?")
    assert screen.end() == 1
    left = screen.text[shown:]
    assert "This is a bug in devdb: RuntimeError: cannot help with" in left
    assert ("Traceback" in left) == bool(debug)
    assert spec().password not in screen.text
    assert state() == State.RUNNING


def test_detach_and_come_back(tmux: Callable[..., Tmux]) -> None:
    screen = tmux()
    screen.sees("q Quit & stop")
    screen.press("d")
    screen.sees("exit-code-0")
    assert state() == State.RUNNING
    screen.kill()
    again = tmux()
    again.sees("q Quit (leaves it running)")
    again.press("C-c")
    again.sees("exit-code-0")
    assert state() == State.RUNNING


def test_psql_on_a_real_server_has_the_terminal_and_gives_it_back(
    tmux: Callable[..., Tmux],
) -> None:
    if reason := available.why_not("native"):
        pytest.skip(f"native engine: {reason}")
    screen = tmux(DEVDB_ENGINE="native")
    try:
        screen.sees("● ready")
        screen.press("s")
        screen.sees("main=#")
        screen.press(r"select 40 + 2 \g", "Enter")
        screen.sees("42")
        screen.press(r"select pg_sleep(600) \g", "Enter")
        world.eventually(sleeps, "the query in the server")
        screen.press("C-c")
        screen.sees("canceling statement due to user request")
        screen.press(r"\q", "Enter")
        screen.sees("▸ main")
        made = databases.create(spec(), ttl=timedelta(hours=1), name="calm_one")
        screen.sees("00:59:")
        screen.press("Down", "s")
        screen.sees("calm_one=>")
        screen.press(r"select current_user || '!' \g", "Enter")
        screen.sees(f"{made.role}!")
        screen.press(r"\q", "Enter")
        screen.sees("● ready")
        screen.press("q")
        screen.sees("exit-code-0")
        assert state() == State.STOPPED
    finally:
        screen.kill()
        down.remove(spec())


def test_what_a_session_raises_is_shown_in_the_logs_and_never_sent(
    terminal: Callable[..., Terminal],
) -> None:
    if reason := available.why_not("native"):
        pytest.skip(f"native engine: {reason}")
    screen = terminal(DEVDB_ENGINE="native")
    try:
        screen.wait_for("● ready")
        with libpq.connect(spec().direct) as connection:
            connection.execute(r"DO $$ BEGIN RAISE LOG E'\x1b]52;c;aGk=\x07'; END $$")
        screen.type("l")
        screen.wait_for(r"\x1b]52;c;aGk=\x07")
        assert "\x1b]52" not in screen.text
        screen.type("l")
        screen.type("q")
        assert screen.end() == 0
    finally:
        screen.close()
        down.remove(spec())


def sleeps() -> bool:
    query = "SELECT FROM pg_stat_activity WHERE state = 'active' AND query ~ '^select pg_sleep'"
    with libpq.connect(spec().direct) as connection:
        return connection.execute(query).rowcount == 1


def test_a_killed_terminal_leaves_the_instance_and_no_process(tmux: Callable[..., Tmux]) -> None:
    screen = tmux()
    screen.sees("● ready")
    devdb = psutil.Process(screen.shell()).children(recursive=True)
    assert devdb
    screen.kill()
    world.eventually(lambda: all(world.has_ended(p) for p in devdb), "the end of the process")
    assert state() == State.RUNNING


@pytest.mark.parametrize("step", ["prepare", "postgres", "pgbouncer", "login"])
def test_a_hang_up_while_starting_ends_with_a_whole_instance(
    terminal: Callable[..., Terminal], step: str
) -> None:
    screen = terminal(DEVDB_FAKE_PACE=SLOW)
    screen.wait_for(step)
    screen.hang_up()
    assert screen.process.wait(timeout=20) == 128 + signal.SIGHUP
    assert state() == State.RUNNING


def test_a_hang_up_while_it_stops_lets_go_of_the_instance(
    terminal: Callable[..., Terminal],
) -> None:
    screen = terminal()
    screen.wait_for("● ready")
    screen.type("q")
    screen.hang_up()
    screen.process.wait(timeout=20)
    with marker.locked(NAME, timeout=0):
        assert state() in (State.STOPPED, State.RUNNING)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", ["prepare", "login"])
def test_a_signal_while_starting_undoes_it(
    terminal: Callable[..., Terminal], home: Path, number: signal.Signals, step: str
) -> None:
    screen = terminal(DEVDB_FAKE_PACE=SLOW)
    screen.wait_for(step)
    screen.process.send_signal(number)
    assert screen.end() == 130
    assert list((home / "instances").iterdir()) == []


@pytest.mark.parametrize(
    ("number", "then"), [(signal.SIGINT, State.STOPPED), (signal.SIGTERM, State.RUNNING)]
)
def test_a_signal_when_ready(
    terminal: Callable[..., Terminal], number: signal.Signals, then: State
) -> None:
    screen = terminal()
    screen.wait_for("● ready")
    screen.process.send_signal(number)
    assert screen.end() == 0
    assert state() == then


def test_a_start_that_fails_ends_with_its_exit_code_and_its_words(
    terminal: Callable[..., Terminal], environment: dict[str, str]
) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", int(environment["DEVDB_PORT"])))
        server.listen()
        screen = terminal()
        screen.wait_for("Retry")
        screen.type("q")
        assert screen.end() == 5
    left = screen.text.rsplit("\x1b[?1049l", 1)[1]
    assert f"Port {environment['DEVDB_PORT']} is in use" in left


def test_thirty_sizes_in_a_row_end_in_one_that_is_whole(tmux: Callable[..., Tmux]) -> None:
    screen = tmux(DEVDB_FAKE_CLIENTS="20")
    screen.sees("Activity")
    for step in range(30):
        screen.resize(200 - step * 180 // 29, 50 - step * 45 // 29)
    here = spec()
    last = screen.sees(f" t …:{here.port}", f" p …:{here.pool_port}", "t TCP URL  ? more")
    assert len(last.splitlines()) == 5
    screen.resize(80, 24)
    screen.sees("Activity", "Pools")
    screen.press("d")
    screen.sees("exit-code-0")


def test_a_theme_that_there_is_not_is_told_once_it_runs(tmux: Callable[..., Tmux]) -> None:
    screen = tmux(DEVDB_THEME="nightfall")
    screen.sees("there is no theme 'nightfall'")
    screen.press("d")
    screen.sees("exit-code-0")
