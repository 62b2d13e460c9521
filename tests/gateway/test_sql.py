"""`POST /sql`: what is asked, what comes back, what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import world
from gateway import serving
from gateway.asking import RAW, Asking, Reply, gateway

from devdb.gateway import answers, sql
from devdb.gateway.bounds import Bounds
from devdb.gateway.target import Target
from devdb.gateway.values import converting
from devdb.model import Endpoint, Spec
from devdb.urls import url

ERROR_KEYS = (
    "message code detail hint position internalPosition internalQuery severity where table column"
    " schema dataType constraint file line routine"
).split()


@pytest.fixture
def target(running: Spec) -> Iterator[Target]:
    with gateway(running) as target:
        yield target


@pytest.fixture(params=["direct", "pooled"])
def ask(request: pytest.FixtureRequest, running: Spec, target: Target) -> Asking:
    """By each of the two URLs."""
    return Asking(target, getattr(running, request.param))


@pytest.fixture
def direct(running: Spec, target: Target) -> Asking:
    return Asking(target, running.direct)


def test_a_query_comes_back_as_the_driver_reads_it(ask: Asking) -> None:
    reply = ask.query("SELECT 1::int8 AS n, NULL::text AS nothing, $1::text || 'ä' AS said", "é")
    assert reply.status == 200
    assert reply.headers["access-control-allow-origin"] == "*"
    kind = {"tableID": 0, "columnID": 0, "dataTypeModifier": -1, "format": "text"}
    assert reply.json == {
        "fields": [
            {"name": "n", "dataTypeID": 20, "dataTypeSize": 8, **kind},
            {"name": "nothing", "dataTypeID": 25, "dataTypeSize": -1, **kind},
            {"name": "said", "dataTypeID": 25, "dataTypeSize": -1, **kind},
        ],
        "rows": [["1", None, "éä"]],
        "command": "SELECT",
        "rowCount": 1,
        "rowAsArray": True,
    }


def test_fields_say_which_column_of_which_table(ask: Asking) -> None:
    [field] = ask.query("SELECT relname FROM pg_class LIMIT 1").json["fields"]
    assert (field["tableID"], field["columnID"]) == (1259, 2)
    [field] = ask.query("SELECT 1::numeric(7,2)").json["fields"]
    assert field["dataTypeModifier"] == ((7 << 16) | 2) + 4


@pytest.mark.parametrize(
    ("query", "command", "count"),
    [
        ("SELECT 1 WHERE false", "SELECT", 0),
        ("SELECT FROM generate_series(1, 3)", "SELECT", 3),
        ("VALUES (1), (2)", "SELECT", 2),
        ("CREATE TEMP TABLE t AS SELECT 1", "SELECT", 1),
        ("CREATE TEMP TABLE t (a int)", "CREATE", None),
        ("DO 'BEGIN END'", "DO", None),
        ("SET LOCAL TimeZone TO 'UTC'", "SET", None),
        ("SHOW TimeZone", "SHOW", None),
        ("EXPLAIN SELECT 1", "EXPLAIN", None),
        ("", None, None),
        (" -- nothing", None, None),
    ],
)
def test_the_command_is_the_first_word_of_the_tag(
    direct: Asking, query: str, command: str | None, count: int | None
) -> None:
    found = direct.query(query).json
    assert (found["command"], found["rowCount"]) == (command, count)


def test_changes_are_counted(ask: Asking) -> None:
    reply = ask.batch(
        "CREATE TEMP TABLE counted (a int) ON COMMIT DROP",
        "INSERT INTO counted VALUES (1), (2), (3)",
        "UPDATE counted SET a = a + 1 WHERE a > 1",
        "DELETE FROM counted RETURNING a",
    )
    results = reply.json["results"]
    assert [(each["command"], each["rowCount"]) for each in results] == [
        ("CREATE", None),
        ("INSERT", 3),
        ("UPDATE", 2),
        ("DELETE", 3),
    ]
    assert sorted(results[3]["rows"]) == [["1"], ["3"], ["4"]]


VALUES = """
SELECT true AS yes, 7::int2 AS small, -8::int4 AS usual, 9::int8 AS big, 1.5::float4 AS short,
       'NaN'::float8 AS none, '-Infinity'::float8 AS less, 1e20::float8 AS vast, 1.50 AS exact,
       '{"a": [1, 1.50]}'::json AS doc, '"x"'::jsonb AS word, NULL::int AS nothing,
       ARRAY[[1,NULL],[3,4]] AS grid, ARRAY['a,b', 'NULL', NULL, 'q"\\ {'] AS words,
       ARRAY[true, NULL] AS flags, ARRAY['{"k": null}'::jsonb] AS docs, ARRAY[1.5, 'NaN']::float8[]
       AS floats, '{}'::int[] AS empty, '[0:1]={5,6}'::int[] AS bounds, ARRAY[9]::int8[] AS bigs,
       ARRAY['(1,1),(0,0)'::box, '(3,3),(2,2)'::box] AS boxes, '1 2'::int2vector AS vector,
       'x'::bytea AS bytes, '2026-01-02'::date AS day
