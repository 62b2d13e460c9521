from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import libpq
import psycopg
import pytest
import world
from inside import Inside, login

from devdb import databases, pgbouncer
from devdb.errors import DevdbError, UsageError
from devdb.model import Spec

HOUR = timedelta(hours=1)


@pytest.fixture
def origin(inside: Inside) -> Iterator[str]:
    inside.sql('CREATE DATABASE "The origin"')
    yield "The origin"
    inside.sql('DROP DATABASE "The origin" WITH (FORCE)')


def test_a_copy_has_the_data_and_belongs_to_its_role(spec: Spec, inside: Inside) -> None:
    inside.sql("CREATE TABLE numbers AS SELECT generate_series(1, 1000) AS n", database="main")
    try:
        made = databases.create(spec, ttl=HOUR, source="main")
        with libpq.connect(made.pooled, prepare_threshold=None) as connection:
            assert connection.execute("SELECT sum(n) FROM numbers").fetchone() == (500500,)
            connection.execute("ALTER TABLE numbers ADD COLUMN mine int")
            connection.execute("DROP TABLE numbers")
        assert inside.sql("SELECT count(*) FROM numbers", database="main") == [1000]
    finally:
        inside.sql("DROP TABLE numbers", database="main")


def test_sessions_on_the_origin_do_not_stand_in_the_way(
    spec: Spec, inside: Inside, origin: str
) -> None:
    with ExitStack() as stack:
        sessions = [
            stack.enter_context(libpq.connect(endpoint, database=origin, prepare_threshold=None))
            for endpoint in (spec.direct, spec.direct, spec.pooled, spec.pooled)
        ]
        sessions[0].execute("BEGIN")
        sessions[0].execute("CREATE TABLE uncommitted (a int)")
        sessions[2].execute("BEGIN")
        sessions[2].execute("SELECT 1")
        sessions[3].execute("SELECT 1")
        start = time.monotonic()
        made = databases.create(spec, ttl=HOUR, source=origin)
        assert time.monotonic() - start < 10  # PgBouncer gives up waiting after 15
        # Between two transactions a pooled client waited, and noticed nothing: where it has no
        # server connection of its own then.
        waited = sessions[3:] if inside.pooler() >= pgbouncer.TRACKS_PREPARED else []
        for session in waited:
            assert session.execute("SELECT 1").fetchone() == (1,)
        for session in sessions[: len(sessions) - len(waited)]:
            with pytest.raises(psycopg.OperationalError):
                session.execute("SELECT 1")
    start = time.monotonic()
    assert login(spec.pooled, database=origin) == login(spec.direct, database=origin) == "in"
    assert time.monotonic() - start < 10
    assert login(made.direct) == login(made.pooled) == "in"
    assert inside.closed() == []


def test_a_copy_of_a_copy_outlives_it(spec: Spec, inside: Inside) -> None:
    """The first role owns nothing in the second copy, not even the extensions it made."""
    first = databases.create(spec, ttl=HOUR)
    with libpq.connect(first.direct) as connection:
        connection.execute("CREATE EXTENSION hstore")
        connection.execute("CREATE TYPE span AS RANGE (subtype = float8)")
        connection.execute("CREATE TABLE t AS SELECT 'a=>1'::hstore AS h")
    second = databases.create(spec, ttl=HOUR, source=first.name)
    databases.drop(spec, [first.name])
    assert inside.roles() == {second.role}
    with libpq.connect(second.direct) as connection:
        assert connection.execute("SELECT h -> 'a' FROM t").fetchone() == ("1",)
        connection.execute("DROP EXTENSION hstore CASCADE")
        connection.execute("DROP TYPE span")


def test_copies_of_the_same_origin_at_the_same_time_all_succeed(
    spec: Spec, inside: Inside, origin: str
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: databases.create(spec, ttl=HOUR, source=origin), range(4)))
    assert len({one.name for one in made}) == 4
    assert all(login(one.pooled) == "in" for one in made)
    assert inside.closed() == []


def test_what_cannot_be_copied_is_said_so(spec: Spec, inside: Inside) -> None:
    with pytest.raises(UsageError, match="maintenance"):
        databases.create(spec, ttl=HOUR, source="postgres")
    expired = databases.create(spec, ttl=HOUR)
    inside.expire(expired.name)
    with pytest.raises(DevdbError, match="expired"):
        databases.create(spec, ttl=HOUR, source=expired.name)


def test_a_database_closed_by_its_owner_stays_closed(
    spec: Spec, inside: Inside, origin: str
) -> None:
    with libpq.connect(spec.direct, database=origin), libpq.connect(spec.pooled, database=origin):
        inside.sql(f'ALTER DATABASE "{origin}" ALLOW_CONNECTIONS false')
        made = databases.create(spec, ttl=HOUR, source=origin)
    assert login(made.direct) == "in"
    assert "not currently accepting connections" in login(spec.direct, database=origin)


def test_the_size_of_the_origin_decides_the_strategy(spec: Spec) -> None:
    from devdb.databases import copying, registry

    with registry.session(spec) as session:
        words = [copying.strategy(session, size=n) for n in (0, 500 << 20)]
        old = session.major < 15
    assert words == (["", ""] if old else ["STRATEGY wal_log", "STRATEGY file_copy"])


def test_a_full_disk_leaves_nothing_half_made(spec: Spec, inside: Inside, small_disk: Path) -> None:
    """The origin is on a file system that has no room for a second one of it."""
    inside.sql(f"CREATE TABLESPACE small LOCATION '{small_disk}'")
    inside.sql("CREATE DATABASE cramped TABLESPACE small")
    try:
        inside.sql(
            "CREATE TABLE t AS SELECT repeat('x', 1000) FROM generate_series(1, 30000)",
            database="cramped",
        )
        with pytest.raises(DevdbError) as failed:
            databases.create(spec, ttl=HOUR, source="cramped")
        assert "full" in failed.value.message
        assert "room" in failed.value.hint
        assert inside.entries() == {}
        assert inside.roles() == set()
        assert inside.closed() == []
        assert login(spec.direct, database="cramped") == "in"
        assert login(spec.pooled, database="cramped") == "in"
    finally:
        inside.sql("DROP DATABASE cramped WITH (FORCE)")
        inside.sql("CHECKPOINT")
        inside.sql("DROP TABLESPACE small")


@pytest.fixture
def small_disk(inside: Inside) -> Iterator[Path]:
    """About 60 MB that belong to the server's user."""
    [directory] = inside.sql("SHOW data_directory")
    with _mounted(Path(directory)) if Path(directory).is_dir() else _in_container(inside) as place:
        yield place


def _mounted(data: Path) -> AbstractContextManager[Path]:
    owner = data.stat()
    return world.disk(f"size=64m,uid={owner.st_uid},gid={owner.st_gid}")


@contextmanager
def _in_container(inside: Inside) -> Iterator[Path]:
    """Nothing can be mounted there later, but its shared memory is 256 MB."""
    place = Path("/dev/shm/small")
    run = "COPY (SELECT) TO PROGRAM 'cat > /dev/null && {}'"
    inside.sql(run.format(f"mkdir -m 700 {place} && head -c 200M /dev/zero > {place}.filler"))
    yield place
    inside.sql(run.format(f"rm -r {place} {place}.filler"))
