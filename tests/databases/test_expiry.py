"""Expiry is enforced by the servers: nothing of devdb runs between making one and looking."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import libpq
import psycopg
import pytest
from inside import Inside, login, until
from instances import Instance

from devdb import databases
from devdb.errors import DevdbError
from devdb.model import Spec

HOUR = timedelta(hours=1)


def test_from_the_second_it_expires_both_urls_refuse(spec: Spec, inside: Inside) -> None:
    made = databases.create(spec, ttl=HOUR)
    idle = libpq.connect(made.pooled, prepare_threshold=None)
    assert login(made.direct) == login(made.pooled) == "in"
    databases.extend(spec, made.name, timedelta(seconds=1))
    until(lambda: databases.every(spec)[0].state == "expired")
    assert "password authentication failed" in login(made.direct)
    assert "authentication failed" in login(made.pooled)
    assert idle.execute("SELECT 1").fetchone() == (1,)  # what is open is the reaper's to end
    idle.close()
    databases.reap(spec)
    for endpoint in (made.direct, made.pooled):
        start = time.monotonic()
        assert login(endpoint) != "in"
        # Below 1.19 PgBouncer looks a role up in the client's database, which is not there.
        assert time.monotonic() - start < (10 if inside.pooler() >= (1, 19) else 20)


def test_reap_drops_what_expired_and_ends_its_sessions(spec: Spec, inside: Inside) -> None:
    short, long = (databases.create(spec, ttl=HOUR) for _ in range(2))
    sessions = [
        libpq.connect(endpoint, prepare_threshold=None)
        for endpoint in (short.direct, short.direct, short.pooled, short.pooled)
    ]
    sessions[0].execute("BEGIN")
    sessions[0].execute("CREATE TABLE t (a int)")
    sessions[2].execute("BEGIN")
    sessions[2].execute("SELECT 1")
    inside.expire(short.name)
    assert databases.reap(spec) == [short.name]
    for session in sessions:
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
        session.close()
    assert inside.entries() == {long.name: "ready"}
    inside.assert_tidy()


def test_a_pooled_client_of_a_name_made_anew_gets_in_within_a_second(spec: Spec) -> None:
    """And who was connected to the old one is not: it is another database now."""
    took = []
    for _ in range(3):  # on a busy machine any login may take long: the quickest counts
        old = databases.create(spec, ttl=HOUR, name="anew")
        idle = libpq.connect(old.pooled, prepare_threshold=None)
        idle.execute("SELECT 1")
        databases.drop(spec, ["anew"])
        assert login(old.pooled) != "in"
        new = databases.create(spec, ttl=HOUR, name="anew")
        start = time.monotonic()
        assert login(new.pooled) == "in"
        took.append(time.monotonic() - start)
        with pytest.raises(psycopg.OperationalError):
            idle.execute("SELECT 1")
        idle.close()
        databases.drop(spec, ["anew"])
    assert min(took) < 1


def test_a_database_of_somebodys_own_is_never_touched(spec: Spec, inside: Inside) -> None:
    """Also when it bears the name of a temporary one that was dropped by hand."""
    names = {
        case: databases.create(spec, ttl=HOUR).name for case in ("by name", "by owner", "renamed")
    }
    inside.expire(*names.values())
    inside.sql(f'DROP DATABASE "{names["by name"]}"')
    inside.sql(f'CREATE DATABASE "{names["by name"]}"')
    inside.sql(f'ALTER DATABASE "{names["by owner"]}" OWNER TO devdb')
    inside.sql(f'ALTER DATABASE "{names["renamed"]}" RENAME TO kept_by_hand')
    inside.sql("CREATE DATABASE temp_like_ours")
    mine = {names["by name"], names["by owner"], "kept_by_hand", "temp_like_ours"}
    databases.reap(spec)
    databases.reap(spec)
    try:
        assert mine <= inside.databases()
        assert inside.closed() == []
        assert [one.name for one in databases.every(spec)] == []
        for name in mine:
            assert login(spec.direct, database=name) == login(spec.pooled, database=name) == "in"
    finally:
        for name in mine:
            inside.sql(f'DROP DATABASE "{name}" WITH (FORCE)')
    databases.reap(spec)
    assert inside.roles() == set()


@pytest.mark.parametrize("expired", [False, True])
def test_an_entry_whose_database_was_dropped_by_hand_goes(
    spec: Spec, inside: Inside, expired: bool
) -> None:
    made = databases.create(spec, ttl=HOUR)
    if expired:
        inside.expire(made.name)
    inside.sql(f'DROP DATABASE "{made.name}"')
    assert databases.every(spec) == []
    databases.reap(spec)
    assert inside.entries() == {}
    inside.assert_tidy()


def test_what_has_no_entry_stays_but_lets_nobody_in(spec: Spec, inside: Inside) -> None:
    made = databases.create(spec, ttl=HOUR)
    inside.expire(made.name)
    inside.sql("DELETE FROM _devdb.databases")
    databases.reap(spec)
    assert made.name in inside.databases()
    assert login(made.direct) != "in"
    assert login(made.pooled) != "in"
    inside.sql(f'DROP DATABASE "{made.name}" WITH (FORCE)')
    inside.sql(f'DROP ROLE "{made.name}"')


def test_a_claimed_one_may_be_made_anew_by_hand(spec: Spec, inside: Inside) -> None:
    made = databases.create(spec, ttl=HOUR, name="kept")
    databases.claim(spec, "kept")
    inside.sql("DROP DATABASE kept WITH (FORCE)")
    databases.reap(spec)
    inside.sql("CREATE DATABASE kept OWNER kept")
    assert login(made.direct) == login(made.pooled) == "in"
    inside.sql("DROP DATABASE kept WITH (FORCE)")
    again = databases.create(spec, ttl=HOUR, name="kept")
    assert login(made.direct) != "in"
    assert login(again.direct) == "in"


def test_a_role_that_something_depends_on_waits_for_that(spec: Spec, inside: Inside) -> None:
    made = databases.create(spec, ttl=HOUR)
    inside.sql("CREATE TABLE given (a int)", database="main")
    inside.sql(f'ALTER TABLE given OWNER TO "{made.role}"', database="main")
    databases.drop(spec, [made.name])
    assert made.name not in inside.databases()
    assert login(made.direct) != "in"
    assert databases.every(spec) == []
    assert inside.sql("SELECT a FROM given", database="main") == []
    inside.sql("DROP TABLE given", database="main")
    databases.reap(spec)
    inside.assert_tidy()


def test_one_that_resists_does_not_keep_the_others(spec: Spec, inside: Inside) -> None:
    """A subscription keeps its database from being dropped."""
    one, two = (databases.create(spec, ttl=HOUR, name=name) for name in ("one", "two"))
    subscribe = (
        "CREATE SUBSCRIPTION sub CONNECTION 'host=nowhere' PUBLICATION p"
        " WITH (connect = false, slot_name = NONE)"
    )
    inside.sql(subscribe, database="one")
    with pytest.raises(DevdbError, match="subscription"):
        databases.drop(spec, ["one"])
    inside.expire(two.name)
    assert databases.reap(spec) == ["two"]
    assert login(one.direct) != "in"
    assert inside.entries() == {"one": "dropping"}
    inside.sql("ALTER DATABASE one ALLOW_CONNECTIONS true")
    inside.sql("DROP SUBSCRIPTION sub", database="one")
    assert databases.reap(spec) == ["one"]


def test_an_instance_that_never_had_one_has_nothing_to_reap(
    new_instance: Callable[..., Instance],
) -> None:
    spec = new_instance().spec
    assert databases.every(spec) == []
    assert databases.reap(spec) == []