"""
CONVERTED = {
    "yes": True,
    "small": 7,
    "usual": -8,
    "big": "9",
    "short": 1.5,
    "none": "NaN",
    "less": "-Infinity",
    "vast": 1e20,
    "exact": "1.50",
    "doc": {"a": [1, 1.5]},
    "word": "x",
    "nothing": None,
    "grid": [[1, None], [3, 4]],
    "words": ["a,b", "NULL", None, 'q"\\ {'],
    "flags": [True, None],
    "docs": [{"k": None}],
    "floats": [1.5, "NaN"],
    "empty": [],
    "bounds": [5, 6],
    "bigs": ["9"],
    "boxes": ["(1,1),(0,0)", "(3,3),(2,2)"],
    "vector": "1 2",
    "bytes": "\\x78",
    "day": "2026-01-02",
}


def test_without_its_headers_some_values_become_what_json_has(ask: Asking) -> None:
    reply = ask.post({"query": VALUES})
    assert reply.rows == [CONVERTED]
    assert list(reply.rows[0]) == [each["name"] for each in reply.json["fields"]]
    assert reply.json["rowAsArray"] is False
    assert ask.post({"query": VALUES, "arrayMode": True}).rows == [list(CONVERTED.values())]
    # Only what says so in so many letters.
    for word in ("True", "1", "yes", ""):
        given = {"Neon-Raw-Text-Output": word, "Neon-Array-Mode": word}
        assert ask.post({"query": VALUES}, given).rows == [CONVERTED]


def test_all_arrays_of_postgres_are_known(direct: Asking) -> None:
    kinds = """
        SELECT a.oid::int, a.typdelim FROM pg_type a JOIN pg_type e ON e.oid = a.typelem
        WHERE e.typarray = a.oid AND e.typtype <> 'c' AND a.oid < 10000
    """
    found = {row["oid"]: row["typdelim"] for row in direct.post({"query": kinds}).rows}
    assert len(found) > 70
    for oid, delimiter in found.items():
        assert json.loads(converting(oid)(f"{{NULL{delimiter}NULL}}")) == [None, None], oid


def test_raw_text_is_what_postgres_says(ask: Asking) -> None:
    raw = {"Neon-Raw-Text-Output": "true"}
    [row] = ask.post({"query": VALUES}, raw).rows
    assert row["yes"] == "t"
    assert row["doc"] == '{"a": [1, 1.50]}'
    assert row["bounds"] == "[0:1]={5,6}"
    assert row["nothing"] is None
    assert {type(value) for value in row.values()} == {str, type(None)}
    # What a statement says of itself counts more than the header.
    assert ask.post({"query": "SELECT 1", "arrayMode": False}, RAW).rows == [{"?column?": "1"}]


def test_of_columns_with_one_name_an_object_has_the_last(ask: Asking) -> None:
    query = {"query": 'SELECT 1 AS a, 2 AS a, 3 AS "100%s", 4 AS "q""\\"'}
    reply = ask.post(query)
    assert reply.rows == [{"a": 2, "100%s": 3, 'q"\\': 4}]
    assert len(reply.json["fields"]) == 4
    assert ask.post(query, {"Neon-Array-Mode": "true"}).rows == [[1, 2, 3, 4]]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("text", None, None),
        ("text", "", ""),
        ("text", 'a"b\\c\n{', 'a"b\\c\n{'),
        ("text", "NULL", "NULL"),
        ("bool", True, "t"),
        ("int", -5, "-5"),
        ("float8", 1e300, "1e+300"),
        ("numeric", 10**400, str(10**400)),
        ("jsonb", {"a": [1, None, "x"]}, '{"a": [1, null, "x"]}'),
        ("int[]", [1, None, 3], "{1,NULL,3}"),
        ("int[]", [], "{}"),
        ("int[]", [[1, 2], [3, 4]], "{{1,2},{3,4}}"),
        ("text[]", ["", "NULL", 'q"\\', "a\nb", None], '{"","NULL","q\\"\\\\","a\nb",NULL}'),
        ("bool[]", [True, False], "{t,f}"),
        ("jsonb[]", [{"a": 'q"'}], '{"{\\"a\\": \\"q\\\\\\"\\"}"}'),
        ("text", "\U0001f600 ä", "\U0001f600 ä"),
    ],
)
def test_parameters_become_what_the_server_infers(
    direct: Asking, kind: str, value: object, expected: str | None
) -> None:
    assert direct.rows(f"SELECT $1::{kind}", value) == [[expected]]


def test_a_transaction_is_all_or_nothing(ask: Asking, direct: Asking) -> None:
    table = f"whole_{ask.endpoint.port}"
    assert direct.query(f"CREATE TABLE {table} (a int PRIMARY KEY)").status == 200
    try:
        insert = f"INSERT INTO {table} VALUES (1)"
        reply = ask.batch(insert, "SELECT 1/0", insert)
        assert reply.error["code"] == "22012"
        assert ask.batch(insert, insert).error["constraint"] == f"{table}_pkey"
        assert ask.rows(f"SELECT count(*) FROM {table}") == [["0"]]
        results = ask.batch(insert, f"SELECT * FROM {table}").json["results"]
        assert [each["rows"] for each in results] == [[], [["1"]]]
        # Refused when it ends, and not before.
        deferred = f"ALTER TABLE {table} ADD UNIQUE (a) DEFERRABLE INITIALLY DEFERRED"
        assert ask.query(deferred).status == 200
        drop = f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey"
        assert ask.query(drop).status == 200
        assert ask.batch(insert, "SELECT 1").error["code"] == "23505"
        assert ask.rows(f"SELECT count(*) FROM {table}") == [["1"]]
    finally:
        assert direct.query(f"DROP TABLE {table}").status == 200


def test_a_transaction_is_what_its_headers_say(ask: Asking) -> None:
    shown = [f"SHOW transaction_{word}" for word in ("isolation", "read_only", "deferrable")]
    levels = {
        "ReadUncommitted": "read uncommitted",
        "ReadCommitted": "read committed",
        "RepeatableRead": "repeatable read",
        "Serializable": "serializable",
    }
    for level, word in levels.items():
        headers = {
            "Neon-Batch-Isolation-Level": level,
            "Neon-Batch-Read-Only": "true",
            "Neon-Batch-Deferrable": "true",
        }
        reply = ask.batch(*shown, headers=headers)
        assert [each["rows"][0][0] for each in reply.json["results"]] == [word, "on", "on"]
        assert {key: reply.headers[key.lower()] for key in headers} == headers
    reply = ask.batch(*shown, headers={"Neon-Batch-Read-Only": "yes"})
    assert [each["rows"][0][0] for each in reply.json["results"]] == [
        "read committed",
        "off",
        "off",
    ]
    assert not [name for name in reply.headers if name.startswith("neon-")]
    # A statement alone is no batch: they say nothing of it.
    alone = ask.query("SHOW transaction_read_only", **{"Neon-Batch-Read-Only": "true"})
    assert alone.rows == [["off"]]
    assert not [name for name in alone.headers if name.startswith("neon-")]
    refused = ask.query("SELECT 1", **{"Neon-Batch-Isolation-Level": "serializable"})
    assert refused.error["message"] == "invalid isolation level"
    assert ask.batch().json == {"results": []}


def test_an_error_has_all_its_fields(ask: Asking) -> None:
    error = ask.query("SELECT * FROM nowhere").error
    assert list(error) == ERROR_KEYS
    assert (error["code"], error["severity"], error["position"]) == ("42P01", "ERROR", "15")
    assert error["message"] == 'relation "nowhere" does not exist'
    assert error["detail"] is None
    assert error["line"].isdecimal()  # type: ignore[union-attr]

    error = ask.query(
        "DO $$ BEGIN RAISE EXCEPTION 'said' USING ERRCODE = 'DV001', DETAIL = 'd', HINT = 'h',"
        " TABLE = 't', COLUMN = 'c', SCHEMA = 's', DATATYPE = 'y', CONSTRAINT = 'k'; END $$"
    ).error
    named = "code detail hint table column schema dataType constraint".split()
    assert [error[key] for key in named] == ["DV001", "d", "h", "t", "c", "s", "y", "k"]
    assert error["where"]

    error = ask.query("DO $$ BEGIN RAISE EXCEPTION '' USING HINT = ''; END $$").error
    assert (error["message"], error["hint"], error["detail"]) == ("", "", None)

    error = ask.query("DO $$ BEGIN EXECUTE 'SELECT FROM'; PERFORM 1 +; END $$").error
    assert error["code"] == "42601"
    error = ask.query("DO $$ BEGIN EXECUTE 'SELEC 1'; END $$").error
    assert (error["internalQuery"], error["internalPosition"]) == ("SELEC 1", "1")


def test_a_query_is_one_statement(ask: Asking) -> None:
    assert ask.query("SELECT 1; SELECT 2").error["code"] == "42601"
    assert ask.query("SELECT $1").error["code"] == "08P01"
    assert ask.query("SELECT 1", "one too many").error["code"] == "08P01"
    assert ask.query("SELECT $1::int", "x").error["code"] == "22P02"
    assert ask.rows("SELECT 1;") == [["1"]]


@pytest.mark.parametrize(
    "query",
    [
        "COPY kept FROM STDIN",
        "COPY (INSERT INTO kept VALUES (1) RETURNING a) TO STDOUT",
        "/* x */ copy kept to stdout",
        "LISTEN something",
    ],
)
def test_what_has_no_answer_is_refused_and_has_not_happened(
    ask: Asking, direct: Asking, query: str
) -> None:
    assert direct.query("CREATE TABLE kept (a int)").status == 200
    try:
        for reply in (ask.query(query), ask.batch("INSERT INTO kept VALUES (2)", query)):
            assert reply.error["code"] == "0A000"
            assert reply.error["hint"]
        assert ask.rows("SELECT * FROM kept") == []
        # A word is not a statement.
        assert ask.rows("SELECT 'copy, listen'") == [["copy, listen"]]
        assert ask.query("UNLISTEN *").json["command"] == "UNLISTEN"
    finally:
        assert direct.query("DROP TABLE kept").status == 200


def test_a_copy_that_the_server_does_by_itself_is_a_query(direct: Asking) -> None:
    assert direct.query("COPY (VALUES (1), (2)) TO PROGRAM 'cat > /dev/null'").json["rowCount"] == (
        2
    )


BROKEN = {
    "nothing": "",
    "no json": "{",
    "more": '{"query": "SELECT 1"} x',
    "text": '"SELECT 1"',
    "null": "null",
    "array": "[]",
    "number": "7",
    "no query": "{}",
    "null query": '{"query": null}',
    "number query": '{"query": 1}',
    "params of text": '{"query": "SELECT 1", "params": "x"}',
    "params of null": '{"query": "SELECT 1", "params": null}',
    "params of keys": '{"query": "SELECT 1", "params": {"a": 1}}',
    "mode of text": '{"query": "SELECT 1", "arrayMode": "true"}',
    "queries of text": '{"queries": "SELECT 1"}',
    "queries of null": '{"queries": null}',
    "queries of texts": '{"queries": ["SELECT 1"]}',
    "queries of nothing": '{"queries": [{}]}',
    "queries in queries": '{"queries": [{"queries": []}]}',
    "NaN": '{"query": "SELECT $1", "params": [NaN]}',
    "Infinity": '{"query": "SELECT $1", "params": [-Infinity]}',
    "too far": '{"query": "SELECT $1", "params": [1e999]}',
    "too long": f'{{"query": "SELECT $1", "params": [{"7" * 5000}]}}',
    "deep": f'{{"query": "SELECT $1", "params": {"[" * 100_000}{"]" * 100_000}}}',
    "deep keys": '{"a":' * 100_000,
    "bom": "\ufeff{}",
}


@pytest.fixture(scope="module")
def nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    """Asks an instance whose servers do not run: an error is the gateway's own."""
    target = serving.nothing(tmp_path_factory.mktemp("shop"))
    where = {"host": "127.0.0.1", "port": target.direct, "user": "devdb", "database": "main"}
    with serving.thread(target):
        yield Asking(target, Endpoint(**where, password=PASSWORD))  # type: ignore[arg-type]


