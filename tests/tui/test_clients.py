"""The choice of the client that the URLs are spelled for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from driving import NAME, Driver
from textual.widgets import OptionList

from devdb import config, marker, urls
from devdb.config import Settings
from devdb.model import Spec
from devdb.tui.app import DevdbApp
from devdb.urls.clients import CLIENTS
from devdb.urls.spelling import spell

pytestmark = pytest.mark.usefixtures("copied")
Drive = Callable[..., DevdbApp]


def spec() -> Spec:
    found = marker.load(NAME)
    assert found is not None
    return found


@pytest.fixture
def toml(project: Path) -> Path:
    """The file of a directory that is a project."""
    (project / "pyproject.toml").touch()
    return project / "devdb.toml"


async def choose(
    user: Driver, name: str, said: str = "t and p give the URLs for ", key: str = "enter"
) -> None:
    await user.press("f")
    await user.sees("Which client are the URLs for?")
    options = user.app.screen.query_one(OptionList)
    before = options.highlighted or 0
    steps = list(CLIENTS).index(name) - before
    await user.press(*["down" if steps > 0 else "up"] * abs(steps), key)
    await user.sees(said)


def test_every_client_is_listed_with_its_note(drive: Drive) -> None:
    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.press("f")
        await user.sees("● libpq  psql, pg_dump")
        options = user.app.screen.query_one(OptionList)
        assert [option.id for option in options.options] == list(CLIENTS)
        for client in list(CLIENTS.values())[:3]:
            await user.sees(client.used_by, client.note.replace("`", ""))
        await user.press("escape")
        await user.press("t")
        await user.sees(urls.url(spec().direct))

    drive(scenario, size=(100, 40))


@pytest.mark.parametrize("name", ["sqlalchemy-asyncpg", "jdbc", "npgsql", "django-settings"])
def test_t_and_p_show_and_copy_the_chosen_spelling(
    drive: Drive, copied: list[str], toml: Path, name: str
) -> None:
    async def scenario(user: Driver) -> None:
        await user.ready()
        await choose(user, name)
        assert spec().password not in await user.sees(f"Direct for {name}")
        await user.press("t")
        await user.until(lambda: len(copied) == 1, "a copy")
        await user.press("p")
        await user.until(lambda: len(copied) == 2, "another")

    drive(scenario, size=(150, 45))
    here = spec()
    assert copied == [spell(name, here.direct), spell(name, here.pooled, pooled=True)]


def test_enter_chooses_for_this_dashboard_and_says_how_to_keep_it(drive: Drive, toml: Path) -> None:
    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.press("f")
        await user.sees("enter chooses it for this dashboard   k keeps it in ", "devdb.toml")
        await user.press("escape")
        await choose(user, "pgx")
        await user.sees("For this dashboard only: nothing was written; f, then k keeps it in")
        assert not toml.exists()
        await choose(user, "jdbc", key="k")
        await user.sees("Written: `client` in ")

    drive(scenario, size=(150, 40))
    assert toml.read_text() == 'client = "jdbc"\n'


def test_the_choice_is_kept_beside_what_the_file_says(
    drive: Drive, settings: Settings, toml: Path
) -> None:
    before = "# ours\nclient = 'rails'  # till May\n\n[postgres]\nwork_mem = '8MB'\n"
    toml.write_text(before)
    drive_with = replace(settings, client="rails")

    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.sees("Direct for rails")
        await choose(user, "pgx", key="k")
        await user.sees("Written: `client` in ")

    drive(scenario, settings=drive_with, size=(120, 40))
    assert toml.read_text() == before.replace("'rails'", '"pgx"')
    assert config.load(toml.parent, {}, {}).client == "pgx"


def test_without_a_project_nothing_is_written(drive: Drive, project: Path) -> None:
    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.press("f")
        assert "keeps it" not in await user.sees("enter chooses it for this dashboard")
        await user.press("k", "escape")
        await choose(user, "asyncpg")
        await user.sees("For this dashboard only.")

    drive(scenario)
    assert list(project.iterdir()) == []


def test_a_variable_that_stands_above_the_file_is_named(
    drive: Drive, project: Path, settings: Settings, toml: Path
) -> None:
    told = replace(settings, client="pgx", sources=(("client", "DEVDB_CLIENT"),))

    async def scenario(user: Driver) -> None:
        await user.ready()
        await choose(user, "asyncpg", key="k")
        await user.sees("DEVDB_CLIENT is set, and stands above that file.")

    drive(scenario, settings=told)


def test_a_file_that_cannot_be_written_is_said_and_the_choice_holds(
    drive: Drive, copied: list[str], toml: Path
) -> None:
    toml.touch(mode=0o444)

    async def scenario(user: Driver) -> None:
        await user.ready()
        await choose(user, "sqlalchemy", 'client = "sqlalchemy"', key="k")
        await user.press("t")
        await user.until(lambda: copied, "a copy")

    drive(scenario, size=(120, 30))
    assert copied == [spell("sqlalchemy", spec().direct)]
    assert toml.read_text() == ""


def test_a_restart_keeps_it(drive: Drive, toml: Path) -> None:
    async def scenario(user: Driver) -> None:
        first = await user.ready()
        await choose(user, "jdbc")
        await user.press("r")
        await user.until(lambda: user.app.screen is not first, "another screen")
        await user.ready()
        await user.sees("Direct for jdbc")

    drive(scenario)


def test_an_unknown_client_is_an_error_on_the_screen(drive: Drive, settings: Settings) -> None:
    told = replace(settings, client="prizma", sources=(("client", "devdb.toml"),))

    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.sees("devdb.toml: There is no client 'prizma'")
        await user.press("t")
        await user.sees(urls.url(spec().direct))

    drive(scenario, settings=told)


def test_e_writes_what_env_would_in_the_chosen_spelling(
    drive: Drive, settings: Settings, project: Path, toml: Path
) -> None:
    (project / "package.json").write_text('{"dependencies": {"@neondatabase/serverless": "1"}}')
    told = replace(settings, preset="auto")

    async def scenario(user: Driver) -> None:
        await user.ready()
        await choose(user, "sqlalchemy-asyncpg")
        await user.press("e")
        await user.sees("DATABASE_URL_UNPOOLED direct URL, added")
        await user.sees("preset neon: saw package.json: @neondatabase/serverless")

    drive(scenario, settings=told, size=(120, 40))
    here = spec()
    pooled = spell("sqlalchemy-asyncpg", here.pooled, pooled=True)
    direct = spell("sqlalchemy-asyncpg", here.direct)
    http = f"DEVDB_HTTP_URL=http://127.0.0.1:{here.http_port}\n"
    written = (project / ".env").read_text()
    assert written == f"DATABASE_URL={pooled}\nDATABASE_URL_UNPOOLED={direct}\n{http}"


def test_e_says_when_the_shadow_database_will_be_made(
    drive: Drive, settings: Settings, project: Path
) -> None:
    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.press("e")
        await user.sees("SHADOW_DATABASE_URL shadow URL, added")
        await user.sees("'shadow' is made when the instance runs")

    drive(scenario, settings=replace(settings, preset="prisma"), size=(120, 40))
