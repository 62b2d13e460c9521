from __future__ import annotations

from datetime import timedelta

import libpq
import psycopg
import pytest
from inside import Inside, login

from devdb import databases
from devdb.databases import Stage
from devdb.errors import DevdbError, EngineUnavailable, NotFound, UsageError
from devdb.model import Spec

HOUR = timedelta(hours=1)


def test_a_new_one_lets_its_role_in_by_both_urls(spec: Spec) -> None:
    made = databases.create(spec, ttl=HOUR)
    assert login(made.direct) == login(made.pooled) == "in"
    assert (made.direct.port, made.pooled.port) == (spec.port, spec.pool_port)
    assert made.name == made.role == made.direct.user == made.direct.database


def test_its_times_are_the_servers_and_its_numbers_true(spec: Spec, inside: Inside) -> None:
    [before] = inside.sql("SELECT clock_timestamp()")
    made = databases.create(spec, ttl=HOUR)
    [after] = inside.sql("SELECT clock_timestamp()")
    assert before < made.created < after
    assert made.expires == made.created + HOUR
    [valid] = inside.sql("SELECT rolvaliduntil FROM pg_roles WHERE rolname = %s", made.name)
    assert valid == made.expires
    with libpq.connect(made.direct):
        [listed] = databases.every(spec)
    assert (listed.name, listed.state, listed.sessions) == (made.name, Stage.READY, 1)
    assert listed.created == made.created
    assert listed.expires == made.expires
    assert listed.age >= timedelta(0)
    assert listed.left is not None
    assert HOUR - timedelta(minutes=1) < listed.left < HOUR
    assert listed.size >= made.size > 1_000_000


