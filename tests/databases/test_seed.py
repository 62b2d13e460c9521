from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import libpq
import pytest
from inside import Inside, login
from instances import Instance

from devdb import databases
from devdb.databases import TemporaryDatabase, registry
from devdb.databases.seeding import opened
from devdb.databases.seeding.loading import Psql
from devdb.engines import programs
from devdb.errors import DevdbError, EngineUnavailable, UsageError
from devdb.model import Spec
from devdb.psql import own_environment

HOUR = timedelta(hours=1)
SQL = """
CREATE EXTENSION hstore;
CREATE TABLE people (name text, "quoted ; name" text);
COPY people FROM stdin;
Ada\tsemi;colon
Bob\t\\N
\\.
CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT 'a;b' $$;
\\echo a command of psql
INSERT INTO people SELECT current_user;
"""
DUMP = r"""--
-- PostgreSQL database dump
--

\restrict key

SET statement_timeout = 0;
SET transaction_timeout = 0;
SET a_timeout_of_the_future = 0;
SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
DROP DATABASE IF EXISTS shop;
CREATE DATABASE shop WITH TEMPLATE = template0 ENCODING = 'UTF8';
ALTER DATABASE shop OWNER TO boss;
\unrestrict key
\connect shop
\restrict key
SELECT pg_catalog.set_config('search_path', '', false);
CREATE SCHEMA public;
ALTER SCHEMA public OWNER TO pg_database_owner;
COMMENT ON SCHEMA public IS 'standard public schema';
CREATE SCHEMA app AUTHORIZATION boss;
CREATE EXTENSION IF NOT EXISTS plpgsql WITH SCHEMA pg_catalog;
COMMENT ON EXTENSION plpgsql IS 'PL/pgSQL procedural language';
CREATE EXTENSION IF NOT EXISTS moddatetime WITH SCHEMA app;
CREATE FUNCTION app.told() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
-- ALTER TABLE public.film OWNER TO boss;
END $$;
SET default_tablespace = fast;
SET default_table_access_method = heap;
CREATE TABLE public.film (id integer NOT NULL, title text);
SET default_tablespace = '';
ALTER TABLE public.film OWNER TO boss;
COPY public.film (id, title) FROM stdin;
1	ALTER TABLE public.film OWNER TO boss;
2	\\connect elsewhere
\.
SELECT lo_from_bytea(4711, 'large');
ALTER LARGE OBJECT 4711 OWNER TO boss;
CREATE EVENT TRIGGER teller ON ddl_command_end
    EXECUTE FUNCTION app.told();
CREATE PUBLICATION everything FOR ALL TABLES;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT SELECT ON TABLE public.film TO reader;
\unrestrict key

--
-- PostgreSQL database dump complete
--
"""

Load = Callable[..., TemporaryDatabase]


@pytest.fixture
def load(spec: Spec, shared: Instance, tmp_path: Path) -> Load:
    """Makes a database from a file, or from what a file is to hold."""

    def make(content: str | bytes | Path, **options: Any) -> TemporaryDatabase:
        file = content if isinstance(content, Path) else tmp_path / "a seed"
        if isinstance(content, str):
            file.write_text(content)
        elif isinstance(content, bytes):
            file.write_bytes(content)
        with opened(file) as seed:
            return databases.create(spec, ttl=HOUR, seed=seed, tools=shared.tool, **options)

    return make


def asked(made: TemporaryDatabase, query: str) -> list[Any]:
    """The first column of the rows, as the database's own role."""
    with libpq.connect(made.direct) as connection:
        return [row[0] for row in connection.execute(query.encode()).fetchall()]


def people(made: TemporaryDatabase) -> list[Any]:
    return asked(made, "SELECT name FROM people ORDER BY name")


def test_sql_is_run_by_psql_as_the_new_role(load: Load) -> None:
    for content in (SQL, gzip.compress(SQL.encode())):
        made = load(content)
        assert people(made) == ["Ada", "Bob", made.name]
        assert login(made.pooled) == "in"
        assert made.left == HOUR
        assert made.loaded is not None
        assert made.loaded.counts() == {}


