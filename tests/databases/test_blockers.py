"""Locks that others hold on what devdb has to change: taken by nobody with more than a login."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import libpq
import psycopg
import pytest
from databases.reapers import ONE_ROUND, StartReaper
from inside import Inside, login, until
from instances import ONE_ENGINE, Instance

from devdb import databases, sessions
from devdb.databases import blockers, registry
from devdb.errors import TimedOut
from devdb.model import Endpoint, Spec

HOUR = timedelta(hours=1)
OWN_PASSWORD = "ALTER ROLE CURRENT_USER PASSWORD 'a secret'"
Connection = psycopg.Connection[tuple[Any, ...]]
Reap = Callable[[], object]


@pytest.fixture(scope="module", params=["native", "docker"])
def shared(request: pytest.FixtureRequest) -> Iterator[Instance]:
    """An instance that allows prepared transactions, which by default Postgres does not."""
    instance = Instance(request.param, settings={"max_prepared_transactions": "5"})
    yield instance
    instance.destroy()


@pytest.fixture(params=["script", "devdb"])
def reap(request: pytest.FixtureRequest, spec: Spec, start_reaper: StartReaper) -> Reap:
    """One round, by the reaper's script or by a devdb."""
    if request.param == "devdb":
        return lambda: databases.reap(spec)
    return lambda: start_reaper(ONE_ROUND).wait(timeout=40)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What devdb has to wait for in vain it does not wait for long.

    But long enough to log in beside it and look, however busy the machine is.
    """
    monkeypatch.setattr(registry, "_LOCK_TIMEOUT", 3)


def reap_until_left(inside: Inside, reap: Reap, *names: str) -> None:
    """In few rounds, where locks are in the way: on a busy machine the time that one is waited for
    can be over before anybody has looked who holds it."""

    def are_left() -> bool:
        reap()
        return inside.entries() == dict.fromkeys(names, "ready")

    until(are_left, seconds=30)


def connect(endpoint: Endpoint, **options: Any) -> contextlib.closing[Connection]:
    return contextlib.closing(libpq.connect(endpoint, prepare_threshold=None, **options))


def hold(session: Connection, statement: str) -> None:
    """Run it in a transaction that stays open."""
    session.execute("BEGIN")
    session.execute(statement.encode())


def is_dead(session: Connection) -> bool:
    try:
        session.execute("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False


def grant(name: str) -> str:
    return f'GRANT CONNECT ON DATABASE "{name}" TO PUBLIC'


ATTACKS = {
    "its database": ("victim", "GRANT CONNECT ON DATABASE victim TO PUBLIC"),
    "its role": ("victim", OWN_PASSWORD),
    "another's database": ("living", "GRANT CONNECT ON DATABASE victim TO PUBLIC"),
    "a setting there": (
        "living",
        "ALTER ROLE CURRENT_USER IN DATABASE victim SET work_mem = '1MB'",
    ),
    "a grant to it": ("living", "CREATE TABLE t (); GRANT SELECT ON t TO victim"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_expires_goes_although_a_temporary_role_locks_it(
    spec: Spec, inside: Inside, reap: Reap, attack: str
) -> None:
    roles = {name: databases.create(spec, ttl=HOUR, name=name) for name in ("victim", "living")}
    attacker, statement = ATTACKS[attack]
    with connect(roles["victim"].pooled) as pooled, connect(roles[attacker].direct) as holder:
        pooled.execute("SELECT 1")
        inside.expire("victim")
        hold(holder, statement)
        reap_until_left(inside, reap, "living")
        assert is_dead(pooled)
        assert is_dead(holder)
    inside.assert_tidy()


@ONE_ENGINE
@pytest.mark.usefixtures("hurried")
def test_an_honest_lock_saves_the_database_for_a_round_but_no_session(
    spec: Spec, inside: Inside, reap: Reap
) -> None:
    """And delays nothing else, and is told to whoever asks."""
    locked, other = (databases.create(spec, ttl=HOUR) for _ in range(2))
    with connect(locked.direct) as session, connect(spec.direct) as honest:
        hold(honest, grant(locked.name))
        inside.expire(locked.name, other.name)
        reap()
        assert is_dead(session)
        assert not is_dead(honest)
        assert login(locked.direct) != "in"
        assert login(locked.pooled) != "in"
        assert inside.entries() == {locked.name: "dropping"}
        with pytest.raises(TimedOut) as told:
            databases.drop(spec, [locked.name])
        assert f"session {honest.info.backend_pid} of 'devdb' on 'main'" in told.value.message
    reap()
    assert inside.entries() == {}
    inside.assert_tidy()


@pytest.fixture
def impatient(spec: Spec, inside: Inside) -> Iterator[None]:
    """A minute in the registry is half a second."""
    databases.every(spec)
    [definition] = inside.sql("SELECT pg_get_functiondef('_devdb.unblock'::regproc)")
    assert definition.count("'1 minute'") == 1
    inside.sql(definition.replace("'1 minute'", "'0.5 s'"))
    yield
    inside.sql(definition)


@ONE_ENGINE
@pytest.mark.usefixtures("impatient")
def test_who_has_been_idle_in_a_transaction_for_a_minute_is_ended(
    spec: Spec, inside: Inside, reap: Reap
) -> None:
    made = databases.create(spec, ttl=HOUR)
    with connect(spec.direct) as forgotten, connect(spec.direct) as busy:
        hold(forgotten, grant(made.name))
        hold(busy, grant("main"))
        inside.expire(made.name)
        reap_until_left(inside, reap)
        assert is_dead(forgotten)
        assert not is_dead(busy)  # it is in nobody's way


def test_attackers_that_come_again_at_once_are_outrun(
    spec: Spec, inside: Inside, reap: Reap
) -> None:
    """More of them than one look finds, each queueing for the lock as soon as it is let in."""
    victim, living = (databases.create(spec, ttl=HOUR) for _ in range(2))
    end = threading.Event()

    def attack() -> None:
        while not end.is_set():
            with contextlib.suppress(psycopg.Error), connect(living.direct) as session:
                hold(session, grant(victim.name))
                while not end.wait(0.05):
                    session.execute("SELECT 1")

    def locked() -> bool:
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        return len(inside.sql(waiting)) > 2

    with ThreadPoolExecutor(8) as pool:
        attacks = [pool.submit(attack) for _ in range(8)]
        try:
            until(locked)
            inside.expire(victim.name)
            reap_until_left(inside, reap, living.name)
        finally:
            end.set()
    for done in attacks:
        done.result()
    inside.assert_tidy()


def test_a_role_that_keeps_coming_is_dropped_when_asked_for(spec: Spec, inside: Inside) -> None:
    """Until then it may log in, and each of its sessions locks its role."""
    made = databases.create(spec, ttl=HOUR)
    end = threading.Event()

    def attack() -> None:
        while not end.is_set():
            with contextlib.suppress(psycopg.Error), connect(made.direct) as session:
                hold(session, grant(made.name))
                session.execute("ALTER ROLE CURRENT_USER RESET work_mem")
                session.execute(OWN_PASSWORD)
                while not end.wait(0.05):
                    session.execute("SELECT 1")

    with ThreadPoolExecutor(4) as pool:
        attacks = [pool.submit(attack) for _ in range(4)]
        try:
            until(
                lambda: inside.sql("SELECT pid FROM pg_stat_activity WHERE usename = %s", made.role)
            )
            assert databases.drop(spec, [made.name]) == [made.name]
        finally:
            end.set()
    for done in attacks:
        done.result()
    inside.assert_tidy()


def test_sessions_end_also_where_all_connections_are_taken(
    spec: Spec, inside: Inside, reap: Reap
) -> None:
    made = databases.create(spec, ttl=HOUR)
    with contextlib.ExitStack() as stack:
        session = stack.enter_context(connect(made.direct))
        inside.expire(made.name)
        # One that a busy machine lets wait too long is refused as well, with room left.
        while "too many clients" not in login(spec.direct):
            with contextlib.suppress(psycopg.OperationalError):
                stack.enter_context(connect(spec.direct))
        reap()
        assert is_dead(session)
    assert inside.entries() == {}
    inside.assert_tidy()


@ONE_ENGINE
@pytest.mark.parametrize("case", ["its own", "its own with locks", "another's", "closed before"])
def test_a_prepared_transaction_is_rolled_back_from_inside(
    spec: Spec, inside: Inside, reap: Reap, case: str
) -> None:
    victim, living = (databases.create(spec, ttl=HOUR) for _ in range(2))
    with connect((living if case == "another's" else victim).direct) as session:
        session.execute("BEGIN")
        session.execute("CREATE TABLE t ()")
        if case in ("its own with locks", "another's"):
            session.execute(grant(victim.name).encode())
        if case == "its own with locks":
            session.execute(OWN_PASSWORD.encode())
        session.execute("PREPARE TRANSACTION 'it''s \\ \"kept\"\n; $$'")
    if case == "closed before":
        inside.sql(f'ALTER DATABASE "{victim.name}" ALLOW_CONNECTIONS false')
    inside_expired(inside, victim.name)
    reap_until_left(inside, reap, living.name)
    assert inside.sql("SELECT gid FROM pg_prepared_xacts") == []
    inside.assert_tidy()


def inside_expired(inside: Inside, name: str) -> None:
    """As Inside.expire, which waits for the role's row."""
    inside.sql("UPDATE _devdb.databases SET expires = created WHERE name = %s", name)


