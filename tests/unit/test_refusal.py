"""When a server's no is its last word."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from devdb.engines.refusal import LetsNobodyIn, Refusals, of_setting
from devdb.model import Spec
from devdb.wire import Refused

SPEC = Spec(
    name="shop",
    project=None,
    engine="fake",
    port=1,
    pool_port=2,
    password="x",
    created=datetime(2026, 1, 1, tzinfo=UTC),
)


def refusals() -> Refusals:
    return Refusals(SPEC, "postgres", sure=0)


@pytest.mark.parametrize(
    ("words", "sqlstate", "command"),
    [
        (
            'database "main" is not currently accepting connections',
            "55000",
            'devdb psql -n shop -d postgres -c "ALTER DATABASE main ALLOW_CONNECTIONS true"',
        ),
        (
            'database "postgres" is not currently accepting connections',
            "55000",
            'devdb psql -n shop -d main -c "ALTER DATABASE postgres ALLOW_CONNECTIONS true"',
        ),
        (
            'cannot connect to invalid database "main"',
            "55000",
            'devdb psql -n shop -d postgres -c "DROP DATABASE main"',
        ),
        (
            'database "main" does not exist',
            "3D000",
            'devdb psql -n shop -d postgres -c "DROP DATABASE main"',
        ),
        ('template database "template0" does not exist', "3D000", "devdb rm shop"),
    ],
)
def test_the_same_no_twice_is_quoted_with_a_way_out(
    words: str, sqlstate: str, command: str
) -> None:
    heard = refusals()
    heard.take(Refused(words, sqlstate))
    with pytest.raises(LetsNobodyIn) as caught:
        heard.take(Refused(words, sqlstate))
    assert words in caught.value.message
    assert command in caught.value.hint


def test_another_no_is_news() -> None:
    heard = refusals()
    for number in range(5):
        heard.take(Refused(f"no {number % 2}", "28000"))


@pytest.mark.parametrize("sqlstate", ["57P01", "57P02", "57014", "40P01", "55P03"])
def test_what_passes_is_waited_for(sqlstate: str) -> None:
    heard = refusals()
    for _ in range(5):
        heard.take(Refused("in a moment", sqlstate))


def test_not_before_its_time() -> None:
    heard = Refusals(SPEC, "pgbouncer", sure=1000)
    for _ in range(5):
        heard.take(Refused("no", "08P01"))


@pytest.mark.parametrize("sqlstate", ["22023", "42704", "25006"])
def test_a_setting_is_mended_where_it_is_set(sqlstate: str) -> None:
    heard = refusals()
    heard.take(Refused("x", sqlstate))
    with pytest.raises(LetsNobodyIn) as caught:
        heard.take(Refused("x", sqlstate))
    assert "devdb.toml, [postgres]" in caught.value.hint


@pytest.mark.parametrize(
    ("words", "known"),
    [
        ('invalid value for parameter "work_mem": "x"', True),
        ("superuser_reserved_connections (3) must be less than max_connections (3)", True),
        ('WAL streaming (max_wal_senders > 0) requires wal_level "replica"', True),
        ('could not access file "nosuch": No such file or directory', True),
        ("could not write lock file: No space left on device", False),
    ],
)
def test_a_complaint_about_a_setting_is_known(words: str, known: bool) -> None:
    assert (of_setting(words, SPEC, "postgres") is not None) is known


GIVEN = replace(
    SPEC,
    settings=(("max_connections", "5"), ("shared_preload_libraries", "nosuch"), ("work_mem", "x")),
    pooler_settings=(("nonsense", "1"), ("query_wait_timeout", "soon")),
)


@pytest.mark.parametrize(
    ("server", "words", "named"),
    [
        (
            "postgres",
            'invalid value for parameter "work_mem": "x"',
            "work_mem (devdb.toml, [postgres])",
        ),
        ("postgres", 'could not access file "nosuch": No such file', "shared_preload_libraries ("),
        (
            "postgres",
            "perhaps by reducing shared_buffers or max_connections",
            "or --max-connections",
        ),
        (
            "pgbouncer",
            "ERROR unknown parameter: pgbouncer/nonsense",
            "nonsense (devdb.toml, [pgbouncer])",
        ),
        (
            "pgbouncer",
            'invalid value "soon" for parameter query_wait_timeout',
            "query_wait_timeout (",
        ),
    ],
)
def test_a_setting_is_named_with_its_table(server: str, words: str, named: str) -> None:
    hint = of_setting(words, GIVEN, server)
    assert hint is not None
    assert hint.startswith("Correct ")
    assert named in hint
    assert hint.endswith("devdb up -d -n shop")


def test_what_no_table_has_may_be_in_the_data() -> None:
    hint = of_setting('unrecognized configuration parameter "y"', GIVEN, "postgres")
    assert hint is not None
    assert "postgresql.auto.conf" in hint
