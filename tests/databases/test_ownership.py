"""A copy belongs to its role: every object of every kind, and nothing outside of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import libpq
import psycopg
import pytest
from inside import Inside
from instances import Instance

from devdb import databases
from devdb.model import Spec

HOUR = timedelta(hours=1)
OBJECTS = Path(__file__).with_name("objects.sql").read_text()

CATALOGS = (
    *(("pg_class", "rel"), ("pg_proc", "pro"), ("pg_type", "typ"), ("pg_namespace", "nsp")),
    *(("pg_operator", "opr"), ("pg_opclass", "opc"), ("pg_opfamily", "opf")),
    *(("pg_collation", "coll"), ("pg_conversion", "con"), ("pg_ts_dict", "dict")),
    *(("pg_ts_config", "cfg"), ("pg_statistic_ext", "stx"), ("pg_foreign_server", "srv")),
    *(("pg_foreign_data_wrapper", "fdw"), ("pg_publication", "pub"), ("pg_extension", "ext")),
    *(("pg_event_trigger", "evt"), ("pg_language", "lan")),
)
DERIVED = {
    "pg_class": " AND relkind <> 'c'",
    "pg_type": " AND typrelid = 0 AND typcategory <> 'A'",
}
NOT_THE_ROLES = " UNION ALL ".join(
    f"SELECT {prefix}name FROM {catalog} c WHERE {prefix}owner <> current_user::regrole"
    f" AND oid >= 16384{DERIVED.get(catalog, '')} AND NOT EXISTS (SELECT FROM pg_depend d"
    f"  WHERE d.classid = '{catalog}'::regclass AND d.objid = c.oid AND d.deptype = 'e')"
    for catalog, prefix in CATALOGS
)
ONLY_A_SUPERUSER = {"dblink", "watch", "wrapper_of_a_superuser"}


@pytest.fixture
def origin(inside: Inside) -> Iterator[str]:
    inside.sql("CREATE ROLE somebody")
    inside.sql("CREATE DATABASE origin OWNER somebody")
    with libpq.connect(inside.spec.direct, database="origin") as connection:
        connection.execute(OBJECTS.encode())
        if connection.info.server_version >= 150000:
            connection.execute("CREATE PUBLICATION of_a_schema FOR TABLES IN SCHEMA public")
        connection.execute("CREATE EVENT TRIGGER watch ON ddl_command_start EXECUTE FUNCTION et()")
    yield "origin"
    inside.sql("DROP DATABASE origin WITH (FORCE)")
    inside.sql("DROP ROLE somebody")


def test_everything_that_can_be_is_the_roles(spec: Spec, origin: str) -> None:
    made = databases.create(spec, ttl=HOUR, source=origin)
    with libpq.connect(made.direct) as connection:
        left = {row[0] for row in connection.execute(NOT_THE_ROLES.encode())}
        large = connection.execute(
            "SELECT DISTINCT lomowner = current_user::regrole FROM pg_largeobject_metadata"
        ).fetchall()
        ran_as = connection.execute("SELECT whoami()").fetchone()
    # A PgBouncer below 1.19 looks roles up in every database.
    assert left - {"pg_devdb", "lookup"} == ONLY_A_SUPERUSER
    assert large == [(True,)]
    assert ran_as == (made.role,)


def test_the_origin_and_the_other_databases_keep_their_owners(
    spec: Spec, inside: Inside, origin: str
) -> None:
    owners = (
        "SELECT refobjid::regrole::text, classid::regclass::text, objid::bigint FROM pg_shdepend"
        " WHERE deptype = 'o' AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = %s))"
    )
    listed = "SELECT datname, datdba::regrole::text FROM pg_database"
    before = set(inside.sql(owners, origin)), set(inside.sql(listed))
    made = databases.create(spec, ttl=HOUR, source=origin)
    after = set(inside.sql(owners, origin)), set(inside.sql(listed))
    assert after[0] - before[0] == {
        (made.role, "pg_database", oid)
        for oid in inside.sql("SELECT oid::bigint FROM pg_database WHERE datname = %s", made.name)
    }
    assert after[1] - before[1] == {(made.name, made.role)}
    assert before[0] <= after[0]


def test_its_role_can_change_and_drop_it_all(spec: Spec, inside: Inside, origin: str) -> None:
    inside.sql("DROP EVENT TRIGGER watch", database=origin)
    made = databases.create(spec, ttl=HOUR, source=origin)
    with libpq.connect(made.direct) as connection:
        for statement in (
            'ALTER TABLE "Odd Schema"."T a" ADD COLUMN more int',
            "DROP EXTENSION hstore CASCADE",
            'DROP SCHEMA "Odd Schema" CASCADE',
            "DROP SCHEMA public CASCADE",
            "CREATE SCHEMA public",
        ):
            connection.execute(statement.encode())


def test_more_objects_than_there_is_room_for_locks(
    new_instance: Callable[..., Instance],
) -> None:
    """Every change of an owner holds a lock to the end of its transaction."""
    spec = new_instance(settings={"max_locks_per_transaction": "10", "max_connections": "20"}).spec
    with libpq.connect(spec.direct) as connection:
        connection.execute(
            "DO $$ BEGIN FOR n IN 1..2500 LOOP"
            " EXECUTE format('CREATE TABLE t%s (a int)', n);"
            " IF n % 100 = 0 THEN COMMIT; END IF; END LOOP; END $$"
        )
        with pytest.raises(psycopg.errors.OutOfMemory), connection.transaction():
            connection.execute(
                "DO $$ BEGIN FOR n IN 1..2500 LOOP"
                " EXECUTE format('ALTER TABLE t%s OWNER TO devdb_pooler', n); END LOOP; END $$"
            )
    made = databases.create(spec, ttl=HOUR, source="main")
    with libpq.connect(made.direct) as connection:
        mine = connection.execute(
            "SELECT count(*) FROM pg_tables WHERE tableowner = current_user"
        ).fetchone()
    assert mine == (2500,)
