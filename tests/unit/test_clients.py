"""The table of clients: what is added when, and what is said about it."""

from dataclasses import replace
from pathlib import Path

import pytest

from devdb.errors import UsageError
from devdb.model import Endpoint
from devdb.urls import url
from devdb.urls.clients import CLIENTS, Tls, client
from devdb.urls.spelling import spell, spelling

ENDPOINT = Endpoint(host="127.0.0.1", port=16543, user="u", password="p", database="main")
UNTRACKED = replace(ENDPOINT, tracked=False)
AUTHORITY = "u:p@127.0.0.1:16543"
CA = Path("/data/my ca.crt")


def test_every_client_of_the_contract_is_there() -> None:
    assert " ".join(CLIENTS) == (
        "libpq psycopg asyncpg sqlalchemy sqlalchemy-asyncpg django django-settings node-postgres "
        "postgres.js drizzle prisma prisma-6 jdbc pgx rails npgsql neon "
        "vercel hyperdrive"
    )


def test_rows_are_one_line_each() -> None:
    for row in CLIENTS.values():
        assert row.note.endswith(".")
        assert "\n" not in row.note + row.used_by
        assert len(row.note) <= 90


@pytest.mark.parametrize(
    "name", ["libpq", "psycopg", "asyncpg", "node-postgres", "prisma", "rails"]
)
def test_most_clients_take_the_canonical_url(name: str) -> None:
    assert spell(name, ENDPOINT) == spell(name, ENDPOINT, pooled=True) == url(ENDPOINT)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sqlalchemy", f"postgresql+psycopg://{AUTHORITY}/main"),
        ("sqlalchemy-asyncpg", f"postgresql+asyncpg://{AUTHORITY}/main"),
        ("postgres.js", f"postgres://{AUTHORITY}/main"),
        ("jdbc", "jdbc:postgresql://127.0.0.1:16543/main?user=u&password=p"),
        ("npgsql", "Host=127.0.0.1;Port=16543;Username=u;Password=p;Database=main"),
    ],
)
def test_others_have_a_spelling_of_their_own(name: str, text: str) -> None:
    assert spell(name, ENDPOINT) == text


@pytest.mark.parametrize(
    ("name", "addition"),
    [
        ("sqlalchemy-asyncpg", "?prepared_statement_cache_size=0"),
        ("postgres.js", "?prepare=false"),
        ("prisma-6", "?pgbouncer=true"),
        ("jdbc", "&prepareThreshold=0"),
        ("pgx", "?default_query_exec_mode=exec"),
        ("rails", "?prepared_statements=false"),
    ],
)
def test_pooler_that_cannot_track_is_allowed_for(name: str, addition: str) -> None:
    pooled = spell(name, ENDPOINT, pooled=True)
    assert spell(name, UNTRACKED, pooled=True) == pooled + addition
    assert spell(name, UNTRACKED) == pooled


@pytest.mark.parametrize("name", ["psycopg", "asyncpg", "sqlalchemy", "sqlalchemy-asyncpg"])
def test_what_the_url_cannot_say_is_a_note(name: str) -> None:
    assert spelling(name, ENDPOINT, pooled=True).notes == ()
    (note,) = spelling(name, UNTRACKED, pooled=True).notes
    assert "prepare" in note or "cache" in note


@pytest.mark.parametrize(
    ("name", "require", "verify"),
    [
        ("libpq", "?sslmode=require", "?sslmode=verify-full&sslrootcert=/data/my%20ca.crt"),
        ("sqlalchemy-asyncpg", "?ssl=require", "?ssl=verify-full"),
        (
            "node-postgres",
            "?sslmode=require&uselibpqcompat=true",
            "?sslmode=verify-full&sslrootcert=/data/my%20ca.crt",
        ),
        ("postgres.js", "?sslmode=require", "?sslmode=verify-full"),
        (
            "prisma-6",
            "?sslmode=require",
            "?sslmode=require&sslaccept=strict&sslcert=/data/my%20ca.crt",
        ),
        (
            "npgsql",
            ";SSL Mode=Require;Trust Server Certificate=true",
            ";SSL Mode=VerifyFull;Root Certificate=/data/my ca.crt",
        ),
    ],
)
def test_tls_is_asked_for_in_each_clients_words(name: str, require: str, verify: str) -> None:
    plain = spell(name, ENDPOINT)
    assert spell(name, ENDPOINT, tls=Tls()) == plain + require
    assert spell(name, ENDPOINT, tls=Tls(CA)) == plain + verify


def test_a_client_that_refuses_the_address_gets_the_name_of_this_machine_alone() -> None:
    assert spell("vercel", ENDPOINT) == "postgresql://u:p@localhost:16543/main"
    elsewhere = replace(ENDPOINT, host="db.example.com")
    assert spell("vercel", elsewhere) == url(elsewhere)


@pytest.mark.parametrize("name", ["neon", "vercel", "hyperdrive"])
@pytest.mark.parametrize("tls", [Tls(), Tls(CA)])
def test_a_client_without_tls_is_told_so_and_not_asked_for_any(name: str, tls: Tls) -> None:
    found = spelling(name, ENDPOINT, tls=tls)
    assert found.text == spell(name, ENDPOINT)
    assert "without" in found.notes[0]


def test_ca_that_the_url_cannot_name_is_a_note() -> None:
    assert spelling("postgres.js", ENDPOINT, tls=Tls(CA)).notes == (
        "export NODE_EXTRA_CA_CERTS='/data/my ca.crt'",
    )
    assert spelling("sqlalchemy-asyncpg", ENDPOINT, tls=Tls(CA)).notes == (
        "export PGSSLROOTCERT='/data/my ca.crt'",
    )


def test_npgsql_does_not_reset_what_is_pooled() -> None:
    assert spell("npgsql", ENDPOINT, pooled=True).endswith(";No Reset On Close=true")


def test_django_settings_are_a_snippet() -> None:
    text = spell("django-settings", ENDPOINT, pooled=True, tls=Tls())
    settings: dict[str, dict[str, dict[str, object]]] = {}
    exec(text, {}, settings)
    assert settings["DATABASES"]["default"] == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "main",
        "USER": "u",
        "PASSWORD": "p",
        "HOST": "127.0.0.1",
        "PORT": 16543,
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "OPTIONS": {"sslmode": "require"},
    }
    assert "DISABLE" not in spell("django-settings", ENDPOINT)


@pytest.mark.parametrize(("typo", "meant"), [("asyncgp", "asyncpg"), ("Prisma", "prisma")])
def test_unknown_client_names_the_known_ones_and_the_likeliest(typo: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        client(typo)
    assert f"Did you mean '{meant}'?" in caught.value.hint
    assert all(name in caught.value.hint for name in CLIENTS)
    with pytest.raises(UsageError) as caught:
        client("xyz")
    assert "mean" not in caught.value.hint


def test_name_that_a_clients_url_cannot_carry_is_an_error() -> None:
    odd = Endpoint(host="h", port=1, user="u", password="p", database="a?b")
    with pytest.raises(UsageError, match="node-postgres"):
        spell("node-postgres", odd)