PASSWORD = "s3cretpassword"


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_a_body_that_is_no_query_is_refused(nobody: Asking, body: str) -> None:
    error = nobody.post(body).error
    assert list(error) == ERROR_KEYS
    assert error["message"]


NOT_TEXT = {
    "nul": json.dumps({"query": "SELECT '\0'"}),
    "half a pair": json.dumps({"query": "SELECT '\ud83d'"}),
    "half a value": json.dumps({"query": "SELECT $1", "params": ["\udc00"]}),
    "half a key": json.dumps({"query": "SELECT $1::json", "params": [{"\udc00": 1}]}),
    "latin 1": '{"query": "SELECT \'ä\'"}'.encode("latin-1"),
    "utf 16": '{"query": "SELECT 1 AS ä"}'.encode("utf-16"),
}


@pytest.mark.parametrize("body", NOT_TEXT.values(), ids=NOT_TEXT)
def test_what_no_database_takes_as_text_is_refused(nobody: Asking, body: str | bytes) -> None:
    assert nobody.post(body).error["code"] == "22021"


def test_a_value_with_a_nul_is_refused_by_the_server(ask: Asking) -> None:
    for value in ("a\0b", ["a\0b"]):
        error = ask.query("SELECT $1::text", value).error
        assert error["code"] == "22021"
        assert error["routine"]


