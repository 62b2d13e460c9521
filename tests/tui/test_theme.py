"""Which theme the dashboard begins with, and that it keeps the one that was chosen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from driving import Driver

from devdb import paths
from devdb.config import Settings
from devdb.tui import theme
from devdb.tui.app import DevdbApp

KNOWN = ("textual-dark", "textual-light", "ansi-dark", "ansi-light", "nord")
Drive = Callable[..., DevdbApp]


def begins(color_system: str | None = "truecolor", **environ: str) -> str:
    name, complaint = theme.starting(KNOWN, color_system, environ)
    assert complaint is None
    return name


@pytest.mark.parametrize(
    ("colors", "shade"),
    [
        ("", "dark"),
        ("15;0", "dark"),
        ("0;15", "light"),
        ("0;default;15", "light"),
        ("0;7", "light"),
        ("12;8", "dark"),
        ("default;default", "dark"),
        ("0;99", "dark"),
        ("15", "light"),
    ],
)
def test_a_light_terminal_that_says_so_gets_a_light_theme(colors: str, shade: str) -> None:
    assert begins(COLORFGBG=colors) == f"textual-{shade}"
    assert begins("standard", COLORFGBG=colors) == f"ansi-{shade}"


def test_only_a_terminal_of_16_colours_shows_its_own() -> None:
    assert begins("256") == begins("truecolor") == begins(None) == "textual-dark"


def test_what_was_kept_comes_again_and_the_variable_precedes_it() -> None:
    theme.keep("nord")
    assert begins() == begins("standard") == "nord"
    assert begins(DEVDB_THEME="ansi-light") == "ansi-light"
    theme.keep("textual-light")
    assert begins(DEVDB_THEME="") == "textual-light"
    assert [path.name for path in paths.data_home().iterdir()] == [theme.FILE]


@pytest.mark.parametrize("content", [b"", b"no-such\n", b"\xff\x00\x9b" * 1000])
def test_a_damaged_file_is_the_default(content: bytes) -> None:
    theme.keep("nord")
    (paths.data_home() / theme.FILE).write_bytes(content)
    assert begins() == "textual-dark"


def test_a_file_that_is_a_directory_is_the_default() -> None:
    (paths.data_home() / theme.FILE).mkdir(parents=True)
    assert begins() == "textual-dark"


def test_an_unknown_name_in_the_variable_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    name, complaint = theme.starting(KNOWN, "truecolor", {"DEVDB_THEME": "ni\x1bghtfall"})
    assert name == "textual-dark"
    assert complaint is not None
    assert complaint.message == r"DEVDB_THEME: there is no theme 'ni\x1bghtfall'."


def test_the_dashboard_says_so_and_goes_on(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVDB_THEME", "nightfall")
    monkeypatch.setattr(DevdbApp, "on_load", DevdbApp.wear, raising=False)

    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.sees("there is no theme 'nightfall'")
        await user.sees("^p, Theme lists them.")

    drive(scenario)


def test_the_theme_that_is_chosen_is_kept(drive: Drive, settings: Settings) -> None:
    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.press("ctrl+p", *"theme")
        await user.sees("Change the colours")
        await user.press("enter")
        await user.sees("nord")
        await user.press(*"nord")
        await user.pilot.pause(0.3)
        await user.press("enter", "enter")
        await user.until(lambda: user.app.theme == "nord", "another theme")

    drive(scenario)
    assert (paths.data_home() / theme.FILE).read_text() == "nord\n"
    assert begins() == "nord"


def test_a_theme_that_cannot_be_kept_is_told(drive: Drive) -> None:
    async def scenario(user: Driver) -> None:
        await user.ready()
        (paths.data_home() / theme.FILE).mkdir()
        user.app.theme = "nord"
        await user.sees("The theme is not kept: Is a directory")
        await user.sees("DEVDB_THEME=nord does the same")

    drive(scenario)
    assert not [each for each in Path(paths.data_home()).iterdir() if each.suffix]
