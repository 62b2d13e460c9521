"""The dashboard on a fake engine, driven by keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from driving import NAME, Driver, Scenario

from devdb import clipboard, engines
from devdb.clipboard import Copied, Way
from devdb.config import Settings
from devdb.engines.fake import FakeEngine
from devdb.tui.app import DevdbApp
from devdb.tui.ending import Unfinished


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project's directory, and the current one."""
    directory = tmp_path / NAME
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


@pytest.fixture
def settings(free_port: Callable[[], int]) -> Settings:
    return Settings(engine="fake", port=free_port(), pool_port=free_port())


@pytest.fixture
def use_engine(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeEngine], None]:
    """Makes this the engine that everybody gets."""

    def use(engine: FakeEngine) -> None:
        monkeypatch.setattr(engines, "get", lambda _name, host=None: engine)

    return use


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was copied, by a tool that always confirms it."""
    texts: list[str] = []

    def copy(text: str) -> Copied:
        texts.append(text)
        return Copied(way=Way.TOOL, words="copied (xclip)")

    monkeypatch.setattr(clipboard, "copy", copy)
    return texts


@pytest.fixture
def drive(settings: Settings, project: Path) -> Callable[..., DevdbApp]:
    """Runs the app with a scenario; returns the app when that is over."""

    def run(
        scenario: Scenario,
        *,
        size: tuple[int, int] = (80, 24),
        settings: Settings = settings,
    ) -> DevdbApp:
        async def main() -> None:
            async with app.run_test(size=size) as pilot:
                await scenario(Driver(app, pilot))

        app = DevdbApp(settings, project, NAME, Unfinished())
        asyncio.run(main())
        return app

    return run


@pytest.fixture
def ui(project: Path) -> Callable[..., DevdbApp]:
    """Runs the app as `devdb ui` does."""

    def run(scenario: Scenario, *, size: tuple[int, int] = (120, 30)) -> DevdbApp:
        async def main() -> None:
            async with app.run_test(size=size) as pilot:
                await scenario(Driver(app, pilot))

        app = DevdbApp(Settings(), project, None, Unfinished())
        asyncio.run(main())
        return app

    return run