def test_its_role_is_nobody_special_but_owns_the_database(spec: Spec, inside: Inside) -> None:
    made = databases.create(spec, ttl=HOUR)
    [rights] = inside.sql(
        "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, rolcanlogin"
        " FROM pg_roles WHERE rolname = %s",
        made.role,
    )
    assert rights == (False, False, False, False, False, True)
    with libpq.connect(made.direct) as connection:
        for statement in (
            "CREATE TABLE public.here (a int)",
            "CREATE SCHEMA mine",
            "CREATE EXTENSION hstore",
            "DROP SCHEMA public CASCADE",
            "CREATE SCHEMA public",
            "GRANT ALL ON SCHEMA public TO public",
        ):
            connection.execute(statement.encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE DATABASE another")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("ALTER ROLE CURRENT_USER VALID UNTIL 'infinity'")


def test_the_registry_keeps_no_password(spec: Spec, inside: Inside) -> None:
    made = databases.create(spec, ttl=HOUR)
    rows = inside.sql("SELECT t::text FROM _devdb.databases t")
    assert made.direct.password not in "".join(rows)
    [stored] = inside.sql("SELECT rolpassword FROM pg_authid WHERE rolname = %s", made.name)
    assert stored.startswith("SCRAM-SHA-256$")


def test_two_have_different_names_and_passwords(spec: Spec) -> None:
    one, two = (databases.create(spec, ttl=HOUR) for _ in range(2))
    assert one.name != two.name
    assert one.direct.password != two.direct.password


def test_a_name_of_ones_own_is_taken_once(spec: Spec, inside: Inside) -> None:
    databases.create(spec, ttl=HOUR, name="my-app")
    for name in ("my-app", "main"):
        with pytest.raises(UsageError, match=name):
            databases.create(spec, ttl=HOUR, name=name)
    inside.sql("CREATE ROLE taken")
    try:
        with pytest.raises(UsageError, match="taken"):
            databases.create(spec, ttl=HOUR, name="taken")
    finally:
        inside.sql("DROP ROLE taken")
    assert set(inside.entries()) == {"my-app"}
    assert login(databases.every(spec)[0].pooled) == "in"


def test_the_name_of_an_expired_one_is_free(spec: Spec, inside: Inside) -> None:
    old = databases.create(spec, ttl=HOUR, name="again")
    inside.expire("again")
    new = databases.create(spec, ttl=HOUR, name="again")
    assert new.direct.password != old.direct.password
    assert login(new.direct) == login(new.pooled) == "in"
    assert login(old.pooled) != "in"


def test_extend_counts_from_now_and_can_shorten(spec: Spec, inside: Inside) -> None:
    made = databases.create(spec, ttl=HOUR)
    for ttl in (timedelta(days=2), timedelta(minutes=5)):
        extended = databases.extend(spec, made.name, ttl)
        assert extended.left is not None
        assert ttl - timedelta(seconds=20) < extended.left <= ttl
        [valid] = inside.sql("SELECT rolvaliduntil FROM pg_roles WHERE rolname = %s", made.name)
        assert valid == extended.expires
    assert login(made.direct) == login(made.pooled) == "in"


def test_claim_keeps_data_and_password_for_good(spec: Spec, inside: Inside) -> None:
    made = databases.create(spec, ttl=timedelta(seconds=30))
    with libpq.connect(made.direct) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        kept = databases.claim(spec, made.name)
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    assert (kept.state, kept.expires, kept.left) == (Stage.CLAIMED, None, None)
    assert kept.direct == made.direct
    [valid] = inside.sql("SELECT rolvaliduntil::text FROM pg_roles WHERE rolname = %s", made.name)
    assert valid == "infinity"
    assert databases.reap(spec) == []
    assert login(made.direct) == login(made.pooled) == "in"
    groups = inside.sql(
        "SELECT roleid::regrole::text FROM pg_auth_members WHERE member = %s::regrole", made.role
    )
    assert groups == ["devdb_claimed"]
    assert "authentication failed" in login(made.direct, password="wrong")
    assert "pg_hba.conf rejects" in login(made.direct, database="main")


def test_claim_under_another_name_ends_the_sessions_and_renames(spec: Spec, inside: Inside) -> None:
    made = databases.create(spec, ttl=HOUR)
    direct = libpq.connect(made.direct)
    direct.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    pooled = libpq.connect(made.pooled, prepare_threshold=None)
    pooled.execute("BEGIN")
    pooled.execute("SELECT answer FROM kept")
    kept = databases.claim(spec, made.name, "my_app")
    assert (kept.name, kept.role, kept.direct.password) == (
        "my_app",
        "my_app",
        made.direct.password,
    )
    for connection in (direct, pooled):
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        connection.close()
    for endpoint in (kept.direct, kept.pooled):
        with libpq.connect(endpoint, prepare_threshold=None) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    assert login(made.pooled) != "in"
    inside.assert_tidy()


def test_a_claim_under_a_name_that_is_taken_changes_nothing(spec: Spec, inside: Inside) -> None:
    made = databases.create(spec, ttl=HOUR)
    other = databases.create(spec, ttl=HOUR)
    for name in ("main", other.name):
        with pytest.raises(UsageError, match=name):
            databases.claim(spec, made.name, name)
    with pytest.raises(UsageError, match="reserved"):
        databases.claim(spec, made.name, "pgbouncer")
    assert inside.entries() == {made.name: "ready", other.name: "ready"}
    assert login(made.direct) == login(made.pooled) == login(other.pooled) == "in"
    inside.assert_tidy()


def test_what_is_claimed_is_neither_extended_nor_claimed_again(spec: Spec) -> None:
    made = databases.create(spec, ttl=HOUR)
    databases.claim(spec, made.name)
    with pytest.raises(DevdbError, match="permanent"):
        databases.extend(spec, made.name, HOUR)
    with pytest.raises(DevdbError, match="permanent"):
        databases.claim(spec, made.name)


def test_what_is_claimed_is_dropped_only_when_that_is_meant(spec: Spec, inside: Inside) -> None:
    made, other = (databases.create(spec, ttl=HOUR) for _ in range(2))
    databases.claim(spec, made.name)
    with pytest.raises(UsageError, match="permanent"):
        databases.drop(spec, [other.name, made.name])
    assert set(inside.entries()) == {made.name, other.name}
    assert databases.drop(spec, [made.name], claimed=True) == [made.name]
    inside.assert_tidy()


def test_an_expired_one_is_neither_extended_nor_claimed(spec: Spec, inside: Inside) -> None:
    made = databases.create(spec, ttl=HOUR)
    inside.expire(made.name)
    [found] = databases.every(spec)
    assert (found.state, found.left) == (Stage.EXPIRED, timedelta(0))
    for use in (databases.claim, lambda s, n: databases.extend(s, n, HOUR)):
        with pytest.raises(DevdbError, match="expired"):
            use(spec, made.name)
    with pytest.raises(DevdbError, match="expired"):
        databases.claim(spec, made.name, "other")
    assert "authentication failed" in login(made.direct)


def test_an_unknown_name_is_said_to_be_unknown(spec: Spec, inside: Inside) -> None:
    made = databases.create(spec, ttl=HOUR)
    for use in (
        lambda: databases.claim(spec, "nobody"),
        lambda: databases.claim(spec, "nobody", "other"),
        lambda: databases.extend(spec, "nobody", HOUR),
        lambda: databases.drop(spec, [made.name, "nobody"]),
        lambda: databases.drop(spec, ["main"]),
        lambda: databases.create(spec, ttl=HOUR, source="nobody"),
    ):
        with pytest.raises(NotFound):
            use()
    assert set(inside.entries()) == {made.name}
    assert "main" in inside.databases()


def test_drop_leaves_nothing(spec: Spec, inside: Inside) -> None:
    made = [databases.create(spec, ttl=HOUR).name for _ in range(3)]
    assert databases.drop(spec, made[:2]) == made[:2]
    assert set(inside.entries()) == {made[2]}
    inside.assert_tidy()
    assert databases.drop(spec, []) == []


def test_drop_takes_what_its_owner_made_a_template(spec: Spec, inside: Inside) -> None:
    made = databases.create(spec, ttl=HOUR)
    with libpq.connect(made.direct) as connection:
        connection.execute(
            f'ALTER DATABASE "{made.name}" IS_TEMPLATE true CONNECTION LIMIT 0'.encode()
        )
    databases.drop(spec, [made.name])
    inside.assert_tidy()


def test_who_came_to_template1_through_the_pooler_does_not_stand_in_the_way(
    spec: Spec, inside: Inside
) -> None:
    """PgBouncer keeps its connection for ten minutes, and a template has to be free of them."""
    assert login(spec.pooled, database="template1") == "in"
    assert inside.sql("SELECT count(*) FROM pg_stat_activity WHERE datname = 'template1'") == [1]
    databases.create(spec, ttl=HOUR)
    inside.assert_tidy()


def test_a_session_on_template1_is_not_ended_but_told_of(spec: Spec, inside: Inside) -> None:
    with libpq.connect(spec.direct, database="template1") as session:
        with pytest.raises(DevdbError, match="template1") as failed:
            databases.create(spec, ttl=HOUR)
        assert "Disconnect" in failed.value.hint
        assert session.execute("SELECT 1").fetchone() == (1,)
    assert inside.entries() == {}


def test_an_instance_that_does_not_answer_is_said_so(spec: Spec) -> None:
    from dataclasses import replace

    gone = replace(spec, port=1)
    for use in (databases.every, databases.reap, lambda s: databases.create(s, ttl=HOUR)):
        with pytest.raises(EngineUnavailable, match="does not answer on port 1"):
            use(gone)


def test_no_error_shows_a_password(spec: Spec) -> None:
    from dataclasses import replace

    wrong = replace(spec, password="wrong-and-secret")
    with pytest.raises(EngineUnavailable) as failed:
        databases.every(wrong)
    assert "secret" not in f"{failed.value} {failed.value.hint} {failed.value!r}"
    made = databases.create(spec, ttl=HOUR)
    assert made.direct.password not in repr(made)
    assert spec.password not in repr(made)
