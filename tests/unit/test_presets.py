"""The presets: which variable leads where, and in whose spelling."""

import pytest

from devdb.errors import UsageError
from devdb.model import Endpoint
from devdb.urls.clients import CLIENTS
from devdb.urls.presets import PRESETS, preset, variables

DIRECT = Endpoint(host="127.0.0.1", port=15432, user="u", password="p", database="main")
POOLED = Endpoint(host="127.0.0.1", port=16543, user="u", password="p", database="main")
URL_DIRECT = "postgresql://u:p@127.0.0.1:15432/main"
URL_POOLED = "postgresql://u:p@127.0.0.1:16543/main"
URL_SHADOW = "postgresql://u:p@127.0.0.1:15432/shadow"


def texts(name: str, *, client: str | None = None, tracked: bool = True) -> dict[str, str]:
    found = variables(preset(name), direct=DIRECT, pooled=POOLED, client=client, tracked=tracked)
    return {key: value.text for key, value in found.items()}


def test_every_preset_of_the_contract_is_there() -> None:
    assert set(PRESETS) == {
        *("plain", "prisma", "prisma-7", "redwood", "supabase", "neon", "heroku"),
        *("digitalocean", "rds-proxy", "railway", "django", "rails"),
    }


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_a_direct_and_a_pooled_url(name: str) -> None:
    assert {URL_DIRECT, URL_POOLED} <= set(texts(name).values())
    assert preset(name).client in {None, *CLIENTS}


@pytest.mark.parametrize("name", ["prisma", "prisma-7", "redwood"])
def test_prisma_gets_a_shadow_database(name: str) -> None:
    assert texts(name) == {
        "DATABASE_URL": URL_POOLED,
        "DIRECT_URL": URL_DIRECT,
        "SHADOW_DATABASE_URL": URL_SHADOW,
    }
    assert preset(name).needs_shadow
    assert not preset("plain").needs_shadow


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("neon", {"DATABASE_URL": URL_POOLED, "DATABASE_URL_UNPOOLED": URL_DIRECT}),
        ("heroku", {"DATABASE_URL": URL_DIRECT, "DATABASE_CONNECTION_POOL_URL": URL_POOLED}),
        ("railway", {"DATABASE_URL": URL_POOLED, "DATABASE_UNPOOLED_URL": URL_DIRECT}),
        ("plain", {"DATABASE_URL": URL_POOLED, "DIRECT_URL": URL_DIRECT}),
    ],
)
def test_providers_have_names_of_their_own(name: str, expected: dict[str, str]) -> None:
    assert texts(name) == expected


def test_providers_ports() -> None:
    assert preset("digitalocean").ports == (25060, 25061)
    assert preset("supabase").ports == (5432, 6543)
    assert preset("plain").ports is None


def test_pooler_that_cannot_track_shows_in_the_pooled_url_alone() -> None:
    assert texts("prisma", tracked=False) == {
        "DATABASE_URL": f"{URL_POOLED}?pgbouncer=true",
        "DIRECT_URL": URL_DIRECT,
        "SHADOW_DATABASE_URL": URL_SHADOW,
    }


def test_the_projects_client_spells_what_a_preset_leaves_open() -> None:
    asyncpg = "postgresql+asyncpg://u:p@127.0.0.1:16543/main"
    assert texts("supabase", client="sqlalchemy-asyncpg")["DATABASE_URL"] == asyncpg
    assert texts("rails", client="sqlalchemy-asyncpg")["DATABASE_URL"] == URL_POOLED


def test_a_settings_py_takes_a_url_from_an_env_file() -> None:
    assert texts("plain", client="django-settings") == texts("plain", client="django")


def test_unknown_preset_names_the_known_ones_and_the_likeliest() -> None:
    with pytest.raises(UsageError) as caught:
        preset("Herokku")
    assert "Did you mean 'heroku'?" in caught.value.hint
    assert all(name in caught.value.hint for name in ("auto", *PRESETS))
