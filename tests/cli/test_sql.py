"""`devdb sql`: what is run, what is printed for whom, and what is left when it is interrupted."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import libpq
import pytest
import world
from commandline import Cli, Done
from instances import Instance
from terminal import Terminal
from world import NewSpec

from devdb import databases, engines
from devdb.model import Spec

Sql = Callable[..., Done]
native = pytest.mark.parametrize("shared", ["native"], indirect=True)


@pytest.fixture
def sql(inside: Callable[..., Done], shared: Instance) -> Sql:
    """`devdb sql` on the shared instance, in this process."""

    def one(*words: str) -> Done:
        return inside("sql", "-n", shared.spec.name, *words, DEVDB_DATA_DIR=str(shared.home))

    return one


@pytest.fixture
def process(cli: Cli, shared: Instance) -> Cli:
    """The command line as processes, with the shared instance as the project's."""
    env = {**cli.env, "DEVDB_DATA_DIR": str(shared.home), "DEVDB_NAME": shared.spec.name}
    return replace(cli, env=env)


@pytest.fixture
def terminals(process: Cli) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_one(*words: str) -> Terminal:
        opened.append(process.on_terminal(*words))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


def active(spec: Spec, mark: str) -> int:
    """Sessions that are at work on a statement with that in it."""
    with libpq.connect(spec.direct, database="postgres") as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
            " AND pid <> pg_backend_pid() AND strpos(query, %s) > 0",
            (mark,),
        ).fetchone()
    assert found is not None
    return int(found[0])


def test_rows_are_lines_for_a_script(sql: Sql) -> None:
    for way in ((), ("--pooled",)):
        done = sql(*way, "SELECT 1, 'a\tb', NULL, ''; CREATE TEMP TABLE t (); SELECT 0.10, 'ä'")
        assert (done.code, done.out, done.err) == (0, "1\ta\tb\t\t\n0.10\tä\n", "")
    assert sql("-d", "postgres", "SELECT current_database()").out == "postgres\n"
    # Of the user's own settings all hold; and it is none of devdb's own sessions.
    assert sql("SHOW search_path; SHOW application_name").out == '"$user", public\ndevdb-sql\n'
    copied = sql("COPY (VALUES (1, E'a\\nb'), (2, NULL)) TO STDOUT")
    assert copied.out == "1\ta\\nb\n2\t\\N\n"


def test_json_is_exact_and_loses_nothing(sql: Sql) -> None:
    done = sql(
        "--json",
        """CREATE TYPE pg_temp.mood AS ENUM ('sad');
        SELECT 1 AS id, 2 AS id, 3 AS id_2, true AS b, NULL AS n, 9007199254740993 AS big,
          0.10 AS dec, 'NaN'::numeric AS nan, '-Infinity'::float8 AS inf, 1e300::float8 AS f,
          '{"a":  [1.50, "\\u00e4ä😀"]}'::json AS j, '[1, null]'::jsonb AS jb,
          ARRAY[9007199254740993, NULL] AS arr, ARRAY[['a,"', NULL]] AS texts,
          '\\xff00'::bytea AS raw, 'sad'::pg_temp.mood AS mood, E'\\x7f\\n"%s' AS "%s";
        SELECT; CREATE TEMP TABLE t (a int); INSERT INTO t VALUES (1), (2); DELETE FROM t""",
    )
    assert done.code == 0, done.err
    assert done.out.isascii()
    data = json.loads(done.out, parse_float=str, parse_int=str)["data"]
    assert (data["database"], data["pooled"]) == ("main", False)
    created, found, empty, *rest = data["results"]
    assert created == {"tag": "CREATE TYPE", "row_count": None, "columns": [], "rows": []}
    columns = [(each["name"], each["type"]) for each in found["columns"]]
    assert columns[:3] == [("id", "integer"), ("id_3", "integer"), ("id_2", "integer")]
    assert ("arr", "bigint[]") in columns
    assert dict(columns)["mood"].endswith("mood")
    assert found["rows"] == [
        {
            **{"id": "1", "id_3": "2", "id_2": "3", "b": True, "n": None},
            **{"big": "9007199254740993", "dec": "0.10", "nan": "NaN", "inf": "-Infinity"},
            **{"f": "1e+300", "j": {"a": ["1.50", "ää😀"]}, "jb": ["1", None]},
            **{"arr": ["9007199254740993", None], "texts": [['a,"', None]], "raw": "\\xff00"},
            **{"mood": "sad", "%s": '\x7f\n"%s'},
        }
    ]
    assert (empty["columns"], empty["rows"]) == ([], [{}])
    assert [(each["tag"], each["row_count"]) for each in rest] == [
        ("CREATE TABLE", None),
        ("INSERT 0 2", "2"),
        ("DELETE 2", "2"),
    ]
    assert sql("--json", "COPY (SELECT 1) TO STDOUT").code == 2