def test_a_statement_has_as_many_parameters_as_the_protocol_counts(ask: Asking) -> None:
    # In one array: some 1600 columns are the most that a row has.
    def count(number: int) -> Reply:
        marks = ",".join(f"${each}" for each in range(1, number + 1))
        return ask.query(f"SELECT cardinality(ARRAY[{marks}]::int[])", *range(number))

    assert count(65_535).rows == [["65535"]]
    error = count(65_536).error
    assert error["code"] == "54023"
    assert "65536" in (error["message"] or "")


HEADERS: dict[str, dict[str, str]] = {
    "none": {},
    "empty": {"Neon-Connection-String": ""},
    "no url": {"Neon-Connection-String": PASSWORD},
    "http": {"Neon-Connection-String": f"http://devdb:{PASSWORD}@127.0.0.1/main"},
    "no user": {"Neon-Connection-String": f"postgresql://:{PASSWORD}@127.0.0.1/main"},
    "no password": {"Neon-Connection-String": f"postgresql://{PASSWORD}@127.0.0.1/main"},
    "no database": {"Neon-Connection-String": f"postgresql://devdb:{PASSWORD}@127.0.0.1/"},
    "port": {"Neon-Connection-String": f"postgresql://devdb:x@127.0.0.1:{PASSWORD}/main"},
    "large port": {"Neon-Connection-String": f"postgresql://devdb:{PASSWORD}@h:99999/main"},
    "bracket": {"Neon-Connection-String": f"postgresql://devdb:{PASSWORD}@[/main"},
    "bad utf-8": {"Neon-Connection-String": f"postgresql://devdb:{PASSWORD}%ff@h/main"},
    "raw bytes": {"Neon-Connection-String": f"postgresql://devdb:{PASSWORD}\xe9@h/main"},
    "nul": {"Neon-Connection-String": f"postgresql://devdb%00database:{PASSWORD}@h/main"},
    "nul in parameters": {
        "Neon-Connection-String": f"postgresql://devdb:{PASSWORD}@h/main?application_name=a%00b"
    },
    "long": {"Neon-Connection-String": f"postgresql://{'u' * 10_000}:{PASSWORD}@h/main"},
    "token": {
        "Neon-Connection-String": f"postgresql://devdb:{PASSWORD}@h/main",
        "Authorization": f"Bearer {PASSWORD}",
    },
}


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS)
def test_headers_that_let_nobody_in_are_refused_without_a_secret_in_it(
    nobody: Asking, headers: dict[str, str]
) -> None:
    reply = nobody.send("POST", '{"query": "SELECT 1"}', headers)
    assert list(reply.error) == ERROR_KEYS
    assert PASSWORD not in reply.body.decode()


