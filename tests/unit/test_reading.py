"""Where the values of a `.env` file lead."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devdb.model import Endpoint
from devdb.urls.clients import CLIENTS, Form
from devdb.urls.goes import Goes
from devdb.urls.reading import endpoint, expanded, leads, meaning
from devdb.urls.spelling import spell

WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=12)
HERE = Endpoint(host="127.0.0.1", port=15432, user="devdb", password="p-1", database="main")


@pytest.mark.parametrize("name", [name for name, row in CLIENTS.items() if row.form != Form.DJANGO])
def test_every_spelling_reads_back(name: str) -> None:
    host = CLIENTS[name].host or HERE.host
    assert endpoint(spell(name, HERE)) == replace(HERE, host=host)


@given(WORDS, WORDS, WORDS)
def test_whatever_is_percent_encoded_reads_back(user: str, password: str, database: str) -> None:
    there = Endpoint(host="::1", port=1, user=user, password=password, database=database)
    assert endpoint(spell("libpq", there)) == there


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "postgres", "a=b;c=d", "file:./dev.db", "mysql://a:b@c/d"),
        *("postgres://a@b:port/d", "postgres://[x", "host=a;username=b;port=c"),
        "prisma+postgres://localhost:51213/?api_key=x",
    ],
)
def test_what_names_no_postgres_is_none(text: str) -> None:
    assert endpoint(text) is None


@given(
    st.dictionaries(
        st.sampled_from(["A", "DB_USER", "DB_PORT"]),
        st.text(st.sampled_from("postgres://@[]:?#%=;&$u{A}-2,Host ser\\\"'²")),
    )
)
def test_nothing_that_a_file_may_say_is_an_error(values: dict[str, str]) -> None:
    for lead in leads(values):
        assert lead.keys


def test_what_a_url_leaves_open() -> None:
    found = endpoint("postgres://me@localhost")
    assert found == Endpoint(host="localhost", port=5432, user="me", password="", database="me")


def test_references_stand_for_the_other_values() -> None:
    values = {"A": "1", "B": "$A${C:-3}", "D": "${B}/${NO}", "LOOP": "${LOOP}x", "E": "a$"}
    found = expanded(values)
    assert (found["B"], found["D"], found["E"]) == ("13", "13/", "a$")
    assert len(found["LOOP"]) < 10


def test_parts_that_belong_together_lead_where_they_say() -> None:
    values = {
        "PGHOST": "localhost",
        "DB_USER": "devdb",
        "PGUSER": "devdb",
        "PGPASSWORD": "p",
        "PGDATABASE": "main",
        "URL": "postgres://${PGUSER}:${PGPASSWORD}@${PGHOST}:7/${PGDATABASE}",
        "APP_DB_USER": "devdb",
        "APP_DB_PORT": "8",
        "REDIS_HOST": "localhost",
        "DB_HOST": "nobody",
    }
    found = {lead.keys: lead.endpoint for lead in leads(values)}
    assert set(found) == {
        ("URL",),
        ("APP_DB_USER", "APP_DB_PORT"),
    }
    assert [each.port for each in found.values()] == [7, 8]


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("POSTGRES_URL", "", Goes.POOLED),
        ("NEXT_PRIVATE_DATABASE_URL", "postgres://a:b@c/d", Goes.POOLED),
        ("NEXT_PRIVATE_DIRECT_DATABASE_URL", "postgres://a:b@c/d", Goes.DIRECT),
        ("POSTGRES_URL_NON_POOLING", "", Goes.DIRECT),
        ("DATABASE_URL_UNPOOLED", "", Goes.DIRECT),
        ("MIGRATIONS_DB_URL", "", Goes.DIRECT),
        ("SHADOW_DATABASE_URL", "", Goes.SHADOW),
        ("DATABASE_URL_TEST", "", Goes.TEST),
        ("LATEST", "postgres://a:b@c/d", Goes.POOLED),
        ("WHATEVER", "Host=a;Username=b", Goes.POOLED),
        ("PGHOST", "db", Goes.HOST),
        ("POSTGRES_DB", "", Goes.DATABASE),
        ("DB_NAME", "app", Goes.DATABASE),
        ("TYPEORM_DB_PASSWORD", "x", Goes.PASSWORD),
        ("DATABASE_URL", "mysql://a:b@c/d", None),
        ("MYSQL_DB_HOST", "db", None),
        ("MYSQL_URL", "", None),
        ("REDIS_DB", "0", None),
        ("DB_CONNECTION", "pgsql", None),
        ("NEXT_PUBLIC_URL", "", None),
        ("NEXT_PUBLIC_URL", "https://x", None),
    ],
)
def test_what_a_key_should_be(key: str, value: str, kind: Goes | None) -> None:
    assert meaning(key, value) == kind