@pytest.mark.usefixtures("hurried")
def test_an_honest_prepared_transaction_is_named(spec: Spec, inside: Inside) -> None:
    made = databases.create(spec, ttl=HOUR)
    with connect(spec.direct) as session:
        hold(session, grant(made.name))
        session.execute("PREPARE TRANSACTION 'mine'")
        with pytest.raises(TimedOut, match="the transaction 'mine' of 'devdb' on 'main'"):
            databases.drop(spec, [made.name])
        session.execute("ROLLBACK PREPARED 'mine'")


def test_nothing_of_the_role_runs_in_the_session_that_rolls_back(
    spec: Spec, inside: Inside, reap: Reap
) -> None:
    """That session is a superuser's, in a database where the role may set and define anything."""
    made = databases.create(spec, ttl=HOUR)
    rise = f'BEGIN ALTER ROLE "{made.role}" SUPERUSER; {{}} END'
    functions = {
        "format(text, text) RETURNS text": "RETURN $2;",
        "moved() RETURNS text": "RETURN '1';",
        "at_login() RETURNS event_trigger": "",
    }
    with connect(made.direct) as session:
        for head, rest in functions.items():
            body = f"LANGUAGE plpgsql AS $$ {rise.format(rest)} $$"
            session.execute(f"CREATE FUNCTION public.{head} {body}".encode())
        session.execute(
            "CREATE VIEW public.pg_prepared_xacts AS SELECT 'x'::text AS gid,"
            " public.moved()::xid AS transaction, current_database() AS database"
        )
        if session.info.server_version >= 170000:
            with connect(spec.direct, database=made.name) as superuser:
                superuser.execute(
                    "CREATE EVENT TRIGGER t ON login EXECUTE FUNCTION public.at_login()"
                )
        for setting in (
            "search_path = public, pg_catalog",
            "statement_timeout = 1",
            f"role = '{made.role}'",
        ):
            session.execute(f'ALTER DATABASE "{made.name}" SET {setting}'.encode())
        session.execute("BEGIN")
        session.execute("CREATE TABLE t ()")
        session.execute("PREPARE TRANSACTION 'kept'")
        inside.expire(made.name)
    risen = "SELECT rolname FROM pg_roles WHERE rolsuper AND rolname <> 'devdb'"
    with watching(inside, risen) as seen:
        reap()
    assert seen == []
    assert inside.entries() == {}


