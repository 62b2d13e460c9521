"""What a seed is, how its script is cut, what is left out of it, and what an error means."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devdb.databases.seeding import (
    commands,
    content,
    extensions,
    failure,
    loading,
    opened,
    unpacking,
)
from devdb.databases.seeding.content import Kind
from devdb.databases.seeding.feeding import Feed
from devdb.databases.seeding.lexing import CutOff, Script
from devdb.databases.seeding.lexing import Kind as Cut
from devdb.databases.seeding.sieve import Around, Sieve, Skip
from devdb.errors import DevdbError, UsageError
from devdb.model import Spec

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SQL = b"CREATE TABLE t (a int);\n"
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "zstd": zstd.compress,
}


def seed(directory: Path, data: bytes) -> Path:
    path = directory / "Seed.PNG"  # its name says nothing
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("packing", PACKED)
def test_packed_in_whatever_it_is_unpacked(tmp_path: Path, packing: str) -> None:
    pack = PACKED[packing]
    big = SQL * 100_000
    for data, expected in (
        (pack(big), big),
        (pack(SQL) + pack(SQL), SQL * 2),
        (pack(pack(SQL)), SQL),
        (gzip.compress(pack(SQL)), SQL),
    ):
        if packing == "lzma" and data.startswith(pack(SQL) + b"\x5d"):
            continue  # this old format has no end that another could follow
        with opened(seed(tmp_path, data)) as found:
            assert b"".join(found.reader.blocks()) == expected
            assert (found.kind, found.reader.remarks) == (Kind.PLAIN, [])
    with (
        pytest.raises((DevdbError, unpacking.Damaged), match=r"cut off|damaged"),
        opened(seed(tmp_path, pack(big)[:-20])) as found,
    ):
        for _ in found.reader.blocks():
            pass
    with pytest.raises(UsageError, match="has nothing in it"), opened(seed(tmp_path, pack(b""))):
        pass


def test_what_stands_behind_packed_data_is_told_or_filling(tmp_path: Path) -> None:
    for behind, remarks in ((b"\0" * 3000, 0), (b"garbage", 1)):
        with opened(seed(tmp_path, gzip.compress(SQL) + behind)) as found:
            assert b"".join(found.reader.blocks()) == SQL
            assert len(found.reader.remarks) == remarks


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_text_of_another_encoding_becomes_utf_8(tmp_path: Path, encoding: str) -> None:
    text = "CREATE TABLE cafés (a int);\n" * 50_000
    with opened(seed(tmp_path, text.encode(encoding))) as found:
        read = b"".join(found.reader.blocks())
    assert read.decode().lstrip("\ufeff") == text


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n", "picture"),
        (b"PK\x03\x04...", "zip"),
        (b"\x04\x22\x4d\x18...", "lz4"),
        (b"SQLite format 3\0...", "SQLite"),
        (b"PRAGMA foreign_keys=OFF;\n", "SQLite"),
        (b"-- MySQL dump 10.13\n", "MySQL"),
        (b"CREATE TABLE `t` (a int) ENGINE=InnoDB;\n", "MySQL"),
        (b"USE [Northwind]\r\nGO\r\n", "SQL Server"),
        (b"<!DOCTYPE html>\n", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"\x7fELF\2\1\1", "program"),
        (b"a\0b\0\0\0c", "neither SQL nor"),
        ("PGDMP\1\16\0".encode("utf-16"), "PowerShell|shell made text"),
    ],
)
def test_what_is_no_seed_is_told_what_it_is(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(UsageError, match=said), opened(seed(tmp_path, data)):
        pass


def test_sql_that_speaks_of_another_database_is_sql() -> None:
    for text in (
        b"INSERT INTO t VALUES ('CREATE TABLE `t` (a int) ENGINE=InnoDB');",
        b"CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT '-- MySQL dump' $$;",
        b"COPY t (a) FROM stdin;\n-- MySQL dump\n\\.\n",
    ):
        assert content.foreign(text, "x") is None


def test_a_tar_is_a_dump_or_what_somebody_packed(tmp_path: Path) -> None:
    def tar(*members: tuple[str, bytes], **about: int) -> bytes:
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w") as file:
            for name, data in members:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                for key, value in about.items():
                    setattr(member, key, value)
                file.addfile(member, io.BytesIO(data))
        return made.getvalue()

    toc = ("toc.dat", b"PGDMP\1\16\0\4\x08\3")
    with opened(seed(tmp_path, tar(toc, uid=0o4000, gid=0o2000))) as found:
        assert found.kind is Kind.TAR
    packed = tar(("dump/1.dat", b""), ("dump/toc.dat", toc[1]), ("dump/._toc.dat", b"x"))
    with opened(seed(tmp_path, gzip.compress(packed))) as found:
        assert found.kind is Kind.DIRECTORY
        assert found.path is not None
        kept = found.path
        assert {file.name for file in kept.iterdir()} == {"toc.dat", "1.dat"}
    assert not kept.exists()
    with opened(seed(tmp_path, tar(("../../x.sql", SQL), ("x.sql", SQL)))) as found:
        assert (found.kind, found.name) == (Kind.PLAIN, "Seed.PNG/x.sql")
    for members, said in (
        ([("a.sql", SQL), ("b.sql", SQL)], "2 files"),
        ([("PG_VERSION", b"15")], "copy of a server's files"),
    ):
        with pytest.raises(UsageError, match=said), opened(seed(tmp_path, tar(*members))):
            pass
    with pytest.raises(UsageError, match=r"no toc\.dat"), opened(tmp_path):
        pass


SCRIPT = rb"""-- ; in a comment '
CREATE TABLE t (a int, b text DEFAULT 'x;y''z', "c;d" int); -- '
INSERT INTO t VALUES (1, E'a\';b', 'c\'); insert into t values (2);
CREATE FUNCTION f() RETURNS int AS $x$ BEGIN; $$ \. $1 $x$ LANGUAGE plpgsql;
/* ' /* nested ; */ ** */ SELECT $1, a$b$c, '$$', "$x$";
COPY t (a) FROM stdin;
1	\.x
\.y
;'"
\.
COPY t FROM stdin; SELECT 7;
5
\.
\set x 'abc;'
SELECT 1 \gset
SELECT 1 \; SELECT 2;
SELECT 'last'"""
PIECES = [
    (Cut.STATEMENT, b"CREATE TABLE t"),
    (Cut.ROWS, b"INSERT INTO t VALUES (1"),
    (Cut.STATEMENT, b"CREATE FUNCTION"),
    (Cut.STATEMENT, b"/* ' /* nested"),
    (Cut.STATEMENT, b"COPY t (a)"),
    (Cut.DATA, b"1\t"),
    (Cut.STATEMENT, b"COPY t FROM"),
    (Cut.DATA, b"5\n"),
    (Cut.STATEMENT, b"SELECT 7;"),
    (Cut.COMMAND, b"\\set"),
    (Cut.BEGUN, b"SELECT 1 "),
    (Cut.COMMAND, b"\\gset"),
    (Cut.STATEMENT, b"SELECT 1 \\; SELECT 2;"),
    (Cut.STATEMENT, b"SELECT 'last'"),
]


def test_a_script_is_cut_as_psql_reads_it() -> None:
    pieces = [piece for piece in Script(io.BytesIO(SCRIPT).read) if piece.kind is not Cut.BLANK]
    assert [kind for kind, _ in pieces] == [kind for kind, _ in PIECES]
    for (_, text), (_, begins) in zip(pieces, PIECES, strict=True):
        assert text.startswith(begins)


@pytest.mark.parametrize("block", [1, 2, 3, 5, 7, 11, 64])
def test_where_its_blocks_end_makes_no_difference(block: int) -> None:
    def data(size: int) -> bytes:
        script = Script(io.BytesIO(SCRIPT).read, block=size)
        return b"".join(text for kind, text in script if kind in (Cut.DATA, Cut.COMMAND))

    assert data(block) == data(1 << 20)
    script = Script(io.BytesIO(SCRIPT.replace(b" SELECT 7;", b"")).read, block=block)
    assert b"".join(text for _, text in script) == SCRIPT.replace(b" SELECT 7;", b"")


@given(
    st.lists(
        st.sampled_from(
            [*"'\"$;\\-/*(E aA1\n", "$$", "--", "/*", "*/", "\\.\n", "COPY t FROM stdin;\n"]
        )
    )
)
def test_whatever_it_is_nothing_of_it_is_lost(words: list[str]) -> None:
    script = "".join(words).encode()
    for block in (1, 3, 1 << 20):
        read = b""
        try:
            for _, text in Script(io.BytesIO(script).read, block=block):
                read += text
        except CutOff:
            continue
        # Rows come before what else is on the line that announces them.
        assert sorted(read.replace(b"\n", b"")) == sorted(script.replace(b"\n", b""))


@pytest.mark.parametrize(
    "script",
    [
        "SELECT 'a",
        "SELECT E'a\\' || b",
        'SELECT "a',
        "SELECT $x$ a $$",
        "/* /* */",
        "COPY t FROM stdin;\n1\n",
    ],
)
def test_one_that_is_cut_off_says_where(script: str) -> None:
    with pytest.raises(CutOff) as cut:
        list(Script(io.BytesIO(b"SELECT 1;\n" + script.encode()).read))
    assert cut.value.line in (2, 3)


def sieve(major: int = 17) -> Sieve:
    settings = {"work_mem": "user", "lc_messages": "superuser", "statement_timeout": "user"}
    extensions = {"plpgsql": "pg_catalog", "bloom": "audit"}
    return Sieve(Around(major=major, settings=settings, extensions=extensions), lambda: None)


@pytest.mark.parametrize(
    ("statement", "skip"),
    [
        ("ALTER TABLE public.t OWNER TO boss;", Skip.OWNER),
        ('alter table only "a b".t\n  owner to "Boss";', Skip.OWNER),
        ("ALTER FUNCTION public.f(a integer, OUT b text) OWNER TO boss;", Skip.OWNER),
        ("ALTER AGGREGATE public.sum2(*) OWNER TO boss;", Skip.OWNER),
        ("ALTER OPERATOR public.=== (integer, integer) OWNER TO boss;", Skip.OWNER),
        ("ALTER OPERATOR CLASS public.c USING btree OWNER TO boss;", Skip.OWNER),
        ("ALTER TEXT SEARCH CONFIGURATION public.c OWNER TO boss;", Skip.OWNER),
        ("ALTER LARGE OBJECT 16400 OWNER TO boss;", Skip.OWNER),
        ("ALTER SCHEMA public OWNER TO boss;", Skip.OWNER),
        ("-- why\n/* so */ ALTER VIEW v OWNER TO CURRENT_USER;", Skip.OWNER),
        ("GRANT SELECT ON TABLE t TO reader;", Skip.GRANT),
        ("REVOKE ALL ON SCHEMA public FROM PUBLIC;", Skip.GRANT),
        ("ALTER DEFAULT PRIVILEGES FOR ROLE a GRANT SELECT ON TABLES TO b;", Skip.GRANT),
        ("CREATE ROLE boss;", Skip.ROLE),
        ("ALTER USER boss WITH SUPERUSER;", Skip.ROLE),
        ("DROP ROLE IF EXISTS boss;", Skip.ROLE),
        ("SET ROLE boss;", Skip.ROLE),
        ("SET SESSION AUTHORIZATION 'boss';", Skip.ROLE),
        ("RESET SESSION AUTHORIZATION;", Skip.ROLE),
        ("CREATE DATABASE shop;", Skip.DATABASE),
        ("DROP DATABASE IF EXISTS shop;", Skip.DATABASE),
        ("ALTER DATABASE shop SET search_path TO app;", Skip.DATABASE),
        ("COMMENT ON DATABASE shop IS 'x';", Skip.DATABASE),
        ("CREATE TABLESPACE fast LOCATION '/x';", Skip.TABLESPACE),
        ("SET default_tablespace = fast;", Skip.TABLESPACE),
        ("ALTER INDEX i SET TABLESPACE fast;", Skip.TABLESPACE),
        ("SET made_up_timeout = 0;", Skip.SETTING),
        ("SET lc_messages = 'C';", Skip.SETTING),
        ("ALTER SYSTEM SET work_mem = '1MB';", Skip.SETTING),
        ("COMMENT ON EXTENSION plpgsql IS 'x';", Skip.EXTENSION),
        ("ALTER EXTENSION bloom UPDATE;", Skip.EXTENSION_CHANGE),
        ("CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f();", Skip.EVENT_TRIGGER),
        ("CREATE PUBLICATION p FOR ALL TABLES;", Skip.PUBLICATION),
        ("CREATE SUBSCRIPTION s CONNECTION 'host=prod' PUBLICATION p;", Skip.SUBSCRIPTION),
        ("SECURITY LABEL ON TABLE t IS 'x';", Skip.LABEL),
        ("SELECT * FROM pg_catalog.pg_restore_relation_stats('version', 1);", Skip.STATISTICS),
    ],
)
def test_what_only_speaks_of_elsewhere_is_left_out_and_counted(statement: str, skip: Skip) -> None:
    judge = sieve()
    left = judge.judge(statement.encode())
    assert not left.strip()
    assert left.count(b"\n") == statement.count("\n")
    assert dict(judge.skipped) == {skip: 1}


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE t (a text DEFAULT 'ALTER TABLE t OWNER TO boss;');",
        "COMMENT ON TABLE t IS 'GRANT; CREATE DATABASE x';",
        "CREATE FUNCTION f() RETURNS int AS $$ ALTER TABLE t OWNER TO b; $$ LANGUAGE sql;",
        "ALTER TABLE t ADD COLUMN c text, OWNER TO boss;",
        "ALTER TABLE t RENAME TO owner;",
        "CREATE USER MAPPING FOR PUBLIC SERVER s;",
        "SET work_mem = '1MB';",
        "SET app.user = 'x';",
        "SET TIME ZONE 'UTC';",
        "SET NAMES 'UTF8';",
        "SET default_tablespace = '';",
        "SET default_with_oids = false;",
        "CREATE EXTENSION hstore;",
        "ALTER EXTENSION hstore SET SCHEMA app;",
        "CREATE SCHEMA app;",
        "CREATE POLICY p ON t TO reader USING (true);",
        "ROLLBACK TO SAVEPOINT s;",
        "DROP SCHEMA app CASCADE;",
    ],
)
def test_what_makes_something_is_left_as_it_is(statement: str) -> None:
    judge = sieve()
    assert judge.judge(statement.encode()) == statement.encode()
    assert not judge.skipped


@pytest.mark.parametrize(
    ("statement", "said", "skipped"),
    [
        ("CREATE SCHEMA public;", "CREATE SCHEMA IF NOT EXISTS public ;", 0),
        ("CREATE SCHEMA audit;", "CREATE SCHEMA IF NOT EXISTS audit ;", 0),
        ("CREATE SCHEMA app AUTHORIZATION boss;", "CREATE SCHEMA IF NOT EXISTS app ;", 1),
        ("CREATE SCHEMA AUTHORIZATION boss;", "CREATE SCHEMA IF NOT EXISTS boss ;", 1),
        ("DROP SCHEMA audit CASCADE;", "", 0),
        ("CREATE EXTENSION bloom;", "", 0),
        ("DROP EXTENSION IF EXISTS plpgsql;", "", 0),
        ("CREATE OR REPLACE PROCEDURAL LANGUAGE plpgsql;", "", 0),
        ("CHECKPOINT;", "", 0),
    ],
)
def test_what_is_there_already_is_not_made_again(statement: str, said: str, skipped: int) -> None:
    judge = sieve()
    assert judge.judge(statement.encode()).decode() == said
    assert judge.skipped.total() == skipped


def test_triggers_of_keys_are_switched_off_by_a_setting_and_on_again_at_the_end() -> None:
    asked: list[int] = []
    judge = replace(sieve(), allow_replica=lambda: asked.append(1))
    off = [judge.judge(f"ALTER TABLE {t} DISABLE TRIGGER ALL;".encode()) for t in "ab"]
    on = [judge.judge(f"ALTER TABLE {t} ENABLE TRIGGER ALL;".encode()) for t in "ab"]
    assert off == [b"SET session_replication_role = replica;"] * 2
    assert on == [off[0], b"SET session_replication_role = origin;"]
    judge.judge(b"select set_config('SESSION_replication_role', 'replica', false);")
    assert asked == [1]
    assert sieve(14).judge(b"ALTER TABLE t DISABLE TRIGGER ALL;").endswith(b"TRIGGER USER;")


def fed(script: str, name: str = "s.sql", path: Path | None = None) -> tuple[str, Feed, Sieve]:
    judge = sieve()
    feed = Feed(judge, name, guard="key")
    reader = unpacking.plain(io.BytesIO(script.encode()))
    return b"".join(feed.blocks(reader, path)).decode(), feed, judge


def test_psql_takes_only_the_commands_that_are_let_through() -> None:
    script = "\\set a 1 \\\\ SELECT :a;\nSELECT 1 \\gset\n\\echo hi\n\\if :a\n\\endif\n"
    given, feed, _ = fed(script)
    let_through = "\\unrestrict key\n{}\n\\restrict key\n".format
    assert given.startswith(
        let_through("\\set a 1")
        + " SELECT :a;\nSELECT 1 "
        + let_through("\\gset")
        + "\n"
        + let_through("\\if :a")
    )
    lines = given.splitlines()
    assert feed.where(lines.index("\\if :a") + 1) == "s.sql:4"
    assert feed.where(lines.index(" SELECT :a;") + 1) == "s.sql:1"
    assert given.endswith("\n;\nCOMMIT;\n")
    assert "ON_ERROR_STOP" not in fed("\\set ON_ERROR_STOP off\n\\unset ON_ERROR_STOP\n")[0]


@pytest.mark.parametrize(
    "command",
    [
        "\\! ls",
        "\\!ls",
        "\\set x `ls`",
        "\\echo hi \\! ls",
        "\\timing \\\\ SELECT 1 \\! ls",
        "\\o file",
        "\\o |cat",
        "SELECT 1 \\g |cat",
        "SELECT 1 \\g file",
        "\\w file",
        "\\copy t from program 'ls'",
        "\\copy t to 'file'",
        "\\copy (select 1) to stdout",
        "\\setenv A b",
        "\\cd /",
        "\\lo_import file",
        "\\i :file",
        "\\watch",
        "\\prompt x",
        "\\nonesuch",
        "\\restrict a\n\\set x 1",
    ],
)
def test_what_reaches_out_of_the_database_is_refused(command: str) -> None:
    with pytest.raises(DevdbError, match="A seed may not"):
        fed(f"SELECT 1;\n{command}\n")


def test_psql_stays_in_its_database() -> None:
    given, _, judge = fed(
        "\\c postgres\nCREATE DATABASE shop;\n\\connect shop\nCREATE TABLE t ();\n"
    )
    assert "connect" not in given
    assert "RESET ALL;\nCREATE TABLE t ();" in given
    assert dict(judge.skipped) == {Skip.DATABASE: 3}
    with pytest.raises(DevdbError, match="several databases: it fills 'a', then 'b'"):
        fed("\\connect a\nCREATE TABLE t ();\n\\connect \"dbname='b'\"\nCREATE TABLE t ();\n")
    for arguments, database in (
        ("-reuse-previous=on \"dbname='x y'\"", "x y"),
        ("postgresql://host/shop?a=b", "shop"),
        ("shop user", "shop"),
        ("-", None),
        ("", None),
    ):
        assert commands.database(commands.Command("c", arguments)) == database


def test_other_files_are_read_here_and_their_lines_are_known(tmp_path: Path) -> None:
    (tmp_path / "part.sql").write_text("SELECT 1;\nSELECT 2;\n")
    (tmp_path / "rows.csv").write_text("1\n2")
    path = tmp_path / "s.sql"
    script = "SELECT 0;\n\\ir part.sql\nSELECT 3;\n\\copy t from '{}' csv\nSELECT 4;\n"
    given, feed, _ = fed(script.format(tmp_path / "rows.csv"), path=path)
    lines = given.splitlines()
    assert "COPY t FROM STDIN csv;" in lines
    assert lines[lines.index("COPY t FROM STDIN csv;") + 1 :][:3] == ["1", "2", "\\."]
    for text, where in (
        ("SELECT 0;", "s.sql:1"),
        ("SELECT 2;", f"{tmp_path / 'part.sql'}:2"),
        ("SELECT 3;", "s.sql:3"),
        ("2", f"{tmp_path / 'rows.csv'}:2"),
        ("SELECT 4;", "s.sql:5"),
    ):
        assert feed.where(lines.index(text) + 1) == where
    (tmp_path / "part.sql").write_text("\\ir part.sql\n")
    with pytest.raises(DevdbError, match="includes itself"):
        fed("\\ir part.sql\n", path=path)
    with pytest.raises(DevdbError, match=r"s\.sql:2 names 'none\.sql'"):
        fed("SELECT 1;\n\\i none.sql\n")


def test_what_is_odd_is_remarked() -> None:
    begun = "-- PostgreSQL database dump\n\n"
    for script, remark in (
        (begun + "CREATE TABLE t ();\n", "last line is not there"),
        (begun + "CREATE TABLE t ();\n-- PostgreSQL database dump complete\n", None),
        ("BEGIN;\nCREATE TABLE t ();\n", "no COMMIT"),
        ("BEGIN;\nCREATE TABLE t ();\nEND;\n", None),
    ):
        remarks = fed(script)[1].remarks
        assert len(remarks) == (remark is not None)
        assert remark is None or remark in remarks[0]


def test_extensions_are_found_at_the_beginning_of_a_line() -> None:
    head = (
        b'CREATE EXTENSION IF NOT EXISTS "uuid-ossp" WITH SCHEMA public;\ncreate extension Bloom;'
    )
    assert list(extensions.named(head)) == [("uuid-ossp", "public"), ("bloom", None)]
    assert list(extensions.named(b"SELECT 'CREATE EXTENSION bloom';")) == []


SPEC = Spec(
    name="shop",
    project=None,
    engine="docker",
    port=1,
    pool_port=2,
    password="secret",
    created=datetime(2026, 1, 1, tzinfo=UTC),
    major=17,
)


@pytest.mark.parametrize(
    ("sqlstate", "message", "way_out"),
    [
        ("42501", 'permission denied to create extension "dblink"', "template1"),
        ("42501", "permission denied for language c", "only a superuser makes them"),
        ("42501", "permission denied to COPY from a file", r"\\copy"),
        ("42501", "must be owner of type integer", "never runs as the superuser"),
        ("0A000", 'extension "vector" is not available', "--image pgvector"),
        ("42704", 'role "reader" does not exist', "CREATE ROLE"),
        ("42704", 'type "public.geometry" does not exist', '"postgis"'),
        ("42883", "function uuid_generate_v4() does not exist", '"uuid-ossp"'),
        ("42P01", 'relation "t" does not exist', "data only"),
        ("42P07", 'relation "t" already exists', "template1"),
        ("42601", 'syntax error at or near "oids"', "OIDS"),
        ("42601", 'syntax error at or near "foo"', "--pg"),
        ("22021", "invalid byte sequence for encoding", "client_encoding"),
        ("23503", "violates foreign key constraint", "session_replication_role"),
        ("23505", "duplicate key", "contradict"),
        ("53100", "could not extend file", "room"),
        ("57P01", "terminating connection", "devdb logs"),
        ("42703", 'column "a" does not exist', "Mend it there"),
    ],
)
def test_each_kind_of_error_has_its_own_way_out(sqlstate: str, message: str, way_out: str) -> None:
    said = failure.said(f"psql:<stdin>:7: FEHLER:  {sqlstate}: {message}\nLOCATION:  x, y.c:1\n")
    assert said == failure.Said(7, sqlstate, message)
    told = failure.way_out(said, SPEC)
    assert way_out.replace("\\\\", "\\") in told
    assert "nothing is left" in told


def test_the_error_is_the_last_that_psql_said() -> None:
    text = (
        "psql:<stdin>:1: WARNING:  25P01: there is no transaction in progress\n"
        'psql:<stdin>:9: ERROR:  22P02: invalid input syntax for type integer: "x"\n'
        'CONTEXT:  COPY t, line 2, column a: "x"\nLOCATION:  x\n'
    )
    assert failure.said(text) == failure.Said(
        9, "22P02", 'invalid input syntax for type integer: "x"', 'COPY t, line 2, column a: "x"'
    )
    assert failure.said("psql:<stdin>:2: error: invalid command \\x\n") == failure.Said(
        2, "", "invalid command \\x"
    )
    assert failure.said("") is None


@pytest.mark.parametrize(
    ("version", "has"),
    [
        ("psql (PostgreSQL) 15.13 (Debian 15.13-1)", False),
        ("psql (PostgreSQL) 15.14", True),
        ("psql (PostgreSQL) 17.6", True),
        ("psql (PostgreSQL) 17.5", False),
        ("psql (PostgreSQL) 18.0", True),
        ("psql (PostgreSQL) 12.20", False),
        ("", False),
    ],
)
def test_psql_has_a_restricted_mode_or_not(version: str, has: bool) -> None:
    assert loading.restricted_mode(version) is has