def test_what_a_dump_says_of_other_places_is_skipped_and_counted(
    load: Load, inside: Inside
) -> None:
    made = load(DUMP)
    assert made.loaded is not None
    newer = inside.sql("SHOW server_version_num")[0] >= "170000"
    assert made.loaded.counts() == {
        "owners": 5,
        "database_commands": 3,
        "grants": 2,
        "settings": 1 if newer else 2,
        "extension_comments": 1,
        "tablespaces": 1,
        "event_triggers": 1,
        "publications": 1,
    }
    assert made.loaded.remarks == ()
    [command] = made.loaded.by_hand("shop", made.name)
    assert command == (
        f"devdb psql -n shop -d {made.name} -c 'CREATE EVENT TRIGGER teller ON ddl_command_end "
        "EXECUTE FUNCTION app.told();'"
    )
    titles = ["ALTER TABLE public.film OWNER TO boss;", r"\connect elsewhere"]
    assert asked(made, "SELECT title FROM public.film ORDER BY id") == titles
    owners = "SELECT DISTINCT pg_get_userbyid(relowner)::text FROM pg_class WHERE relname = 'film'"
    assert asked(made, owners) == [made.role]
    assert asked(made, "SELECT convert_from(lo_get(4711), 'UTF8')") == ["large"]
    # Not a trusted one: it was made by the superuser, before there was anything in the database.
    whose = "SELECT pg_get_userbyid(extowner)::text FROM pg_extension WHERE extname = 'moddatetime'"
    assert asked(made, whose) == ["devdb"]
    assert "shop" not in inside.databases()


