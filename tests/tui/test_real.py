"""The dashboard on real servers: what it says of them, deaths, temporary databases."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
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

from devdb import config, databases, marker, postgres, urls
from devdb.config import Settings
from devdb.engines import Engine
from devdb.engines.vitals import Health
from devdb.model import PartState, Spec
from devdb.monitor.look import Look
from devdb.tui.app import DevdbApp
from devdb.tui.panes.databases import WARNING, remaining
from devdb.tui.stopping import StopQuestion
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


one_engine = pytest.mark.parametrize("real_engine", ["native"], indirect=True)
"""For the dashboard's own code, which knows no engine by its name; what it asks of one is the
contract's, and the first tests here see deaths, sizes and clients with each."""


def test_a_server_that_dies_is_seen_by_the_next_look_and_r_starts_it(
    drive: Drive, real_engine: Engine, running: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[set[str]] = []
    look = Pulse.look

    def noted(pulse: Pulse) -> tuple[Instance, Health | None, Look]:
        found = look(pulse)
        parts = found[0].server.parts if found[0].server else ()
        looks.append({part.name for part in parts if part.state == PartState.DEAD})
        return found

    monkeypatch.setattr(Pulse, "look", noted)

    async def dies(user: Driver, part: str, title: str) -> None:
        first = await user.ready()
        await user.sees(" of 100 connections")
        before = len(looks)
        world.kill_for_good(real_engine, running, part)
        killed = len(looks)
        await user.sees(f"✕ {title} is down")
        # One may have been under way; there is a look a second.
        assert any(part in dead for dead in looks[before : killed + 2])
        assert user.static("LastWords")
        await user.press("r")
        await user.until(lambda: user.app.screen is not first, "another screen")
        await user.ready()

    async def scenario(user: Driver) -> None:
        await dies(user, "postgres", "Postgres")
        await dies(user, "pgbouncer", "PgBouncer")

    drive(scenario, size=(110, 40))
    assert instances.find(running).state == State.RUNNING


async def command(*words: str) -> None:
    """Another terminal."""
    argv = [sys.executable, "-m", "devdb", *words]
    await asyncio.to_thread(subprocess.run, argv, check=True, capture_output=True)


@one_engine
def test_what_is_done_elsewhere_is_seen_and_env_is_told_to_be_wrong(
    drive: Drive, running: Spec, settings: Settings, free_port: Callable[[], int]
) -> None:
    port = free_port()

    async def scenario(user: Driver) -> None:
        first = await user.ready()
        await user.sees("no .env here has its URLs")
        await user.press("e")
        await user.sees("✓ .env holds this instance's URLs")
        await command("rm", "-f", NAME)
        await user.sees("✕ removed")
        await user.press("e", "n", "r")
        await user.until(lambda: user.app.screen is not first, "another screen")
        second = await user.ready()
        wrong = "! .env: DATABASE_URL, DIRECT_URL lead to"
        await user.sees(f"{wrong} '{NAME}' with a password that is not its any more")
        await user.press("e")
        await user.sees("✓ .env holds this instance's URLs")
        await command("up", "-d", "-n", NAME, "--port", str(port))
        await user.until(lambda: user.app.screen is not second, "another screen")
        await user.ready()
        await user.sees(f"! .env: DIRECT_URL leads to port {settings.port}, where '{NAME}' is not")
        await user.sees(f"127.0.0.1:{port}/main")

    drive(scenario, size=(150, 40))
    now = marker.load(NAME)
    assert now is not None
    assert (now.port, now.pool_port) == (port, settings.pool_port)


@pytest.fixture
def second(running: Spec, tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Spec]:
    """Another instance, of another project, which is stopped."""
    name, project = f"{NAME}-2", tmp_path / "second"
    project.mkdir()
    settings = Settings(engine=running.engine, port=free_port(), pool_port=free_port())
    list(up.up(settings, project, name))
    spec = marker.load(name)
    assert spec is not None
    down.down(spec)
    yield spec
    down.remove(spec)


def test_the_list_shows_starts_opens_and_stops_real_ones(
    ui: Drive, running: Spec, second: Spec
) -> None:
    async def scenario(user: Driver) -> None:
        await user.sees("2 instances, 1 running")
        await user.sees_line(str(running.port), " MB ")
        assert " MB " not in await user.sees_line(str(second.port), running.engine)
        await user.press("end", "u")
        await user.sees(f"'{second.name}' runs")
        await user.sees_line(str(second.port), " MB ")
        with psycopg.connect(urls.url(second.direct)):
            await user.press("x")
            await user.sees("1 client is connected")
            await user.press("escape")
        assert instances.find(second).state == State.RUNNING
        await user.loses("stopping")
        await user.press("x")
        await user.sees(f"'{second.name}' is stopped")
        await user.press("enter")
        await user.ready()
        await user.sees(f"127.0.0.1:{second.port}/main")
        await user.press("q")
        assert (await user.ended()).words.startswith(f"'{second.name}' is stopped")

    ui(scenario, size=(140, 40))
    assert instances.find(running).state == State.RUNNING
    assert instances.find(second).state == State.STOPPED


@pytest.fixture
def ours(running: Spec) -> None:
    """It is stopped when the dashboard is opened."""
    down.down(running)


async def asked(user: Driver) -> str:
    """What `q` asks; Esc goes back."""
    dashboard = user.app.screen
    await user.press("q")
    await user.until(lambda: isinstance(user.app.screen, StopQuestion), "a question")
    text = await user.sees("Stop it all the same?")
    await user.press("escape")
    await user.until(lambda: user.app.screen is dashboard, "the dashboard")
    return text


@pytest.mark.usefixtures("ours")
def test_q_counts_clients_and_not_what_the_pooler_holds(drive: Drive, running: Spec) -> None:
    async def scenario(user: Driver) -> None:
        await user.ready()
        with psycopg.connect(urls.url(running.pooled)) as pooled:
            pooled.execute("SELECT 1")
            pooled.rollback()
            await user.sees("1 client, ")
            assert "1 client is connected" in await asked(user)
            with psycopg.connect(urls.url(running.direct)):
                while "2 clients are connected" not in await asked(user):
                    await user.pilot.pause(0.2)
        await user.sees("0 clients, ")
        while not user.app.return_value:
            await user.press("q")
            await user.pilot.pause(0.2)
            if isinstance(user.app.screen, StopQuestion):  # the last look was before they left
                await user.press("escape")
        assert "is stopped" in (await user.ended()).words

    drive(scenario)


@one_engine
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


@one_engine
def test_a_temporary_database_from_n_to_x_and_what_the_form_cannot_do(
    drive: Drive, running: Spec, copied: list[str]
) -> None:
    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.sees("▸ main")
        await user.press("n", "down", "down", *"nowhere.sql", "enter")
        await user.sees("There is no file 'nowhere.sql'.")
        await user.press("n", "down", "down", "down", *"main", "enter")
        await user.sees("There is a database or a role 'main' already.")
        await user.press("n", "escape")
        await user.press("x", "c", "plus")
        await user.sees("▸ main")
        assert "Drop" not in user.text()
        assert databases.every(running) == []
        await user.press("n")
        await user.sees("lives for")
        await user.press("enter")
        await user.sees("' is made")
        await user.sees("23:59:")
        (made,) = databases.every(running)
        await user.sees(f"▸ {made.name}")
        await user.press("enter")
        await user.until(lambda: copied == [urls.url(made.direct)], "its URL copied")
        await user.press("p")
        await user.until(lambda: copied[1:] == [urls.url(made.pooled)], "the other one")
        assert postgres.probe(made.pooled) is not None
        await user.press("escape", "x")
        await user.sees(f"Drop '{made.name}'")
        await user.press("n")
        assert [each.name for each in databases.every(running)] == [made.name]
        await user.press("x", "y")
        await user.sees("is dropped")
        await user.sees("▸ main")
        assert databases.every(running) == []

    drive(scenario, size=(110, 40))


@one_engine
def test_e_makes_the_shadow_database_that_the_preset_wants(
    drive: Drive, running: Spec, settings: Settings
) -> None:
    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.press("e")
        await user.sees("made the database 'shadow' for migration tools")

    drive(scenario, settings=replace(settings, preset="prisma"), size=(110, 40))
    assert postgres.probe(replace(running.direct, database="shadow")) is not None


@one_engine
def test_the_form_makes_what_it_says_and_the_row_lives_on(
    drive: Drive, running: Spec, project: Path
) -> None:
    with libpq.connect(running.direct) as connection:
        connection.execute("CREATE TABLE things AS SELECT 1 AS one")
    (project / "more.sql").write_text("CREATE TABLE more AS SELECT 2 AS two;")

    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.sees("▸ main")
        await user.press("n", *"soon")
        await user.press("enter")
        await user.sees("'soon' is no time to live.")
        await user.press(*["backspace"] * 4, *"2h", "down", "right", "down")
        await user.press(*"more.sql", "down", *"copy", "enter")
        await user.sees("'copy' is made")
        await user.sees("01:59:")
        await user.press("plus")
        await user.sees("Let 'copy' live")
        await user.press(*["backspace"] * 3, *"30m", "enter")
        await user.sees("lives for 30 min")
        await user.press("c")
        await user.sees("Keep 'copy' for good")
        await user.press("end", "2", "enter")
        await user.sees("'copy' stays, as 'copy2'")
        await user.sees("claimed")

    drive(scenario, size=(110, 40))
    (kept,) = databases.every(running)
    assert (kept.name, kept.state) == ("copy2", databases.Stage.CLAIMED)
    with libpq.connect(kept.pooled) as connection:
        assert connection.execute("SELECT one, two FROM things, more").fetchall() == [(1, 2)]

    async def dropping(user: Driver) -> None:
        await user.ready()
        await user.sees("copy2")
        await user.press("down", "x")
        await user.sees("Drop 'copy2', which you claimed,")
        await user.press("y")
        await user.sees("'copy2' is dropped")

    drive(dropping, size=(110, 40))
    assert databases.every(running) == []


@one_engine
def test_the_countdown_runs_urls_are_the_chosen_clients_and_c_keeps_the_chosen_one(
    drive: Drive, running: Spec, settings: Settings, copied: list[str]
) -> None:
    soon, later = (databases.create(running, ttl=timedelta(minutes=each)) for each in (59, 120))
    assert [span.style for span in remaining(soon, 0).spans] == [WARNING]
    assert [span.style for span in remaining(later, 0).spans] == []
    assert [span.style for span in remaining(later, 3601).spans] == [WARNING]

    def left(user: Driver) -> str:
        (found,) = re.findall(rf"{soon.name} .*(00:5\d:\d\d)", user.text())
        return str(found)

    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.sees("01:59:", "00:58:")
        before = left(user)
        await user.until(lambda: left(user) < before, "a second less")
        await user.press("down", "down", "enter")
        await user.until(lambda: copied, "a copy")
        await user.press("p")
        await user.until(lambda: len(copied) == 2, "another")
        await user.press("escape", "c")
        await user.sees(f"Keep '{later.name}' for good")
        await user.press("enter")
        await user.sees(f"'{later.name}' stays")
        await user.sees("kept")

    drive(scenario, settings=replace(settings, client="npgsql"), size=(110, 40))
    assert copied == [
        spell("npgsql", later.direct, pooled=False),
        spell("npgsql", later.pooled, pooled=True),
    ]
    states = {each.name: each.state for each in databases.every(running)}
    assert states == {soon.name: databases.Stage.READY, later.name: databases.Stage.CLAIMED}


@one_engine
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


@one_engine
def test_a_pulse_looks_over_connections_it_keeps(running: Spec, real_engine: Engine) -> None:
    pulse = Pulse(running)
    try:
        instance, health, _ = pulse.look()
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
