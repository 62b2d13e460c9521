"""The presets: which variable leads where, and in whose spelling."""

from dataclasses import replace

import pytest

from devdb.errors import UsageError
from devdb.model import Endpoint
from devdb.urls.clients import CLIENTS, Tls
from devdb.urls.presets import PRESETS, Goes, goes, preset, variables

DIRECT = Endpoint(host="127.0.0.1", port=15432, user="u", password="p", database="main")
POOLED = Endpoint(host="127.0.0.1", port=16543, user="u", password="p", database="main")
URL_DIRECT = "postgresql://u:p@127.0.0.1:15432/main"
URL_POOLED = "postgresql://u:p@127.0.0.1:16543/main"
URL_SHADOW = "postgresql://u:p@127.0.0.1:15432/shadow"


def texts(name: str, *, client: str | None = None, pooled: Endpoint = POOLED) -> dict[str, str]:
    found = variables(preset(name), direct=DIRECT, pooled=pooled, http=17654, client=client)
    return {key: value.text for key, value in found.items()}


def test_every_preset_of_the_contract_is_there() -> None:
    assert set(PRESETS) == {
        *("plain", "prisma", "prisma-7", "redwood", "supabase", "neon", "heroku"),
        *("digitalocean", "rds-proxy", "railway", "django", "rails"),
        *("vercel", "laravel", "libpq", "postgres-parts", "hyperdrive"),
    }


PARTS = {"laravel", "libpq", "postgres-parts"}


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_both_urls_or_all_parts_of_the_direct_one(name: str) -> None:
    parts = {"127.0.0.1", "15432", "u", "p", "main"}
    assert (parts if name in PARTS else {URL_DIRECT, URL_POOLED}) <= set(texts(name).values())
    assert preset(name).client in {None, *CLIENTS}


PRISMA = {
    "DATABASE_URL": URL_POOLED,
    "DIRECT_URL": URL_DIRECT,
    "SHADOW_DATABASE_URL": URL_SHADOW,
}


@pytest.mark.parametrize("name", ["prisma", "prisma-7"])
def test_prisma_gets_a_shadow_database(name: str) -> None:
    assert texts(name) == PRISMA


def test_redwood_gets_a_test_database_too() -> None:
    test = "postgresql://u:p@127.0.0.1:15432/test"
    assert texts("redwood") == {**PRISMA, "TEST_DATABASE_URL": test, "TEST_DIRECT_URL": test}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "neon",
            {
                "DATABASE_URL": URL_POOLED,
                "DATABASE_URL_UNPOOLED": URL_DIRECT,
                "DEVDB_HTTP_URL": "http://127.0.0.1:17654",
            },
        ),
        ("heroku", {"DATABASE_URL": URL_DIRECT, "DATABASE_CONNECTION_POOL_URL": URL_POOLED}),
        ("railway", {"DATABASE_URL": URL_POOLED, "DATABASE_UNPOOLED_URL": URL_DIRECT}),
        ("plain", {"DATABASE_URL": URL_POOLED, "DIRECT_URL": URL_DIRECT}),
        (
            "vercel",
            {
                "POSTGRES_URL": URL_POOLED.replace("127.0.0.1", "localhost"),
                "POSTGRES_PRISMA_URL": URL_POOLED,
                "POSTGRES_URL_NO_SSL": URL_POOLED,
                "POSTGRES_URL_NON_POOLING": URL_DIRECT.replace("127.0.0.1", "localhost"),
                "POSTGRES_USER": "u",
                "POSTGRES_HOST": "127.0.0.1",
                "POSTGRES_PORT": "16543",
                "POSTGRES_PASSWORD": "p",
                "POSTGRES_DATABASE": "main",
                "DATABASE_URL": URL_POOLED,
                "DATABASE_URL_UNPOOLED": URL_DIRECT,
                "DEVDB_HTTP_URL": "http://127.0.0.1:17654",
            },
        ),
        (
            "laravel",
            {
                "DB_CONNECTION": "pgsql",
                "DB_HOST": "127.0.0.1",
                "DB_PORT": "15432",
                "DB_DATABASE": "main",
                "DB_USERNAME": "u",
                "DB_PASSWORD": "p",
            },
        ),
        (
            "libpq",
            {
                "PGHOST": "127.0.0.1",
                "PGPORT": "15432",
                "PGUSER": "u",
                "PGPASSWORD": "p",
                "PGDATABASE": "main",
            },
        ),
        (
            "postgres-parts",
            {
                "POSTGRES_HOST": "127.0.0.1",
                "POSTGRES_PORT": "15432",
                "POSTGRES_DB": "main",
                "POSTGRES_USER": "u",
                "POSTGRES_PASSWORD": "p",
            },
        ),
        (
            "hyperdrive",
            {
                "CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_HYPERDRIVE": URL_POOLED,
                "DIRECT_URL": URL_DIRECT,
            },
        ),
    ],
)
def test_providers_have_names_of_their_own(name: str, expected: dict[str, str]) -> None:
    assert texts(name) == expected