def test_all_statements_are_one_transaction(sql: Sql, running: Spec) -> None:
    done = sql("CREATE TABLE half_done (); SELECT 1/0")
    assert (done.code, done.out) == (1, "")
    assert done.error == [
        "error: division by zero (22012)",
        "  try: Mend it; what came before it is undone with it.",
    ]
    assert sql("SELECT to_regclass('half_done')").out == "\n"
    kept = sql("SELECT 1; COMMIT; SELECT 1/0")
    assert (kept.code, kept.out) == (1, "1\n")
    assert "committed before it stays" in kept.error[1]
    alone = sql("SELECT 1; CREATE DATABASE never")
    assert "devdb psql -f FILE" in alone.error[1]
    left = sql("BEGIN; CREATE TABLE half_done ()")
    assert (left.code, left.out) == (0, "")
    assert left.err == "warning: nothing was kept: there is a BEGIN, and no COMMIT after it\n"
    assert sql("SELECT to_regclass('half_done')").out == "\n"


def test_an_error_tells_all_that_the_server_does(sql: Sql, inside: Callable[..., Done]) -> None:
    Path("bad.sql").write_text("SELECT 1;\r\nSELECT *\r\n  FROM custmers;\r\n")
    done = sql("-f", "bad.sql")
    assert done.error[0] == (
        "error: bad.sql, line 3, 'FROM custmers;': relation \"custmers\" does not exist (42P01)"
    )
    report = sql("--json", "-f", "bad.sql")
    assert report.code == 1
    error = report.json["error"]
    assert (error["code"], error["sqlstate"], error["line"]) == ("statement_failed", "42P01", 3)
    assert error["said"] == 'relation "custmers" does not exist'
    long = sql(f"SELECT '{'x' * 500}',\n  '{'y' * 500}', nothing, '{'z' * 500}'")
    assert "nothing" in long.error[0]
    assert len(long.error[0]) < 200
    detailed = sql("CREATE TEMP TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1), (1)")
    assert detailed.error[0].endswith("(23505): Key (a)=(1) already exists.")
    hinted = sql(
        "DO $$ BEGIN RAISE WARNING 'careful' USING HINT = 'Look.'; RAISE NOTICE E'a\\nb\\x1b';"
        " RAISE 'no' USING HINT = 'Do that.', ERRCODE = 'XX123'; END $$"
    )
    assert hinted.err.splitlines() == [
        "warning: careful. Look.",
        "notice: a\\nb\\x1b.",
        "error: no (XX123), in PL/pgSQL function inline_code_block line 1 at RAISE",
        "  try: Do that.",
    ]


@pytest.mark.parametrize(
    ("statement", "way_out"),
    [
        ("\\dt", "devdb psql -c '\\dt'"),
        ("SELECT :'x'", "devdb psql -c"),
        ("COPY t FROM stdin;\n1\ta\n\\.\n", "The data of a COPY FROM STDIN is psql's"),
        ("CREATE TEMP TABLE t (a int); COPY t FROM stdin", "devdb psql -f FILE"),
    ],
)
@native
def test_what_only_psql_can_do_is_said(sql: Sql, statement: str, way_out: str) -> None:
    done = sql(statement)
    assert (done.code, done.out) == (1, "")
    assert way_out in done.error[1]


@native
def test_what_is_no_statement_is_refused(sql: Sql) -> None:
    for words in ((), ("SELECT 1", "-f", "x"), ("SELECT", "1"), (" \n",), ("-f",)):
        assert sql(*words).code == 2, words
    nothing = sql("-- nothing")
    assert (nothing.code, nothing.out) == (0, "")
    assert "no statement" in nothing.err
    assert sql("-- one\nSELECT 1").out == sql("-c", "SELECT 1").out == "1\n"


