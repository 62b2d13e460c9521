"""Whatever the names and passwords: each client's own parser reads back what was spelled."""

import ast
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg.connect_utils
import dj_database_url
import psycopg.conninfo
import pytest
import sqlalchemy
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from devdb.errors import UsageError
from devdb.model import Endpoint
from devdb.urls.clients import CLIENTS, Tls
from devdb.urls.spelling import spell

HERE = Path(__file__).parent
Parsed = tuple[str, str, str, str, str]

awkward = st.text(
    st.sampled_from("@:/?#% \"'&=+;,~`$\\[]{}|<>!*()éß日\u202e")
    | st.characters(exclude_characters="\0\r\n", codec="utf-8"),
    min_size=1,
    max_size=12,
)
endpoints = st.builds(
    Endpoint,
    host=st.just("127.0.0.1"),
    port=st.sampled_from([15432, 16543]),
    user=awkward,
    password=awkward,
    database=awkward | st.sampled_from(["main", ".", "..", "a/../b", "?", "#"]),
)
properties = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)


def wanted(endpoint: Endpoint) -> Parsed:
    return (
        endpoint.user,
        endpoint.password,
        endpoint.host,
        str(endpoint.port),
        endpoint.database,
    )


def by_libpq(text: str) -> Parsed:
    found = psycopg.conninfo.conninfo_to_dict(text)
    return tuple(str(found[key]) for key in ("user", "password", "host", "port", "dbname"))  # type: ignore[return-value]


def by_asyncpg(text: str) -> Parsed:
    addresses, params = asyncpg.connect_utils._parse_connect_dsn_and_args(
        dsn=text,
        host=None,
        port=None,
        user=None,
        password=None,
        passfile=None,
        database=None,
        ssl=None,
        service=None,
        servicefile=None,
        direct_tls=None,
        server_settings=None,
        target_session_attrs=None,
        krbsrvname=None,
        gsslib=None,
    )
    assert not params.server_settings
    host, port = addresses[0]
    return (params.user, params.password, host, str(port), params.database)


def by_sqlalchemy(text: str) -> Parsed:
    url = sqlalchemy.make_url(text)
    found = url.get_dialect()().create_connect_args(url)[1]
    database = found["dbname"] if "dbname" in found else found["database"]
    return (found["user"], found["password"], found["host"], str(found["port"]), database)


def by_dj_database_url(text: str) -> Parsed:
    found: Any = dj_database_url.parse(text)
    return tuple(str(found[key]) for key in ("USER", "PASSWORD", "HOST", "PORT", "NAME"))  # type: ignore[return-value]


def by_python(text: str) -> Parsed:
    found = ast.literal_eval(text.removeprefix("DATABASES = "))["default"]
    return tuple(str(found[key]) for key in ("USER", "PASSWORD", "HOST", "PORT", "NAME"))  # type: ignore[return-value]


def by_standard_url(text: str) -> Parsed:
    """As Go's net/url and Ruby's URI take it, with pgx' `dbname` parameter."""
    parts = urlsplit(text)
    database = parse_qs(parts.query).get("dbname", [unquote(parts.path[1:])])[0]
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return (user, password, parts.hostname or "", str(parts.port), database)


def by_keywords(text: str) -> Parsed:
    """The grammar of .NET's DbConnectionStringBuilder: bare values, or quoted with doubling."""
    found = {}
    for key, quoted, bare in re.findall(
        r"([^=;]+)=(?:\"((?:[^\"]|\"\")*)\"|([^;\"]*))(?:;|$)", text
    ):
        found[key] = quoted.replace('""', '"') if quoted else bare.strip()
    return tuple(found[k] for k in ("Username", "Password", "Host", "Port", "Database"))


PYTHON: dict[str, Callable[[str], Parsed]] = {
    "libpq": by_libpq,
    "psycopg": by_libpq,
    "asyncpg": by_asyncpg,
    "sqlalchemy": by_sqlalchemy,
    "sqlalchemy-asyncpg": by_sqlalchemy,
    "django": by_dj_database_url,
    "django-settings": by_python,
    "pgx": by_standard_url,
    "rails": by_standard_url,
    "npgsql": by_keywords,
}
NODE = {
    "node-postgres": "node-postgres",
    "drizzle": "node-postgres",
    "prisma": "node-postgres",
    "postgres.js": "postgres.js",
    "prisma-6": "whatwg",  # its engine, in Rust, follows the same standard
    "neon": "node-postgres",  # has that one's parser in it
    "vercel": "node-postgres",
    "hyperdrive": "whatwg",
}


def test_every_client_is_tried() -> None:
    assert {*PYTHON, *NODE, "jdbc"} == set(CLIENTS)


@pytest.mark.parametrize("client", PYTHON)
@properties
@given(endpoint=endpoints, pooled=st.booleans())
def test_read_back_by_its_own_parser(client: str, endpoint: Endpoint, pooled: bool) -> None:
    assert PYTHON[client](spell(client, endpoint, pooled=pooled)) == wanted(endpoint)


class Conversation:
    """A process that answers each line with one."""

    def __init__(self, argv: list[str], env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", env=env
        )

    def ask(self, line: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n")

    def close(self) -> None:
        self.process.communicate(timeout=20)


@pytest.fixture(scope="module")
def node_parser(node: dict[str, str]) -> Iterator[Conversation]:
    conversation = Conversation(["node", str(HERE / "node" / "parse.cjs")], node)
    yield conversation
    conversation.close()


@pytest.fixture(scope="module")
def java_parser(pgjdbc: list[str]) -> Iterator[Conversation]:
    conversation = Conversation([*pgjdbc, "-Dfile.encoding=UTF-8", "Parse"])
    yield conversation
    conversation.close()


@pytest.mark.parametrize("client", NODE)
@properties
@given(endpoint=endpoints)
def test_read_back_in_node(client: str, endpoint: Endpoint, node_parser: Conversation) -> None:
    if NODE[client] == "whatwg":
        assume(endpoint.database not in (".", ".."))
    try:
        text = spell(client, endpoint)
    except UsageError:
        assert re.search(r"[?#]|^\.{1,2}$|/\.", endpoint.database)
        return
    found = json.loads(node_parser.ask(json.dumps({"client": NODE[client], "url": text})))
    keys = ("user", "password", "host", "port", "database")
    here = replace(endpoint, host=CLIENTS[client].host or endpoint.host)
    assert tuple(str(found.get(key, found)) for key in keys) == wanted(here)


@properties
@given(endpoint=endpoints)
def test_read_back_by_pgjdbc(endpoint: Endpoint, java_parser: Conversation) -> None:
    answer = java_parser.ask(spell("jdbc", endpoint)).split("\t")
    assert tuple(bytes.fromhex(part).decode() for part in answer[:5]) == wanted(endpoint)


def test_node_postgres_encrypts_without_verifying_when_asked_to_require(
    node_parser: Conversation,
) -> None:
    endpoint = Endpoint(host="127.0.0.1", port=1, user="u", password="p", database="d")
    for client in ("node-postgres", "drizzle", "prisma"):
        text = spell(client, endpoint, tls=Tls())
        found = json.loads(node_parser.ask(json.dumps({"client": "node-postgres", "url": text})))
        assert found["ssl"] == {"rejectUnauthorized": False}