def test_providers_ports() -> None:
    assert preset("digitalocean").ports == (25060, 25061)
    assert preset("supabase").ports == (5432, 6543)
    assert preset("plain").ports is None


def test_pooler_that_cannot_track_shows_in_the_pooled_url_alone() -> None:
    assert texts("prisma", pooled=replace(POOLED, tracked=False)) == {
        "DATABASE_URL": f"{URL_POOLED}?pgbouncer=true",
        "DIRECT_URL": URL_DIRECT,
        "SHADOW_DATABASE_URL": URL_SHADOW,
    }


def test_the_projects_client_spells_what_a_preset_leaves_open() -> None:
    asyncpg = "postgresql+asyncpg://u:p@127.0.0.1:16543/main"
    assert texts("supabase", client="sqlalchemy-asyncpg")["DATABASE_URL"] == asyncpg
    assert texts("rails", client="sqlalchemy-asyncpg")["DATABASE_URL"] == URL_POOLED


@pytest.mark.parametrize(
    ("client", "text"),
    [
        (None, "postgresql://u:p@localhost:16543/main"),
        ("node-postgres", "postgresql://u:p@localhost:16543/main"),
        ("postgres.js", "postgresql://u:p@localhost:16543/main"),
        ("sqlalchemy", "postgresql+psycopg://u:p@127.0.0.1:16543/main"),
        ("jdbc", "jdbc:postgresql://127.0.0.1:16543/main?user=u&password=p"),
    ],
)
def test_what_vercels_driver_reads_is_spelled_for_it_where_it_can_be_the_reader(
    client: str | None, text: str
) -> None:
    assert texts("vercel", client=client)["POSTGRES_URL"] == text


@pytest.mark.parametrize("prefix", ["CLOUDFLARE", "WRANGLER"])
def test_hyperdrives_url_has_no_tls_and_no_clients_form_in_whichever_preset(prefix: str) -> None:
    name = f"{prefix}_HYPERDRIVE_LOCAL_CONNECTION_STRING_DB"
    chosen = replace(preset("prisma"), variables=((name, Goes.POOLED), ("X", Goes.POOLED)))
    found = variables(
        chosen, direct=DIRECT, pooled=replace(POOLED, tracked=False), client="jdbc", tls=Tls()
    )
    assert found[name].text == URL_POOLED
    assert found["X"].text == f"{URL_POOLED}?pgbouncer=true&sslmode=require"


def test_a_settings_py_takes_a_url_from_an_env_file() -> None:
    assert texts("plain", client="django-settings") == texts("plain", client="django")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("poled", "Did you mean 'pooled'?"),
        ("", "Known: pooled, direct"),
        ("htp", "Did you mean 'http'?"),
    ],
)
def test_what_a_variable_cannot_be_is_refused_by_who_said_it(text: str, hint: str) -> None:
    with pytest.raises(UsageError, match=r"^devdb\.toml: MY_URL = ") as caught:
        goes("MY_URL", text, "devdb.toml")
    assert hint in caught.value.hint


def test_unknown_preset_names_the_known_ones_and_the_likeliest() -> None:
    with pytest.raises(UsageError) as caught:
        preset("Herokku")
    assert "Did you mean 'heroku'?" in caught.value.hint
    assert all(name in caught.value.hint for name in ("auto", *PRESETS))
