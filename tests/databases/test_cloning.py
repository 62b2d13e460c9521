"""Templates that migrations built, and the clones of them that tests get."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

import libpq
import psycopg
import pytest
from databases.reapers import StartReaper
from inside import Inside, login, until
from instances import ONE_ENGINE, Instance

from devdb import databases, postgres
from devdb.databases import Kind, Stage, cloning, registry
from devdb.databases.cloning import Clones, Template
from devdb.errors import DevdbError, NotFound, UsageError
from devdb.model import USER, Endpoint, Spec
from devdb.workspace.databases import Databases, Standing

HOUR = timedelta(hours=1)
CONTENT = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"
MIGRATIONS = """
CREATE TABLE pet (id int PRIMARY KEY, name text);
INSERT INTO pet VALUES (1, 'Rex');
CREATE SCHEMA app;
CREATE TABLE app.toy (name text);
DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET search_path = app, public', current_database());
    EXECUTE format('ALTER DATABASE %I SET work_mem = ''5MB''', current_database());
END $$
"""


def migrate(endpoint: Endpoint) -> None:
    with libpq.connect(endpoint) as connection:
        connection.execute(MIGRATIONS)


def template(
    spec: Spec,
    content: str = CONTENT,
    build: Callable[[Endpoint], None] | None = migrate,
    *,
    shared: bool,
) -> Template:
    return cloning.template(spec, content, build, project="shop", shared=shared)


Make = Callable[[Template], Clones]


@pytest.fixture(params=[True, False], ids=["shared", "own"])
def is_shared(request: pytest.FixtureRequest) -> bool:
    """Whether other things are in the instance, so that each clone has a role of its own."""
    return bool(request.param)


@pytest.fixture
def clones(spec: Spec, is_shared: bool) -> Iterator[Make]:
    with ExitStack() as stack:

        def make(of: Template) -> Clones:
            made = Clones(spec, of, shared=is_shared)
            stack.callback(made.close)
            return made

        yield make


def test_clones_have_all_that_the_template_has_and_nothing_of_each_other(
    spec: Spec, inside: Inside, clones: Make, is_shared: bool
) -> None:
    made = template(spec, shared=is_shared)
    assert made.is_new
    making = clones(made)
    one, two = making.make(), making.make()
    with libpq.connect(one.direct) as direct, libpq.connect(two.pooled) as pooled:
        direct.execute("DELETE FROM pet; CREATE TABLE more (id int); DROP TABLE app.toy")
        assert pooled.execute("SELECT name FROM pet").fetchall() == [("Rex",)]
        shown = [pooled.execute(f"SHOW {name}").fetchone() for name in ("search_path", "work_mem")]
    assert shown == [("app, public",), ("5MB",)]
    assert one.direct.user == (one.name if is_shared else USER)
    assert inside.roles() == ({made.name, one.name, two.name} if is_shared else set())
    if is_shared:
        assert "pg_hba.conf" in login(one.direct, database=two.name)
    kinds = {each.name: (each.kind, each.state) for each in databases.every(spec)}
    assert kinds == {
        made.name: (Kind.TEMPLATE, Stage.READY),
        one.name: (Kind.CLONE, Stage.READY),
        two.name: (Kind.CLONE, Stage.READY),
    }
    listing = Databases(spec)
    listed = {each.name: each for each in listing.every()}
    listing.close()
    assert listed[made.name].standing == Standing.TEMPLATE
    assert not listed[made.name].is_alive
    assert (listed[made.name].can_be_dropped, listed[one.name].can_be_kept) == (True, True)
    making.drop([one, two])
    assert inside.databases() == {"postgres", "main", made.name}
    inside.assert_tidy()


def test_it_is_built_once_however_many_want_it_and_stays_for_the_next(
    spec: Spec, is_shared: bool
) -> None:
    built: list[Endpoint] = []

    def build(endpoint: Endpoint) -> None:
        built.append(endpoint)
        migrate(endpoint)

    with ThreadPoolExecutor(4) as pool:
        wanted = [pool.submit(template, spec, CONTENT, build, shared=is_shared) for _ in range(4)]
        found = [each.result() for each in wanted]
    assert sorted(each.is_new for each in found) == [False, False, False, True]
    assert len({each.name for each in found}) == len(built) == 1
    assert not template(spec, build=None, shared=is_shared).is_new


def test_nobody_is_in_a_template_whatever_its_builder_leaves_open(
    spec: Spec, clones: Make, is_shared: bool
) -> None:
    with ExitStack() as left:

        def build(endpoint: Endpoint) -> None:
            migrate(endpoint)
            pooled = replace(endpoint, port=spec.pool_port)
            for number, each in enumerate((endpoint, pooled), 2):
                connection = libpq.connect(each)
                left.callback(connection.close)
                connection.execute(f"BEGIN; INSERT INTO pet VALUES ({number}, 'Tom')")

        made = template(spec, build=build, shared=is_shared)
        clone = clones(made).make()
        with libpq.connect(clone.direct) as connection:
            assert connection.execute("SELECT name FROM pet").fetchall() == [("Rex",)]
        superuser = spec.direct
        assert "not currently accepting connections" in login(superuser, database=made.name)


@ONE_ENGINE
def test_what_its_builder_raises_is_raised_and_nothing_is_left(
    spec: Spec, inside: Inside, is_shared: bool
) -> None:
    def build(endpoint: Endpoint) -> None:
        migrate(endpoint)
        raise LookupError("no revision 42")

    with pytest.raises(LookupError, match="no revision 42"):
        template(spec, build=build, shared=is_shared)
    assert inside.entries() == {}
    inside.assert_tidy()
    assert template(spec, shared=is_shared).is_new


@ONE_ENGINE
def test_one_whose_builder_is_killed_is_built_anew(spec: Spec, is_shared: bool) -> None:
    child = os.fork()
    if child == 0:
        try:
            template(spec, build=lambda _: os.kill(os.getpid(), signal.SIGKILL), shared=is_shared)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert template(spec, shared=is_shared).is_new


@ONE_ENGINE
def test_one_of_other_migrations_goes_when_nobody_uses_it_any_more(
    spec: Spec, inside: Inside, clones: Make, is_shared: bool
) -> None:
    old = template(spec, shared=is_shared)
    using = clones(old)
    using.make()
    inside.sql("UPDATE _devdb.databases SET expires = expires - interval '2 min'")
    new = template(spec, OTHER, shared=is_shared)
    assert new.is_new
    assert {old.name, new.name} <= inside.databases()
    assert using.make().name in inside.databases()
    using.close()

    def is_reaped() -> bool:
        databases.reap(spec)
        return old.name not in inside.databases()

    # The server ends a session a moment after its client is gone.
    until(is_reaped)
    with pytest.raises(NotFound, match="is gone"):
        using.make()


def test_a_clone_can_be_dropped_whatever_its_test_did(
    spec: Spec, inside: Inside, clones: Make, is_shared: bool
) -> None:
    making = clones(template(spec, shared=is_shared))
    gone, busy, pooled = making.make(), making.make(), making.make()
    if is_shared:
        inside.sql(f"DROP DATABASE {gone.name}")
    else:
        with libpq.connect(gone.direct, database="postgres") as connection:
            connection.execute(f"DROP DATABASE {gone.name}")
    with libpq.connect(busy.direct) as direct, libpq.connect(pooled.pooled) as through:
        direct.execute(f"ALTER DATABASE {busy.name} SET work_mem = '1MB'")
        direct.execute("BEGIN; LOCK pet")
        through.execute("BEGIN; LOCK pet")
        making.end_sessions(busy, pooled=False)
        making.end_sessions(pooled, pooled=True)
        for each in (direct, through):
            with pytest.raises(psycopg.OperationalError):
                each.execute("SELECT 1")
    making.drop([gone, busy, pooled])
    making.drop([gone])
    inside.assert_tidy()


@ONE_ENGINE
def test_what_nobody_needs_any_more_goes_and_the_superuser_stays(
    spec: Spec, inside: Inside, clones: Make, is_shared: bool, start_reaper: StartReaper
) -> None:
    """Where clones have no role of their own the superuser's sessions are none of theirs."""
    making = clones(template(spec, shared=is_shared))
    made = [making.make() for _ in range(3)]
    making.keep(made[0])
    with libpq.connect(spec.direct) as mine, libpq.connect(made[1].direct):
        making.release(made[1:])
        start_reaper()
        until(lambda: not {each.name for each in made[1:]} & inside.databases())
        assert mine.execute("SELECT 1").fetchone() == (1,)
    assert made[0].name in inside.databases()
    assert login(spec.direct) == login(spec.pooled) == login(made[0].direct) == "in"
    if is_shared:
        assert databases.claim(spec, made[0].name).state == Stage.CLAIMED
    else:
        for change in (databases.claim, lambda s, n: databases.extend(s, n, HOUR)):
            with pytest.raises(NotFound):
                change(spec, made[0].name)


