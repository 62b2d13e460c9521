"""The list of all instances: what it shows, and what its keys do with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from driving import NAME, Driver

from devdb import engines, marker, urls
from devdb.config import Settings
from devdb.engines import Engine
from devdb.engines.fake import FakeEngine
from devdb.errors import EngineUnavailable
from devdb.model import Server, Spec
from devdb.tui.app import DevdbApp
from devdb.tui.dashboard import Dashboard
from devdb.tui.grid import Grid
from devdb.tui.instancelist import InstanceList
from devdb.tui.keybar import KeyBar
from devdb.workspace import down, instances, up
from devdb.workspace.instances import State

pytestmark = pytest.mark.usefixtures("copied")
Drive = Callable[..., DevdbApp]
Make = Callable[..., Spec]
A, B = f"{NAME}-a", f"{NAME}-b"
"""Of projects beside the one that the app is opened in."""


def spec(name: str) -> Spec:
    found = marker.load(name)
    assert found is not None
    return found


def state(name: str) -> State:
    return instances.find(spec(name)).state


@pytest.fixture
def make(tmp_path: Path, free_port: Callable[[], int]) -> Make:
    """Makes an instance of a project of its own."""

    def one(name: str, *, runs: bool = True) -> Spec:
        project = tmp_path / "code" / name
        project.mkdir(parents=True)
        (project / "pyproject.toml").touch()
        settings = Settings(engine="fake", port=free_port(), pool_port=free_port())
        list(up.up(settings, project, name))
        if not runs:
            down.down(spec(name))
        return spec(name)

    return one


async def listed(user: Driver, *names: str) -> InstanceList:
    await user.until(lambda: isinstance(user.app.screen, InstanceList), "the list")
    for name in names:
        await user.sees(name)
    screen = user.app.screen
    assert isinstance(screen, InstanceList)
    return screen


async def go_to(user: Driver, name: str) -> None:
    await user.press("home")
    grid = user.app.screen.query_one(Grid)
    while grid.chosen != name:
        before = grid.chosen
        await user.press("down")
        assert grid.chosen != before, f"{name} is not in the list"


async def shows(user: Driver, name: str) -> Dashboard:
    """The dashboard of that one."""

    def is_open() -> bool:
        screen = user.app.screen
        return isinstance(screen, Dashboard) and f"devdb {name}" in user.text()

    await user.until(is_open, f"the dashboard of {name}")
    return await user.ready()


def keys(user: Driver) -> str:
    return str(user.app.screen.query_one(KeyBar).visual)


def test_it_shows_all_of_them_and_what_works_for_each(ui: Drive, make: Make) -> None:
    a, b = make(A), make(B, runs=False)

    async def scenario(user: Driver) -> None:
        await listed(user, A, B)
        await user.sees("2 instances, 1 running")
        for one, word in ((a, "● running"), (b, "○ stopped")):
            ports = str(one.port), str(one.pool_port)
            await user.sees_line(one.name, word, *ports, "fake", "18.0")
        await go_to(user, A)
        await user.until(lambda: "x Stop" in keys(user), "that it can be stopped")
        assert "u Start" not in keys(user)
        await go_to(user, B)
        await user.until(lambda: "u Start" in keys(user), "that it can be started")
        assert "x Stop" not in keys(user)
        assert "Back" not in keys(user)
        await user.press("escape", "x", "i")
        await user.press("q")
        ending = await user.ended()
        assert ending.words == f"'{A}' runs on. devdb down {A} stops it."

    ui(scenario)
    assert (state(A), state(B)) == (State.RUNNING, State.STOPPED)


def test_there_may_be_none(ui: Drive) -> None:
    async def scenario(user: Driver) -> None:
        await user.sees("There is no instance; devdb up makes one.")
        await user.press("enter", "u", "x", "ctrl+c")
        assert (await user.ended()).words == ""

    ui(scenario)


def test_u_starts_and_x_stops_and_the_list_stays(ui: Drive, make: Make) -> None:
    make(A), make(B, runs=False)

    async def scenario(user: Driver) -> None:
        screen = await listed(user, A, B)
        await go_to(user, B)
        await user.press("u")
        await user.sees(f"'{B}' runs")
        await user.sees_line(B, "● running")
        await user.press("x")
        await user.sees(f"'{B}' is stopped")
        await user.sees_line(B, "○ stopped")
        assert user.app.screen is screen
        await user.press("u")
        await user.sees_line(B, "● running")
        await user.press("q")
        assert (await user.ended()).words.startswith(f"'{A}', '{B}' run on.")

    app = ui(scenario)
    assert list(app.started_here) == [B]
    assert (state(A), state(B)) == (State.RUNNING, State.RUNNING)


@pytest.mark.parametrize(("key", "then"), [("y", State.STOPPED), ("escape", State.RUNNING)])
def test_x_asks_where_clients_are_connected(
    ui: Drive, make: Make, monkeypatch: pytest.MonkeyPatch, key: str, then: State
) -> None:
    make(A)
    monkeypatch.setenv("DEVDB_FAKE_CLIENTS", "3")

    async def scenario(user: Driver) -> None:
        screen = await listed(user, A)
        await user.press("x")
        assert "d leaves it running" not in await user.sees("clients are connected")
        await user.press("d", key)
        await user.until(lambda: user.app.screen is screen, "the list")
        await user.until(lambda: state(A) == then, then.value)
        await user.sees_line(A, then.value)

    ui(scenario)
    assert state(A) == then


def test_enter_opens_one_and_starts_what_is_stopped(ui: Drive, make: Make) -> None:
    a, b = make(A), make(B, runs=False)

    async def scenario(user: Driver) -> None:
        await listed(user, A, B)
        await go_to(user, B)
        await user.press("enter")
        first = await shows(user, B)
        await user.sees(f"127.0.0.1:{b.port}/main")
        await user.sees("q Quit & stop")
        await user.press("i")
        await listed(user, A, B)
        assert user.app.screen.query_one(Grid).chosen == B, "it begins at the one that is shown"
        await user.press("enter")
        await user.until(lambda: user.app.screen is first, "the same dashboard")
        await user.press("i")
        await listed(user, A, B)
        await go_to(user, A)
        await user.press("enter")
        await shows(user, A)
        await user.sees(f"127.0.0.1:{a.port}/main")
        await user.sees("q Quit (leaves it running)")
        await user.press("q")
        assert (await user.ended()).told == (A,)

    app = ui(scenario, size=(120, 40))
    assert list(app.started_here) == [B], "its start was of this app, and nobody stopped it"
    assert (state(A), state(B)) == (State.RUNNING, State.RUNNING)


@pytest.mark.parametrize("back", ["escape", "i"])
def test_i_lists_them_and_goes_back_to_the_dashboard(drive: Drive, make: Make, back: str) -> None:
    make(A)

    async def scenario(user: Driver) -> None:
        dashboard = await user.ready()
        await user.press("i")
        await listed(user, A, NAME)
        await user.sees("2 instances, 2 running")
        await user.press(back)
        await user.until(lambda: user.app.screen is dashboard, "the dashboard")
        await user.press("i")
        await listed(user, A, NAME)
        await user.press("q")
        assert f"'{A}'" in (await user.ended()).words

    drive(scenario, size=(110, 30))
    assert (state(A), state(NAME)) == (State.RUNNING, State.RUNNING)


def test_another_project_is_opened_with_its_own_settings(
    drive: Drive, make: Make, monkeypatch: pytest.MonkeyPatch, free_port: Callable[[], int]
) -> None:
    other = make(A, runs=False)
    assert other.project is not None
    port = free_port()
    (other.project / "devdb.toml").write_text(f'client = "pgx"\npool-port = {port}\n')
    monkeypatch.setenv("DEVDB_PORT", str(free_port()))

    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.press("i")
        await listed(user, A, NAME)
        await go_to(user, A)
        await user.press("enter")
        await shows(user, A)
        await user.sees("Direct for pgx")
        await user.press("e")
        await user.sees("✓ .env holds this instance's URLs")

    drive(scenario, size=(150, 40))
    assert (spec(A).port, spec(A).pool_port) == (other.port, port), "not this shell's DEVDB_PORT"
    assert urls.url(spec(A).direct) in (other.project / ".env").read_text()


def test_a_running_one_is_not_restarted_for_being_looked_at(drive: Drive, make: Make) -> None:
    other = make(A)
    assert other.project is not None
    (other.project / "devdb.toml").write_text("[postgres]\nwork_mem = '8MB'\n")
    started = instances.find(other).server

    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.press("i")
        await listed(user, A, NAME)
        await go_to(user, A)
        await user.press("enter")
        await shows(user, A)

    drive(scenario, size=(120, 40))
    assert spec(A) == other
    assert instances.find(other).server == started


def test_settings_that_are_wrong_are_told_and_nothing_is_opened(drive: Drive, make: Make) -> None:
    other = make(A)
    assert other.project is not None
    (other.project / "devdb.toml").write_text("prot = 1\n")

    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.press("i")
        screen = await listed(user, A, NAME)
        await go_to(user, A)
        await user.press("enter")
        await user.sees("'prot'")
        assert user.app.screen is screen
        await user.press("escape")
        await user.ready()

    drive(scenario, size=(120, 40))


def test_one_without_a_marker_and_one_that_does_not_answer_offer_what_works(
    ui: Drive, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, silent = make(A), make(B)
    marker.delete(lost.name)
    get = engines.get

    def get_one(name: str, *, host: str | None = None) -> Engine:
        return Deaf(silent.name) if name == "fake" else get(name, host=host)

    monkeypatch.setattr(engines, "get", get_one)

    async def scenario(user: Driver) -> None:
        await listed(user, A, B)
        await user.sees_line(A, "! no marker")
        await user.sees_line(B, "? no answer")
        await go_to_state(user, A)
        await user.sees(f"devdb up -n {A} --adopt")
        assert "Open" not in keys(user)
        assert "u Start" not in keys(user)
        assert "x Stop" in keys(user)
        await go_to(user, B)
        await user.sees("It was switched off.")
        for word in ("Open", "u Start", "x Stop"):
            assert word not in keys(user)
        await user.press("enter", "u", "x")
        await listed(user, A, B)
        await go_to_state(user, A)
        await user.press("x")
        await user.until(lambda: instances.find(lost).state == State.STOPPED, "a stop")

    async def go_to_state(user: Driver, name: str) -> None:
        await go_to(user, f"{name} fake")

    ui(scenario)


class Deaf(FakeEngine):
    """Does not answer about one of them."""

    def __init__(self, about: str) -> None:
        super().__init__()
        self.about = about

    def find(self, name: str) -> Server | None:
        if name == self.about:
            raise EngineUnavailable("It was switched off.", "Switch it on.")
        return super().find(name)

    def list(self) -> Sequence[Server]:
        return FakeEngine().list()


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (200, 50)])
def test_it_has_room_at_every_size(ui: Drive, make: Make, size: tuple[int, int]) -> None:
    make(A), make(B, runs=False)

    async def scenario(user: Driver) -> None:
        await listed(user, A, B)
        await user.sees("● running")
        await user.until(lambda: re.search(r"q Quit|\? more", user.text()), "a way out")

    ui(scenario, size=size)
