"""A temporary role sets traps for whoever comes into its database with more rights than its own.

Each trap makes the role a superuser, if ever a superuser's session runs it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import available
import libpq
import old_pgbouncer
import psycopg
import pytest
from inside import Inside, login
from instances import Instance

from devdb import databases
from devdb.databases import TemporaryDatabase

HOUR = timedelta(hours=1)

# What is in pg_catalog, with other arguments or with the same: a better match, or one that is found
# earlier. A function with these arguments is made for each of the names.
SIGNATURES = {
    "obj_description": ["oid", "oid, name", "oid, text", "name"],
    "pg_get_userbyid": ["oid"],
    "current_setting": ["text", "text, boolean"],
    "set_config": ["text, text, boolean", "text, name, boolean"],
    "format": [
        "text",
        "text, text",
        "text, text, text, text",
        "text, name",
        "text, variadic text[]",
    ],
    "quote_ident": ["text", "name"],
    "hashtext": ["text"],
    "hashtextextended": ["text, bigint"],
    "pg_advisory_xact_lock": ["bigint", "integer"],
    "current_database": [""],
    "version": [""],
    "now": [""],
    "clock_timestamp": [""],
    "to_regproc": ["text"],
    "to_regclass": ["text"],
    "count": ["text"],
    "pg_database_size": ["oid", "name"],
    "pg_available_extension_versions": [""],
    "lookup": ["text"],
    "nameeq": ["name, name"],
    "oideq": ["oid, oid"],
    "textcat": ["text, text"],
}
OPERATORS = {
    "=": ["name, text", "oid, oid", "text, text", "name, name", "text, name", "regclass, regclass"],
    "<>": ["name, text", "text, text", "name, name", "oid, oid"],
    "!~": ["name, text", "text, text"],
    "||": ["text, text", "text, name"],
}
RELATIONS = (
    "pg_database pg_authid pg_roles pg_namespace pg_class pg_proc pg_type pg_extension pg_depend "
    "pg_shdepend pg_auth_members pg_stat_activity pg_available_extension_versions pg_settings "
    "pg_description pg_operator pg_opclass pg_opfamily pg_am"
).split()
TYPES = (
    "oid regclass regproc regtype text name int4 bool boolean integer bigint timestamptz".split()
)


def set_traps(ours: TemporaryDatabase) -> None:
    """All kinds of them; what a role that is no superuser cannot define is refused here already."""
    with libpq.connect(ours.direct) as connection:

        def run(text: str) -> None:
            connection.execute(text.encode())

        run("CREATE SCHEMA evil")
        run(
            "CREATE FUNCTION evil.spring() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN"
            " IF pg_catalog.current_setting('is_superuser') OPERATOR(pg_catalog.=) 'on' THEN"
            f"  EXECUTE 'ALTER ROLE \"{ours.role}\" SUPERUSER'; END IF; RETURN true; END $$"
        )
        for name, signatures in SIGNATURES.items():
            for arguments in signatures:
                run(
                    f"CREATE FUNCTION evil.{name}({arguments}) RETURNS text LANGUAGE plpgsql AS"
                    " $$ BEGIN PERFORM evil.spring(); RETURN 'devdb 0'; END $$"
                )
        for operator, signatures in OPERATORS.items():
            for index, arguments in enumerate(signatures):
                left, right = arguments.split(", ")
                function = f"evil.op{ord(operator[0])}_{index}"
                returns = "text" if operator == "||" else "boolean"
                run(
                    f"CREATE FUNCTION {function}({arguments}) RETURNS {returns} LANGUAGE plpgsql"
                    " AS $$ BEGIN RETURN evil.spring(); END $$"
                )
                run(
                    f"CREATE OPERATOR evil.{operator}"
                    f" (FUNCTION = {function}, LEFTARG = {left}, RIGHTARG = {right})"
                )
        for name in RELATIONS:
            run(f"CREATE VIEW evil.{name} AS SELECT evil.spring() AS datname, 1 AS oid")
        for name in TYPES:
            run(f"CREATE DOMAIN evil.{name} AS pg_catalog.text CHECK (evil.spring())")
        # What hangs on the objects that a copy hands to its own role.
        run("CREATE TABLE public.t (a int CHECK (evil.spring()), b int DEFAULT 1)")
        run(
            "CREATE FUNCTION evil.pure(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM evil.spring(); RETURN $1; END $$"
        )
        run("CREATE INDEX ON public.t (evil.pure(a))")
        run("CREATE RULE r AS ON UPDATE TO public.t DO ALSO SELECT evil.spring()")
        run("CREATE MATERIALIZED VIEW public.m AS SELECT evil.spring()")
        run("CREATE TYPE evil.own AS (a int)")
        run(
            "CREATE FUNCTION evil.as_text(evil.own) RETURNS text LANGUAGE plpgsql AS"
            " $$ BEGIN RETURN evil.spring()::text; END $$"
        )
        run("CREATE CAST (evil.own AS text) WITH FUNCTION evil.as_text(evil.own) AS IMPLICIT")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run(
                "CREATE FUNCTION evil.event() RETURNS event_trigger LANGUAGE plpgsql AS"
                " $$ BEGIN PERFORM evil.spring(); END $$;"
                "CREATE EVENT TRIGGER trap ON ddl_command_start EXECUTE FUNCTION evil.event()"
            )
        run(f'ALTER DATABASE "{ours.name}" SET search_path = evil, pg_catalog, public')
        run(f'ALTER ROLE "{ours.role}" SET search_path = evil, pg_catalog, public')
        run(f'ALTER DATABASE "{ours.name}" SET default_transaction_read_only = on')
        run(f"ALTER DATABASE \"{ours.name}\" SET statement_timeout = '1s'")


@pytest.fixture(params=["native-old", "native-new", "docker-old", "docker-new"])
def instance(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Instance]:
    """Instances whose PgBouncer asks in the database a client wants (1.18), and newer ones."""
    engine, age = request.param.split("-")
    image = None
    if engine == "docker" and available.why_not("docker") is None:
        images = os.environ.get("DEVDB_TEST_PGBOUNCER_IMAGES", "").split(",")
        images = [each for each in images if each] or [""]
        image = images[0] if age == "old" else images[-1]
        if (age == "old") != image.endswith("1.18"):
            pytest.skip(f"no {age} PgBouncer image: {image or 'none is named'}")
    elif age == "old":
        program = old_pgbouncer.get()
        if not isinstance(program, Path):
            pytest.skip(f"no PgBouncer 1.18: {program}")
        monkeypatch.setenv("DEVDB_PGBOUNCER", str(program))
    instance = Instance(engine, reaper=databases.REAPER, pooler_image=image)
    yield instance
    instance.destroy()


def test_no_trap_of_a_temporary_role_is_sprung(instance: Instance) -> None:
    spec, inside = instance.spec, Inside(instance.spec)
    ours = databases.create(spec, ttl=HOUR, name="ours")
    set_traps(ours)
    assert login(ours.pooled) == "in"
    instance.start()
    instance.stop()
    instance.start()
    assert login(ours.pooled) == "in"
    copy = databases.create(spec, ttl=HOUR, source=ours.name, name="copy")
    assert login(copy.pooled) == "in"
    databases.extend(spec, ours.name, 2 * HOUR)
    databases.every(spec)
    databases.claim(spec, copy.name, "kept")
    instance.start()
    inside.expire(ours.name)
    databases.reap(spec)
    assert inside.sql("SELECT rolname FROM pg_roles WHERE rolsuper") == ["devdb"]
    databases.drop(spec, ["kept"], claimed=True)
