from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from inside import Inside, login

from devdb import databases, postgres, sessions
from devdb.databases import Kind, registry
from devdb.model import Spec

HOUR = timedelta(hours=1)
OIDS = "SELECT oid FROM pg_proc WHERE pronamespace = '_devdb'::regnamespace ORDER BY oid"
FUNCTIONS = "SELECT proname FROM pg_proc WHERE pronamespace = '_devdb'::regnamespace"


def test_an_older_registry_is_brought_up_to_date_with_its_entries(
    spec: Spec, inside: Inside
) -> None:
    made = databases.create(spec, ttl=HOUR)
    functions = set(inside.sql(FUNCTIONS))
    inside.sql("COMMENT ON TABLE _devdb.databases IS 'devdb 0'")
    inside.sql("DROP FUNCTION _devdb.drain, _devdb.reopen(text[])")
    inside.sql("CREATE FUNCTION _devdb.reopen(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'")
    [found] = databases.every(spec)
    assert (found.name, found.direct) == (made.name, made.direct)
    assert set(inside.sql(FUNCTIONS)) == functions
    assert login(spec.pooled) == login(found.pooled) == "in"


def test_passwords_made_by_an_older_devdb_stay_as_long_as_they_are(
    spec: Spec, inside: Inside
) -> None:
    new = databases.create(spec, ttl=HOUR, name="new")
    with registry.session(spec) as session:
        [(entry,)] = session.query("SELECT _devdb.enter('old', '1 hour')")
        session.query("CREATE DATABASE old OWNER old")
        verifier = postgres.verifier(spec.derive(f"temporary:{entry}"))
        session.query("SELECT _devdb.finish({}, {}, '1 hour')", entry, verifier)
    for version in ("as it is", "as it was"):
        if version == "as it was":
            databases.drop(spec, ["new"])
            inside.sql(
                "ALTER TABLE _devdb.databases DROP characters CASCADE, DROP tried,"
                " DROP kind CASCADE, DROP own_role CASCADE, DROP project,"
                " ADD CHECK (expires IS NOT NULL OR state = 'claimed')"
            )
            inside.sql("ALTER TABLE _devdb.databases RENAME TO temporary")
            inside.sql("COMMENT ON TABLE _devdb.temporary IS 'devdb 4'")
        old = next(one for one in databases.every(spec) if one.name == "old")
        assert len(old.direct.password) == 43
        assert login(old.direct) == login(old.pooled) == "in"
    assert databases.ensure(spec, "stays", Kind.TEST)
    databases.drop(spec, ["stays"])
    assert len(new.direct.password) == len(new.pooled.password) == 24


def test_a_newer_registry_is_left_alone(spec: Spec, inside: Inside) -> None:
    made = databases.create(spec, ttl=HOUR)
    inside.sql("COMMENT ON TABLE _devdb.databases IS 'devdb 999'")
    inside.sql("CREATE FUNCTION _devdb.later() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    try:
        assert [one.name for one in databases.every(spec)] == [made.name]
        assert "later" in inside.sql(FUNCTIONS)
    finally:
        inside.sql("DROP FUNCTION _devdb.later")
        inside.sql(f"COMMENT ON TABLE _devdb.databases IS 'devdb {registry.VERSION}'")


def test_of_many_at_once_one_installs_it(spec: Spec, inside: Inside) -> None:
    """A second one would drop what others are calling at that moment."""
    assert databases.every(spec) == []
    inside.sql("DROP TABLE _devdb.databases, _devdb.closed CASCADE")

    def installed(_: int) -> list[int]:
        with registry.session(spec) as session:
            return [oid for (oid,) in session.query(OIDS)]

    with ThreadPoolExecutor(20) as pool:
        seen = list(pool.map(installed, range(20)))
    assert seen[0]
    assert seen == [inside.sql(OIDS)] * 20
    databases.create(spec, ttl=HOUR)


def test_settings_of_the_users_do_not_reach_it(spec: Spec) -> None:
    """A server that cuts everything short, speaks other dates and is read-only by default."""
    settings = {
        "statement_timeout": "1ms",
        "default_transaction_read_only": "on",
        "default_transaction_isolation": "serializable",
        "datestyle": "SQL, DMY",
        "intervalstyle": "iso_8601",
        "timezone": "Asia/Kathmandu",
        "search_path": "nowhere",
    }
    with sessions.direct(spec.direct) as session:
        for key, value in settings.items():
            session.query(f"ALTER ROLE devdb SET {key} = '{value}'")
        try:
            made = databases.create(spec, ttl=HOUR)
            assert made.expires is not None
            assert made.created + HOUR == made.expires
            extended = databases.extend(spec, made.name, 2 * HOUR)
            assert extended.left is not None
            assert HOUR < extended.left <= 2 * HOUR
            assert login(made.direct) == "in"
            databases.drop(spec, [made.name])
        finally:
            session.query("ALTER ROLE devdb RESET ALL")
