"""All databases of an instance, as the dashboard lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import libpq
import pytest
import world
from inside import Inside
from instances import Instance

from devdb import databases
from devdb.errors import DevdbError
from devdb.model import Spec
from devdb.workspace.databases import Database, Databases, Standing

NAMES = ("shop=old", 'it\'s "odd"\\')


@pytest.fixture
def listing(spec: Spec) -> Iterator[Databases]:
    databases = Databases(spec)
    yield databases
    databases.close()


@pytest.fixture
def others(inside: Inside) -> Iterator[tuple[str, ...]]:
    """Databases that somebody made, with names that SQL and conninfo have to quote."""
    quoted = ['"{}"'.format(name.replace('"', '""')) for name in NAMES]
    for name in quoted:
        inside.sql(f"CREATE DATABASE {name}")
    yield NAMES
    for name in quoted:
        inside.sql(f"DROP DATABASE {name} WITH (FORCE)")


def test_each_is_told_for_what_it_is_with_the_urls_that_lead_there(
    spec: Spec, listing: Databases, others: tuple[str, ...]
) -> None:
    claimed = databases.create(spec, ttl=timedelta(hours=1), name="kept_one")
    databases.claim(spec, claimed.name)
    made = databases.create(spec, ttl=timedelta(hours=1), name="short_one")
    with libpq.connect(made.direct), libpq.connect(made.direct):
        found = listing.every()
    assert [(each.name, each.standing) for each in found] == [
        ("main", Standing.MAIN),
        *((name, Standing.OTHER) for name in sorted(others)),
        ("kept_one", Standing.CLAIMED),
        ("short_one", Standing.TEMPORARY),
    ]
    assert found[-1].sessions == 2
    assert all(each.size > 1_000_000 and each.is_alive for each in found)
    for each in found:
        assert [inside_of(each, pooled=False), inside_of(each, pooled=True)] == [each.name] * 2


def test_one_that_has_expired_is_there_until_it_is_dropped_and_is_not_alive(
    spec: Spec, inside: Inside, listing: Databases
) -> None:
    made = databases.create(spec, ttl=timedelta(hours=1))
    assert [each.is_alive for each in listing.every()] == [True, True]
    inside.expire(made.name)
    seen = {each.name: each for each in listing.every()}
    # The instance's own reaper may have been here already.
    assert made.name not in seen or not seen[made.name].is_alive


def test_it_asks_one_statement_over_one_session(spec: Spec, listing: Databases) -> None:
    listing.every()
    with libpq.connect(spec.direct, database="postgres") as connection:
        [(pid, before)] = connection.execute(_KEPT).fetchall()
        listing.every()
        [(again, after)] = connection.execute(_KEPT).fetchall()
    assert (again, after > before) == (pid, True)


def test_a_server_that_is_back_is_asked_over_a_new_session(
    new_instance: Callable[..., Instance],
) -> None:
    instance = new_instance()
    databases = Databases(instance.spec)
    try:
        assert [each.name for each in databases.every()] == ["main"]
        instance.stop()
        with pytest.raises(DevdbError):
            databases.every()
        instance.start()
        assert [each.name for each in databases.every()] == ["main"]
        with libpq.connect(instance.spec.direct, database="postgres") as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'devdb' AND datname = 'postgres'"
            )
        assert world.eventually(databases.every, "an answer")[0].name == "main"
    finally:
        databases.close()


_KEPT = """
SELECT pid, query_start FROM pg_stat_activity
WHERE application_name = 'devdb' AND query LIKE '%_devdb.listing%UNION ALL%'
  AND pid <> pg_backend_pid()
"""


def inside_of(database: Database, *, pooled: bool) -> str:
    endpoint = database.pooled if pooled else database.direct
    with libpq.connect(endpoint) as connection:
        row = connection.execute("SELECT current_database()::text").fetchone()
    assert row is not None
    return str(row[0])