def test_what_pg_dump_makes_is_loaded_in_each_of_its_formats(
    load: Load, shared: Instance, inside: Inside, tmp_path: Path
) -> None:
    inside.sql(
        "CREATE ROLE someone; CREATE TABLE people AS SELECT 'Eve' AS name;"
        "ALTER TABLE people OWNER TO someone; GRANT SELECT ON people TO PUBLIC",
        database="main",
    )
    try:
        dumps = [pg_dump(shared, "-C"), pg_dump(shared, "-Fc"), pg_dump(shared, "-Ft")]
        dumps.append(pg_dump(shared, "-Fc", "-n", "public"))
    finally:
        inside.sql("DROP TABLE people; DROP ROLE someone", database="main")
    plain, custom, tar, _ = dumps
    directory = tmp_path / "directory"
    unpack(tar, directory)  # laid out alike
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as file:
        file.add(directory, "directory")
    for seed in (*dumps, gzip.compress(custom), gzip.compress(tar), directory, packed.getvalue()):
        made = load(seed)
        assert people(made) == ["Eve"]
        assert made.loaded is not None
        assert made.loaded.counts()["owners"] in (1, 2)  # of the database or the schema too
        assert made.loaded.counts()["grants"] == 1
    for seed, said in (
        (custom[: len(custom) // 2], "pg_restore cannot read"),
        (tar[: len(tar) // 2], "cut off"),
        (gzip.compress(tar[: len(tar) // 2]), "cut off"),
        (gzip.compress(custom)[:-20], "cut off"),
        (plain[: plain.index(b"Eve") + 3], "cut off"),
    ):
        with pytest.raises(DevdbError, match=said):
            load(seed)
    with pytest.raises(DevdbError, match="unsupported version") as newer:
        load(b"PGDMP\x01\x7f" + custom[7:])
    assert "--pg" in newer.value.hint


def unpack(tar: bytes, directory: Path) -> None:
    directory.mkdir()
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        for member in archive:
            content = archive.extractfile(member)
            assert content is not None, "there are only files in it"
            (directory / member.name).write_bytes(content.read())


def pg_dump(instance: Instance, *options: str) -> bytes:
    return subprocess.run(
        [*instance.tool("pg_dump"), "-U", "devdb", *options, "main"],
        env=own_environment(instance.spec.password),
        capture_output=True,
        check=True,
    ).stdout


def test_rows_are_loaded_in_any_order_and_the_right_to_it_is_taken_back(
    load: Load, inside: Inside
) -> None:
    tables = "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (id int REFERENCES p);\n"
    rows = "COPY c FROM stdin;\n1\n\\.\nINSERT INTO p VALUES (1);\n"
    for_good = (
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET session_replication_role = replica',"
        " current_database()); END $$;\n"
    )
    for off, on in (
        ("SET session_replication_role = replica;\n", ""),
        ("ALTER TABLE c DISABLE TRIGGER ALL;\n", "ALTER TABLE c ENABLE TRIGGER ALL;\n"),
    ):
        made = load(tables + off + rows + for_good + on)
        assert asked(made, "SELECT id FROM c") == [1]
        assert asked(made, "SHOW session_replication_role") == ["origin"]
        with libpq.connect(made.direct) as connection, pytest.raises(Exception, match="denied"):
            connection.execute("SET session_replication_role = replica")
    assert granted(inside) == []
    with pytest.raises(DevdbError, match="violates foreign key") as failed:
        load(
            tables + "SET session_replication_role = replica;\n" + "SET session_replication_role = "
            "origin;\n" + rows
        )
    assert "session_replication_role" in failed.value.hint
    assert granted(inside) == []


def test_of_a_devdb_that_was_killed_no_right_stays(spec: Spec, inside: Inside) -> None:
    with registry.session(spec) as session:
        [(entry,)] = session.query("SELECT _devdb.enter('left', '1h')")
        session.query("SELECT _devdb.allow_replica({})", entry)
    assert granted(inside) == ["left"]
    databases.reap(spec)
    assert (granted(inside), inside.roles()) == ([], set())


def granted(inside: Inside) -> list[Any]:
    """The roles that have a right on a setting."""
    return inside.sql(
        "SELECT rolname::text FROM pg_parameter_acl, aclexplode(paracl) a"
        " JOIN pg_roles r ON r.oid = a.grantee WHERE rolname <> 'devdb'"
    )


def test_files_that_a_seed_names_are_this_machines(load: Load, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("Ada,1\nBob,2\n")
    (tmp_path / "part.sql").write_text(
        f"CREATE TABLE people (name text, age int);\n\\copy people from {tmp_path}/rows.csv csv\n"
    )
    assert people(
        load("\\ir part.sql\n\\set name 'Cy'\nINSERT INTO people VALUES (:'name');\n")
    ) == [
        "Ada",
        "Bob",
        "Cy",
    ]
    (tmp_path / "rows.csv").write_text("Ada,1\nBob,old\n")
    with pytest.raises(DevdbError, match=r"rows\.csv:\d.*invalid input.*line 2"):
        load("\\ir part.sql\n")


def test_no_command_reaches_psql_that_was_not_let_through(load: Load, tmp_path: Path) -> None:
    """Not even where the server was told to read texts in another way than it is believed to."""
    mark = tmp_path / "run"
    with pytest.raises(DevdbError, match="may not run a program"):
        load(f"SELECT 1;\n\\! touch {mark}\n")
    trick = (
        "DO $$ BEGIN PERFORM set_config('standard_'||'conforming_strings', 'off', false); END $$;"
    )
    with pytest.raises(DevdbError, match="restricted"):
        load(f"{trick}\nSELECT 'a\\', ' \\! touch {mark}\n';\n")
    assert not mark.exists()


@pytest.mark.parametrize(
    "seed", ["BEGIN;\nCREATE TABLE t ();\nROLLBACK;\n", "CREATE ROLE a;", "--"]
)
def test_that_nothing_came_of_it_is_said(load: Load, seed: str) -> None:
    made = load(seed)
    assert made.loaded is not None
    assert made.loaded.remarks == ("nothing came of it: the database is empty",)


def test_what_is_left_open_is_committed_and_said(load: Load) -> None:
    made = load("BEGIN;\nCREATE TABLE people AS SELECT 'Ada' AS name")
    assert people(made) == ["Ada"]
    assert made.loaded is not None
    assert "no COMMIT" in made.loaded.remarks[0]


def test_what_a_pipe_holds_can_be_a_seed(load: Load, shared: Instance, inside: Inside) -> None:
    inside.sql("CREATE TABLE people AS SELECT 'Eve' AS name", database="main")
    try:
        dump = pg_dump(shared, "-Fc")
    finally:
        inside.sql("DROP TABLE people", database="main")
    for content in (SQL.encode() + b"-- " + b"x" * 200_000, dump):
        reading, writing = os.pipe()
        with open(writing, "wb") as pipe:  # noqa: PTH123
            writer = threading.Thread(
                target=lambda pipe=pipe, c=content: (pipe.write(c), pipe.close())
            )
            writer.start()
            assert people(load(Path(f"/dev/fd/{reading}")))
            writer.join()
        os.close(reading)


@pytest.mark.parametrize(
    ("script", "said", "way_out"),
    [
        ("CREATE TABLE t ();\nSELECT nonsense;", ':2: column "nonsense" does not exist', "Mend"),
        ("CREATE EXTENSION dblink;", "permission denied to create extension", "template1"),
        ("CREATE EXTENSION nonesuch;", "is not available", "--image"),
        ("SELECT uuid_generate_v4();", "does not exist", "uuid-ossp"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'a', 'b';", "language c", "superuser"),
        ("CREATE TABLE t (a int);\nCOPY t FROM stdin;\n1\nx\n\\.\n", "COPY t, line 2", "row"),
        ("CREATE TABLE t ();\nCREATE POLICY p ON t TO reader;", 'role "reader"', "CREATE ROLE"),
        ("\\connect a\nCREATE TABLE t ();\n\\connect b\n", "several databases", "single"),
        ("SELECT 'no end", "cut off", "anew"),
    ],
)
def test_an_error_is_told_with_the_way_out_and_leaves_nothing(
    load: Load, inside: Inside, script: str, said: str, way_out: str
) -> None:
    with pytest.raises(DevdbError) as failed:
        load(script)
    assert said in failed.value.message
    assert "a seed" in failed.value.message
    assert way_out in failed.value.hint
    assert inside.entries() == {}
    inside.assert_tidy()


def test_an_error_early_in_a_big_packed_seed_is_still_told(load: Load, inside: Inside) -> None:
    """psql is gone by the time most of the file has been unpacked for it."""
    with pytest.raises(DevdbError, match="nonsense"):
        load(gzip.compress(b"SELECT nonsense;\n" + b"SELECT 1;\n" * 300_000, 1))
    assert inside.entries() == {}


def test_a_copy_is_seeded_as_it_is(load: Load, inside: Inside) -> None:
    """Nothing is made in it by the superuser: what is in it may be anybody's."""
    inside.sql("CREATE TABLE kept AS SELECT 1 AS a", database="main")
    try:
        made = load("INSERT INTO kept VALUES (2);", source="main")
        assert asked(made, "SELECT a FROM kept") == [1, 2]
        with pytest.raises(DevdbError, match="permission denied to create extension"):
            load("CREATE EXTENSION moddatetime;", source="main")
    finally:
        inside.sql("DROP TABLE kept", database="main")


def test_what_cannot_be_a_seed_is_refused_before_anything_is_made(
    spec: Spec, inside: Inside, tmp_path: Path
) -> None:
    (tmp_path / "empty.sql").write_text("")
    for seed in (tmp_path / "empty.sql", tmp_path / "missing.sql", tmp_path):
        with pytest.raises(UsageError), opened(seed):
            pass
    assert inside.entries() == {}


def test_without_a_psql_it_says_how_to_get_one(spec: Spec, inside: Inside, tmp_path: Path) -> None:
    (tmp_path / "seed.sql").write_text(SQL)
    with opened(tmp_path / "seed.sql") as seed, pytest.raises(EngineUnavailable) as none:
        databases.create(spec, ttl=HOUR, seed=seed, tools=lambda tool: [f"/nowhere/{tool}"])
    assert "/nowhere/psql" in none.value.message
    assert inside.entries() == {}


def test_without_a_psql_here_that_is_new_enough_the_containers_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Also for a directory, which the container does not have."""
    instance = Instance("docker")
    request.addfinalizer(instance.destroy)
    monkeypatch.setattr(programs, "client", lambda _tool, _major: None)
    (tmp_path / "a.sql").write_text(SQL)
    (tmp_path / "b.tar").write_bytes(pg_dump(instance, "-Ft"))
    unpack((tmp_path / "b.tar").read_bytes(), tmp_path / "directory")
    for seed in ("a.sql", "b.tar", "directory"):
        with opened(tmp_path / seed) as content, Psql(instance.tool) as psql:
            assert Path(psql.argv[0]).name == "docker"
            made = databases.create(instance.spec, ttl=HOUR, seed=content, tools=instance.tool)
        assert login(made.direct) == "in"
        assert instance.spec.password not in " ".join(psql.argv)
