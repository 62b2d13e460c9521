"""The dashboard on real servers: what it says of them, deaths, temporary databases."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import libpq
import psycopg
import pytest
import world
from driving import NAME, Driver
from textual.message import Message
from textual.widgets import DataTable

from devdb import config, marker, postgres, temporary, urls
from devdb.config import Settings
from devdb.engines import Engine
from devdb.engines.vitals import Health
from devdb.model import PartState, Spec
from devdb.tui import temporaries
from devdb.tui.app import DevdbApp
from devdb.tui.dialogs import TemporaryUrls
from devdb.tui.watch import Watch
from devdb.urls.spelling import spell
from devdb.workspace import down, instances, up
from devdb.workspace.instances import Instance, State
from devdb.workspace.pulse import Pulse

Drive = Callable[..., DevdbApp]
KEPT = "SELECT pid FROM pg_stat_activity WHERE datname = 'postgres' AND application_name = 'devdb'"


@pytest.fixture
def settings(real_engine: Engine, project: Path, free_port: Callable[[], int]) -> Settings:
    options = {"engine": real_engine.name, "port": free_port(), "pool_port": free_port()}
    return config.load(project, options, os.environ)


@pytest.fixture(autouse=True)
def running(settings: Settings, project: Path, home: Path) -> Iterator[Spec]:
    """It runs when the dashboard is opened, and is gone afterwards."""
    list(up.up(settings, project, NAME))
    spec = marker.load(NAME)
    assert spec is not None
    yield spec
    down.remove(spec)
    assert world.traces(NAME, home) == []


@pytest.mark.parametrize("part", ["postgres", "pgbouncer"])
def test_a_server_that_dies_is_seen_by_the_next_look_and_r_starts_it(
    drive: Drive,
    real_engine: Engine,
    running: Spec,
    part: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    title = {"postgres": "Postgres", "pgbouncer": "PgBouncer"}[part]
    looks: list[bool] = []
    look = Pulse.look

    def noted(pulse: Pulse) -> tuple[Instance, Health | None]:
        found = look(pulse)
        server = found[0].server
        looks.append(server is not None and server.part(part).state == PartState.DEAD)
        return found

    monkeypatch.setattr(Pulse, "look", noted)

    async def scenario(user: Driver) -> None:
        first = await user.ready()
        await user.sees(" of 100 connections")
        before = len(looks)
        world.kill_for_good(real_engine, running, part)
        killed = len(looks)
        await user.sees(f"✕ {title} is down")
        # One may have been under way; there is a look a second.
        assert any(looks[before : killed + 2])
        assert user.static("#last-words")
        await user.press("r")
        await user.until(lambda: user.app.screen is not first, "another screen")
        await user.ready()

    drive(scenario, size=(110, 40))
    assert instances.find(running).state == State.RUNNING


def test_connections_are_counted_but_not_its_own(drive: Drive, running: Spec) -> None:
    def connections(user: Driver) -> int:
        found = re.search(r"(\d+) of 100 connections", user.text())
        return int(found[1]) if found else 0

    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.sees("0 clients, ")
        with ExitStack() as stack:
            for _ in range(9):
                stack.enter_context(psycopg.connect(urls.url(running.direct)))
            stack.enter_context(psycopg.connect(urls.url(running.pooled)))
            await user.sees("1 client, ")
            await user.until(lambda: connections(user) >= 9, "nine connections")
        await user.sees("0 clients, ")
        await user.until(lambda: connections(user) < 9, "fewer than nine")

    drive(scenario)


def test_a_temporary_database_from_n_to_x(drive: Drive, running: Spec, copied: list[str]) -> None:

    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.sees("n makes one")
        await user.press("n")
        await user.sees("' is made")
        await user.sees("23:59:5")
        (made,) = temporary.every(running)
        assert made.name in user.text()
        await user.press("enter")
        await user.until(lambda: isinstance(user.app.screen, TemporaryUrls), "both URLs")
        await user.press("p")
        await user.until(lambda: copied == [urls.url(made.pooled)], "a copy")
        assert postgres.probe(made.pooled) is not None
        await user.press("escape", "x")
        await user.sees(f"Drop '{made.name}'")
        await user.press("n")
        assert [each.name for each in temporary.every(running)] == [made.name]
        await user.press("x", "y")
        await user.sees("is dropped")
        await user.sees("n makes one")
        assert temporary.every(running) == []

    drive(scenario, size=(110, 40))


def test_a_temporary_databases_urls_are_the_chosen_clients_too(
    drive: Drive, running: Spec, settings: Settings, copied: list[str]
) -> None:
    made = temporary.create(running, ttl=timedelta(hours=2))

    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.sees("01:59:5")
        await user.press("enter", "p")
        await user.until(lambda: copied, "a copy")

    drive(scenario, settings=replace(settings, client="npgsql"))
    assert copied == [spell("npgsql", made.pooled, pooled=True)]


def test_e_makes_the_shadow_database_that_the_preset_wants(
    drive: Drive, running: Spec, settings: Settings
) -> None:
    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.press("e")
        await user.sees("made the database 'shadow' for migration tools")

    drive(scenario, settings=replace(settings, preset="prisma"), size=(110, 40))
    assert postgres.probe(replace(running.direct, database="shadow")) is not None


def test_c_keeps_the_one_that_was_chosen(drive: Drive, running: Spec) -> None:
    names = [temporary.create(running, ttl=timedelta(hours=2)).name for _ in range(2)]

    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.sees("01:59:5")
        await user.press("down", "c")
        await user.sees(f"'{names[1]}' stays")
        await user.sees("kept")

    drive(scenario, size=(110, 40))
    states = {each.name: each.state for each in temporary.every(running)}
    assert states == {names[0]: temporary.Stage.READY, names[1]: temporary.Stage.CLAIMED}


def test_the_last_hour_is_coloured_and_the_countdown_runs(drive: Drive, running: Spec) -> None:
    temporary.create(running, ttl=timedelta(minutes=59))
    temporary.create(running, ttl=timedelta(hours=2))

    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.sees("00:58:5")
        table = user.app.screen.query_one(DataTable)
        soon, later = (row[1] for row in map(table.get_row_at, range(2)))
        assert [span.style for span in soon.spans] == [temporaries.WARNING]
        assert later.spans == []
        before = str(soon)
        await user.until(lambda: str(table.get_row_at(0)[1]) < before, "a second less")

    drive(scenario, size=(110, 40))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_watch_whose_app_is_gone_lets_go_of_its_connections(running: Spec) -> None:
    def gone(_message: Message) -> None:
        raise RuntimeError("Event loop is closed")

    watch = Watch(running, gone)
    watch.start()
    (thread,) = (each for each in threading.enumerate() if each.name == "devdb-watch")
    thread.join(timeout=30)
    with libpq.connect(running.direct) as connection:
        world.eventually(lambda: not connection.execute(KEPT).fetchall(), "nobody is logged in")


def test_a_pulse_looks_over_connections_it_keeps(running: Spec, real_engine: Engine) -> None:
    pulse = Pulse(running)
    try:
        instance, health = pulse.look()
        assert instance.state == State.RUNNING
        assert health is not None
        assert health.ready
        with libpq.connect(running.direct) as connection:
            before = connection.execute(KEPT).fetchall()
            assert len(before) == 1
            for _ in range(3):
                assert pulse.look()[1] is not None
            assert connection.execute(KEPT).fetchall() == before
        world.kill_for_good(real_engine, running, "postgres")

        def dead() -> bool:
            server = pulse.look()[0].server
            return server is not None and server.part("postgres").state == PartState.DEAD

        world.eventually(dead, "a death seen")
        list(real_engine.start(running))
        world.eventually(lambda: (pulse.look()[1] or health).ready, "it is well again")
    finally:
        pulse.close()