@ONE_ENGINE
def test_a_session_that_was_ended_is_opened_anew(
    spec: Spec, inside: Inside, clones: Make, is_shared: bool
) -> None:
    making = clones(template(spec, shared=is_shared))
    making.make()
    inside.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'devdb' AND query LIKE '%let_go%'"
    )
    with pytest.raises(DevdbError):
        making.make()
    assert making.make().name in inside.databases()
    inside.assert_tidy()


@ONE_ENGINE
def test_many_clones_leave_no_lock_behind(
    spec: Spec, inside: Inside, clones: Make, is_shared: bool
) -> None:
    """The locks of all sessions have room for some thousands."""
    making = clones(template(spec, shared=is_shared))
    for _ in range(3):
        making.drop([making.make(), making.make()])
    held = inside.sql("SELECT mode FROM pg_locks WHERE locktype = 'advisory'")
    assert held == ["ShareLock"], "but that of the template"


def test_databases_that_stay_are_registered_and_nobodys_to_end(spec: Spec, inside: Inside) -> None:
    inside.sql("CREATE DATABASE shadow")
    try:
        assert not databases.ensure(spec, "shadow", Kind.SHADOW)
        with ThreadPoolExecutor(4) as pool:
            made = [pool.submit(databases.ensure, spec, "test", Kind.TEST) for _ in range(4)]
        assert sorted(each.result() for each in made) == [False, False, False, True]
        listing = Databases(spec)
        standings = {each.name: each.standing for each in listing.every()}
        assert standings == {
            "main": Standing.MAIN,
            "shadow": Standing.SHADOW,
            "test": Standing.TEST,
        }
        assert databases.reap(spec) == []
        assert databases.every(spec) == []
        for change in (databases.claim, lambda s, n: databases.extend(s, n, HOUR)):
            with pytest.raises(NotFound):
                change(spec, "shadow")
        with pytest.raises(UsageError):
            databases.create(spec, ttl=HOUR, name="shadow")
        inside.sql("DROP DATABASE shadow")
        assert databases.ensure(spec, "shadow", Kind.SHADOW)
        listing.close()
        assert login(spec.direct, database="shadow") == "in"
    finally:
        databases.drop(spec, ["shadow", "test"])
    assert [name for name, _ in postgres.databases(spec.direct) or ()] == ["main"]