@contextlib.contextmanager
def watching(inside: Inside, query: str) -> Iterator[list[Any]]:
    """What the query finds while it lasts, asked again and again."""
    seen: list[Any] = []
    end = threading.Event()

    def watch() -> None:
        while not end.is_set():
            seen.extend(inside.sql(query))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        end.set()
        thread.join()


@pytest.mark.usefixtures("hurried")
def test_a_copy_waits_with_the_pooled_url_open_and_names_who_is_in_the_way(
    spec: Spec, inside: Inside
) -> None:
    databases.every(spec)
    with connect(spec.direct, database="postgres", application_name="psql") as honest:
        honest.execute("BEGIN")
        honest.execute(grant("main").encode())
        honest.execute(b"SELECT /* \x1b]52 */ 'a secret'")  # what it ran last is told
        told: list[str] = []

        def copy() -> None:
            with pytest.raises(TimedOut) as failed:
                databases.create(spec, ttl=HOUR, source="main")
            told.extend((failed.value.message, failed.value.hint))

        thread = threading.Thread(target=copy)
        thread.start()
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        until(lambda: inside.sql(waiting))
        while thread.is_alive():
            assert login(spec.pooled) == "in"
        thread.join()
        message, hint = told
        assert f"session {honest.info.backend_pid} of 'devdb' on 'postgres' (psql, " in message
        assert ": SELECT /* " in message
        assert "secret" not in message
        assert "\x1b" not in message
        assert str(honest.info.backend_pid) in hint
    assert inside.entries() == {}
    inside.assert_tidy()