def test_a_port_is_one_of_the_two_and_none_is_pooled(running: Spec, direct: Asking) -> None:
    address = "SELECT inet_server_port(), current_setting('application_name')"
    assert direct.rows(address)[0][0] is not None
    other = direct.of(port=5432).query("SELECT 1").error["message"] or ""
    for port in (5432, running.port, running.pool_port):
        assert str(port) in other

    def sessions(connection: str) -> Any:
        query = "SELECT count(*) FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        body = json.dumps({"query": query})
        return direct.send("POST", body, {"Neon-Connection-String": connection})

    without = url(running.direct).replace(f":{running.port}/", "/")
    assert sessions(without).status == 200
    # Something that only PgBouncer says shows who it was.
    wrong = without.replace(running.password, "wrong")
    assert sessions(wrong).error["code"] == "08P01"
    assert direct.of(password="wrong").query("SELECT 1").error["code"] == "28P01"


def test_what_a_login_is_refused_with_is_an_error(ask: Asking) -> None:
    for changes in ({"password": "wrong"}, {"user": "nobody"}, {"database": "nowhere"}):
        error = ask.of(**changes).query("SELECT 1").error
        assert list(error) == ERROR_KEYS
        assert error["severity"] == "FATAL"
        assert error["code"] in ("28P01", "3D000", "08P01")
        assert error["message"]
        assert ask.rows("SELECT 1") == [["1"]]


