"""The canonical URL says the same to every parser, and can be shown without its password."""

from urllib.parse import unquote, urlsplit

import psycopg.conninfo
from hypothesis import given
from hypothesis import strategies as st

from devdb.masking import masked, masked_value
from devdb.model import Endpoint
from devdb.urls import url

AWKWARD = "@:/?#%[]& +=~'\"\\$`{}|^<>üé日本\u202e"
awkward = st.text(st.sampled_from(AWKWARD) | st.characters(exclude_characters="\0", codec="utf-8"))


def endpoint(
    *,
    password: str = "secret",
    user: str = "devdb",
    database: str = "main",
    host: str = "127.0.0.1",
) -> Endpoint:
    return Endpoint(host=host, port=15432, user=user, password=password, database=database)


def test_plain_endpoint() -> None:
    assert url(endpoint()) == "postgresql://devdb:secret@127.0.0.1:15432/main"


def test_ipv6_host_is_bracketed() -> None:
    assert url(endpoint(host="::1")) == "postgresql://devdb:secret@[::1]:15432/main"


@given(user=awkward.filter(bool), password=awkward.filter(bool), database=awkward.filter(bool))
def test_libpq_and_urlsplit_read_back_what_was_written(
    user: str, password: str, database: str
) -> None:
    text = url(endpoint(user=user, password=password, database=database))
    libpq = psycopg.conninfo.conninfo_to_dict(text)
    assert (libpq["user"], libpq["password"], libpq["dbname"]) == (user, password, database)
    assert (libpq["host"], libpq["port"]) == ("127.0.0.1", "15432")
    parts = urlsplit(text)
    assert unquote(parts.username or "") == user
    assert unquote(parts.password or "") == password
    assert unquote(parts.path[1:]) == database


@given(user=awkward, password=awkward, database=awkward)
def test_nothing_a_shell_or_a_dotenv_reader_would_take_apart(
    user: str, password: str, database: str
) -> None:
    text = url(endpoint(user=user, password=password, database=database))
    assert text.isascii()
    assert not set(text) & set(" #$&'\"\\`~;|<>(){}*!?")


@given(password=awkward.filter(lambda text: len(text) > 3))
def test_masked_url_shows_all_but_the_password(password: str) -> None:
    text = url(endpoint(password=password))
    assert masked(f"at {text} now") == "at postgresql://devdb:***@127.0.0.1:15432/main now"


def test_masked_hides_what_people_paste() -> None:
    assert masked("postgres://me:p@ss/wo#rd@host/db") == "postgres://me:***@host/db"
    assert masked("host=h password=secret user=u") == "host=h password=*** user=u"
    assert masked("jdbc:postgresql://h/d?user=u&password=secret") == (
        "jdbc:postgresql://h/d?user=u&password=***"
    )
    assert (
        masked("prisma+postgres://x.net/?api_key=eyJhbG") == "prisma+postgres://x.net/?api_key=***"
    )
    assert masked("'PASSWORD': 'se cret', 'PORT': 1") == "'PASSWORD': ***, 'PORT': 1"


def test_masked_value_shows_nothing_of_what_is_no_url() -> None:
    assert masked_value("hunter2") == "***"
    assert masked_value("file:./dev.db") == "file:./dev.db"
    assert masked_value("sqlite:///db.sqlite3") == "sqlite:///db.sqlite3"
    assert masked_value("") == ""