def test_a_copy_ends_a_temporary_roles_session_that_is_in_the_way(
    spec: Spec, inside: Inside
) -> None:
    living = databases.create(spec, ttl=HOUR)
    with connect(living.direct) as holder:
        hold(holder, grant("main"))
        made = databases.create(spec, ttl=HOUR, source="main")
        assert is_dead(holder)
    assert login(made.pooled) == "in"
    inside.assert_tidy()


WAITS_FOR_A_DATABASE = (
    "SELECT pid FROM pg_locks WHERE NOT granted AND classid = 'pg_database'::regclass"
)


@ONE_ENGINE
def test_behind_another_devdb_and_the_server_itself_it_waits(
    spec: Spec, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as they take: many who copy template1 at once take long on a busy machine."""
    databases.every(spec)
    monkeypatch.setattr(registry, "_LOCK_TIMEOUT", 1.5)  # time for a look at who it is
    begun = (
        "SELECT DISTINCT query_start::text FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND query LIKE 'CREATE DATABASE%'"
    )
    seen: set[str] = set()

    def tried_again() -> bool:
        seen.update(inside.sql(begun))
        return len(seen) > 2

    with ThreadPoolExecutor(2) as pool, sessions.direct(spec.direct) as another:
        another.query("BEGIN")
        another.query("ALTER DATABASE template1 RENAME TO held")
        # Who comes in there waits too, and the copy behind it: from 18 on one sees its session.
        pool.submit(login, spec.direct, database="template1")
        until(lambda: inside.sql(WAITS_FOR_A_DATABASE))
        made = pool.submit(databases.create, spec, ttl=HOUR)
        until(tried_again, seconds=60)
        another.query("ROLLBACK")
    assert login(made.result().direct) == "in"


@ONE_ENGINE
@pytest.mark.usefixtures("hurried")
def test_but_not_for_ever(spec: Spec, inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    databases.every(spec)
    monkeypatch.setattr(blockers, "_PATIENCE", 1)
    with sessions.direct(spec.direct) as another:
        another.query("BEGIN")
        another.query("COMMENT ON DATABASE template1 IS 'held'")
        with pytest.raises(TimedOut, match=f"waits for session {another.pid} of 'devdb'"):
            databases.create(spec, ttl=HOUR)
    assert inside.entries() == {}
    inside.assert_tidy()


@ONE_ENGINE
@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("wish", ["extend", "claim", "rename", "drop"])
def test_who_keeps_a_wish_waiting_is_named(spec: Spec, inside: Inside, wish: str) -> None:
    made = databases.create(spec, ttl=HOUR, name="made")
    wishes: dict[str, Callable[[], object]] = {
        "extend": lambda: databases.extend(spec, "made", HOUR),
        "claim": lambda: databases.claim(spec, "made"),
        "rename": lambda: databases.claim(spec, "made", "kept"),
        "drop": lambda: databases.drop(spec, ["made"]),
    }
    with connect(spec.direct) as honest:
        hold(honest, "ALTER ROLE made PASSWORD 'a secret'")
        with pytest.raises(TimedOut) as told:
            wishes[wish]()
        assert str(honest.info.backend_pid) in told.value.message
        assert "secret" not in told.value.message
        assert inside.entries() == {"made": "ready"}
    assert login(made.direct) == login(made.pooled) == "in"
    inside.assert_tidy()