@native
def test_a_file_is_text_however_it_is_encoded(sql: Sql) -> None:
    text = "SELECT 'ä';\r\n"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        Path("text.sql").write_bytes(text.encode(encoding))
        assert sql("-f", "text.sql").out == "ä\n"
    Path("empty.sql").touch()
    assert sql("-f", "empty.sql").code == 0
    wrong = {
        "latin.sql": (text.encode("latin-1"), "iconv"),
        "dump": (b"PGDMP\x01\x0e\0", "devdb temp --seed dump"),
        "packed.gz": (b"\x1f\x8b\x08\x00", "devdb temp --seed packed.gz"),
        "picture": (b"\x89PNG\r\n\x1a\n\0\0", "SQL, in UTF-8"),
    }
    for name, (content, way_out) in wrong.items():
        Path(name).write_bytes(content)
        done = sql("-f", name)
        assert done.code == 2, name
        assert way_out in done.error[1], name
    assert sql("-f", "missing.sql").code == 1
    assert "no file 'missing.sql'" in sql("-f", "missing.sql").error[0]
    assert sql("-f", ".").code == 1


def test_any_database_of_the_instance_is_reached(sql: Sql, running: Spec) -> None:
    made = databases.create(running, ttl=databases.DEFAULT_TTL)
    try:
        for way in ((), ("--pooled",)):
            done = sql("-d", made.name, *way, "SELECT current_database(), current_user")
            assert done.out == f"{made.name}\tdevdb\n"
            unknown = sql("-d", f"{made.name}x", *way, "SELECT 1")
            assert unknown.code == 1
            assert f"Did you mean '{made.name}'?" in unknown.error[1]
    finally:
        databases.drop(running, [made.name])
    assert sql("-d", "", "SELECT 1").code == 2
    assert sql("--json", "-d", made.name, "SELECT 1").json["error"]["code"] == "not_found"


def test_a_server_that_goes_away_is_an_error(sql: Sql) -> None:
    done = sql("SELECT pg_terminate_backend(pg_backend_pid())")
    assert done.code == 1
    assert "57P01" in done.error[0]
    assert "devdb logs" in done.error[1]


@native
@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
@pytest.mark.parametrize("pooled", [False, True])
def test_a_signal_ends_the_statement_on_the_server_too(
    process: Cli, running: Spec, sent: signal.Signals, code: int, pooled: bool
) -> None:
    mark = f"{sent.name} {pooled}"
    way = ("--pooled",) if pooled else ()
    begun = process.begin("sql", *way, f"SELECT pg_sleep(100) /* {mark} */")
    world.eventually(lambda: active(running, mark), "it is at work")
    begun.send_signal(sent)
    out, err = begun.communicate(timeout=60)
    assert (begun.returncode, out, err) == (code, "", "")
    assert active(running, mark) == 0


@native
def test_it_is_a_good_part_of_a_pipe(process: Cli, running: Spec) -> None:
    program = " ".join(process.argv("sql"))
    many = "SELECT g, 'row ' || g FROM generate_series(1, 300000) AS g"
    line = f'set -o pipefail; echo "{many}" | {program} - | tee >(tail -n 1 >last) | head -n 1'
    done = subprocess.run(
        ["bash", "-c", f"{line}; {program} 'SELECT 7 AS n' >here; echo $?; cat here"],
        cwd=process.project,
        env=process.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("1\trow 1\n0\n7\n", "")
    assert active(running, "generate_series(1, 300000)") == 0


@native
def test_a_person_gets_a_table(terminals: Callable[..., Terminal]) -> None:
    shown = terminals(
        "sql",
        "SELECT 1 AS id, 'Ada' AS name, NULL AS x, '' AS e, 12.50 AS n"
        " UNION ALL SELECT 20, '日本', E'two\\nlines', E'\\x1b[31mred', 3;"
        " CREATE TEMP TABLE t (); SELECT repeat('long ', 30) AS text, '' AS e, 7 AS n",
    )
    assert shown.end() == 0
    assert shown.text.splitlines() == [
        "id  name  x           e                n",
        " 1  Ada   NULL                     12.50",
        "20  日本  two\\nlines  \\x1b[31mred      3",
        "2 rows",
        "CREATE TABLE",
        "",
        f"text  {'long ' * 30}".rstrip(),
        "e",
        "n     7",
        "1 row",
    ]


def test_a_stopped_instance_is_started_and_none_is_made(
    inside: Callable[..., Done], new_spec: NewSpec
) -> None:
    none = inside("sql", "SELECT 1")
    assert none.code == 1
    assert "no instance yet" in none.error[0]
    spec = new_spec(engines.get("native"))
    for pooled in ((), ("--pooled",)):
        done = inside("sql", "-n", spec.name, *pooled, "SELECT 1")
        assert (done.code, done.out) == (0, "1\n")
        assert ("started" in done.err) == (not pooled)
