"""The live middle in a real terminal, on real servers that real clients crowd and lock."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import libpq
import psycopg
import pytest
import world
from driving import NAME
from tui.tmux import Tmux

from devdb import marker
from devdb.engines import Engine
from devdb.model import Endpoint, Spec
from devdb.workspace import down

POOL = 2
TOML = f"[pgbouncer]\ndefault_pool_size = {POOL}\nquery_wait_timeout = 120\n"
WAIT = "SELECT pg_sleep(600)"
LOCK = "UPDATE counters SET value = value + 1"
one_engine = pytest.mark.parametrize("real_engine", ["native"], indirect=True)
"""For keys and SQL, in which no engine has a part; who is connected is seen on each of them."""


class Clients:
    """Connections whose queries are sent and not waited for."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def connect(self, endpoint: Endpoint, name: str) -> psycopg.Connection[tuple[object, ...]]:
        connection = libpq.connect(endpoint, application_name=name)
        # Not its own context: that ends the transaction first, in the midst of a query.
        self._stack.callback(connection.close)
        return connection

    def send(self, endpoint: Endpoint, name: str, query: str) -> int:
        """The pid of the session that it is sent over, by what the client was told at its login."""
        connection = self.connect(endpoint, name)
        connection.pgconn.send_query(query.encode())
        connection.pgconn.flush()
        return connection.info.backend_pid


@pytest.fixture
def clients() -> Iterator[Clients]:
    with ExitStack() as stack:
        yield Clients(stack)


@pytest.fixture
def screen(
    real_engine: Engine, project: Path, home: Path, free_port: Callable[[], int]
) -> Iterator[Tmux]:
    """The dashboard, ready, on that engine."""
    if shutil.which("tmux") is None:
        pytest.skip("needs tmux")
    (project / "devdb.toml").write_text(TOML)
    environment = {
        **os.environ,
        "DEVDB_DATA_DIR": str(home),
        "DEVDB_ENGINE": real_engine.name,
        "DEVDB_PORT": str(free_port()),
        "DEVDB_POOL_PORT": str(free_port()),
        "TERM": "xterm-256color",
        "LC_ALL": "C.UTF-8",
    }
    argv = [sys.executable, "-m", "devdb", "up"]
    opened = Tmux(project, argv, env=environment, size=(130, 45))
    try:
        opened.sees("● ready")
        yield opened
    finally:
        opened.kill()
        if (spec := marker.load(NAME)) is not None:
            down.remove(spec)


@pytest.fixture
def spec(screen: Tmux) -> Spec:
    found = marker.load(NAME)
    assert found is not None
    return found


def test_a_full_pool_and_a_lock_are_told_in_words(
    screen: Tmux, spec: Spec, clients: Clients
) -> None:
    with libpq.connect(spec.direct) as connection:
        connection.execute("CREATE TABLE counters AS SELECT 1 AS value")
    holder = clients.connect(spec.direct, "holder")
    holder.execute("BEGIN")
    holder.execute(LOCK)
    for _ in range(3):
        clients.send(spec.direct, "worker", LOCK)
    pid = holder.info.backend_pid
    screen.sees(f"3 blocked by pid {pid}", "idle tx")
    row = rf"(?m)^.*\b{pid} +holder +direct"
    world.eventually(lambda: re.search(row, screen.screen()), "its row")

    # From one that is blocked to who blocks it, by its keys.
    screen.press("Tab")
    screen.sees("K End session")
    screen.press("Home", "K")
    screen.sees(f"End the session of pid {pid} (holder)?")
    screen.press("n")
    with libpq.connect(spec.direct) as connection:
        assert connection.execute(_THERE, [pid]).fetchall() == [(True,)]
    screen.press("K", "y")
    screen.sees(f"The session of pid {pid} (holder) is ended")
    with libpq.connect(spec.direct) as connection:
        world.eventually(
            lambda: connection.execute(_THERE, [pid]).fetchall() == [(False,)], "it is gone"
        )

    for _ in range(6):
        clients.send(spec.pooled, "app", WAIT)
    screen.sees(f"{6 - POOL} wait for the pool")
    screen.sees(f"{POOL} of {POOL}")


_THERE = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)"


@one_engine
def test_a_query_is_cancelled_and_its_session_stays(
    screen: Tmux, spec: Spec, clients: Clients
) -> None:
    pid = clients.send(spec.direct, "slow", WAIT)
    screen.sees("pg_sleep(600)")
    screen.press("Tab")
    screen.sees("C Cancel query")
    screen.press("Enter")
    screen.sees(f"pid {pid}  slow")
    screen.press("Escape")  # alone: with another key it would be Alt and that key
    screen.loses("database   main")
    screen.press("C")
    screen.sees(f"Cancel the query of pid {pid} (slow)?")
    screen.press("y")
    screen.sees(f"The query of pid {pid} (slow) is cancelled")
    with libpq.connect(spec.direct) as connection:
        state = "SELECT state FROM pg_stat_activity WHERE pid = %s"
        world.eventually(
            lambda: connection.execute(state, [pid]).fetchall() == [("idle",)], "an idle session"
        )


@one_engine
def test_a_paused_view_stays_as_it_is(screen: Tmux, spec: Spec, clients: Clients) -> None:
    clients.send(spec.direct, "first", WAIT)
    screen.sees("first")
    screen.press("Tab")
    screen.sees("space Pause")
    screen.press("Space")
    screen.sees("paused: as it was")
    clients.send(spec.direct, "second", WAIT)
    screen.sees("2 of 100 connections")
    assert " second " not in screen.screen()
    screen.press("Space")
    screen.sees(" second ")


def test_servers_that_are_killed_and_come_back_are_shown(
    screen: Tmux, spec: Spec, real_engine: Engine, clients: Clients
) -> None:
    clients.send(spec.pooled, "app", WAIT)
    screen.sees(f"1 of {POOL}")
    world.kill_for_good(real_engine, spec, "postgres")
    screen.sees("Postgres is down")
    screen.press("r")
    screen.sees("● ready")
    clients.send(spec.direct, "after", WAIT)
    screen.sees(" after ")