def test_parameters_of_a_session_are_set_and_a_clients_own_are_not(
    running: Spec, direct: Asking
) -> None:
    def ask(parameters: str, query: str) -> Reply:
        connection = f"{url(running.direct)}?{parameters}"
        body = json.dumps({"query": query})
        return direct.send("POST", body, {"Neon-Connection-String": connection, **RAW})

    driver = "application_name=pkg%3Anpm%2F%40neondatabase%2Fserverless%401.2.0"
    client = "sslmode=require&channel_binding=require&pgbouncer=true&replication=database"
    assert ask(f"{client}&{driver}", "SHOW application_name").rows == [
        ["pkg:npm/@neondatabase/serverless@1.2.0"]
    ]
    assert ask("options=-c%20search_path%3Dpg_temp", "SHOW search_path").rows == [["pg_temp"]]
    assert ask("statement_timeout=1234", "SHOW statement_timeout").rows == [["1234ms"]]
    assert ask("client_encoding=LATIN1", "SHOW client_encoding").rows == [["UTF8"]]
    assert ask("statement_timeout=x", "SELECT 1").error["code"] == "22023"


def test_other_methods_get_what_they_may_do(nobody: Asking) -> None:
    reply = nobody.send("OPTIONS", "", {})
    assert reply.status == 200
    assert reply.headers["allow"] == "OPTIONS, POST"
    assert reply.headers["access-control-allow-origin"] == "*"
    assert reply.headers["access-control-max-age"] == "86400"
    allowed = reply.headers["access-control-allow-headers"].split(", ")
    assert {"Neon-Connection-String", "Neon-Raw-Text-Output", "Neon-Batch-Deferrable"} <= {*allowed}
    for method in ("GET", "PUT", "DELETE"):
        assert nobody.send(method, "", {}).status == 405


def test_a_body_that_is_too_large_is_not_read(running: Spec) -> None:
    assert Bounds().body == 64 << 20
    with gateway(running, bounds=Bounds(body=1 << 20)) as target:
        ask = Asking(target, running.direct)
        reply = ask.post(b'{"query": "' + b" " * (8 << 20) + b'SELECT 1"}')
        assert reply.status == 413
        assert "1 MiB" in reply.json["message"]
        assert ask.rows("SELECT length($1)", "x" * 1_000_000) == [["1000000"]]


def test_an_answer_that_is_too_large_is_not_kept(
    ask: Asking, direct: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert answers.LARGEST == 64 << 20
    for module in (answers, sql):
        monkeypatch.setattr(module, "LARGEST", 2 << 20)
    assert direct.query("CREATE TABLE large (a int)").status == 200
    try:
        rows = "SELECT repeat('x', 100000) FROM generate_series(1, {})"
        assert len(ask.query(rows.format(20)).rows) == 20
        for query in (rows.format(100_000), "SELECT repeat('x', 3000000)"):
            reply = ask.query(query)
            assert reply.status == 507
            assert list(reply.json) == ERROR_KEYS
            assert "2 MiB" in reply.json["message"]
            assert ask.batch("INSERT INTO large VALUES (1)", query).status == 507
        assert ask.batch(*[rows.format(8)] * 3).status == 507  # all of them together
        assert ask.rows("SELECT * FROM large") == []
        # And the server does not go on with it.
        work = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT repeat(%' AND "
        busy = work + "state = 'active'"
        world.eventually(lambda: direct.rows(busy) == [["0"]], "nothing is at work")
    finally:
        assert direct.query("DROP TABLE large").status == 200