def test_a_temporary_copy_is_set_to_what_its_origin_is(spec: Spec, inside: Inside) -> None:
    inside.sql("ALTER DATABASE main SET work_mem = '7MB'")
    inside.sql("ALTER ROLE devdb IN DATABASE main SET search_path = app, public")
    try:
        made = databases.create(spec, ttl=HOUR, source="main")
    finally:
        inside.sql("ALTER DATABASE main RESET ALL")
        inside.sql("ALTER ROLE devdb IN DATABASE main RESET ALL")
    with libpq.connect(made.direct) as connection:
        shown = [
            connection.execute(f"SHOW {name}").fetchone() for name in ("work_mem", "search_path")
        ]
    assert shown == [("7MB",), ("app, public",)]


@pytest.mark.parametrize("engine_name", ["native"])
def test_prepared_transactions_keep_neither_templates_nor_clones(
    new_instance: Callable[..., Instance],
) -> None:
    spec = new_instance(settings={"max_prepared_transactions": "5", "fsync": "off"}).spec

    def build(endpoint: Endpoint) -> None:
        migrate(endpoint)
        prepare(endpoint, "built")

    def prepare(endpoint: Endpoint, name: str) -> None:
        with libpq.connect(endpoint) as connection:
            connection.execute("BEGIN; INSERT INTO pet VALUES (3, 'Kit')")
            connection.execute(f"PREPARE TRANSACTION '{name}'")

    making = Clones(spec, template(spec, build=build, shared=False), shared=False)
    clone = making.make()
    with libpq.connect(clone.direct) as connection:
        assert connection.execute("SELECT count(*) FROM pet").fetchone() == (1,)
    prepare(clone.direct, "tested")
    making.drop([clone])
    making.close()
    assert Inside(spec).sql("SELECT gid FROM pg_prepared_xacts") == []
    with registry.session(spec) as session:
        assert session.query("SELECT count(*) FROM _devdb.databases") == [(1,)]
