"""Postgres' text made into JSON, and JSON into what Postgres reads."""

from __future__ import annotations

import contextlib
import json
import struct
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devdb.gateway import parameters
from devdb.gateway.answers import LARGEST, Answers, TooLarge
from devdb.gateway.parameters import Malformed
from devdb.gateway.values import Mode, converting, read, writer
from devdb.wire import Stranger, framing
from devdb.wire.framing import Column

RAW = Mode(is_raw=True, is_array=True)
INT_ARRAY, TEXT_ARRAY, BOX_ARRAY, JSON_ARRAY = 1007, 1009, 1020, 199


def column(name: str, oid: int = 25) -> Column:
    return Column(name, 0, 0, oid, -1, -1)


def row(*values: bytes | None) -> bytes:
    """The message that brings such a row."""
    parts = [
        struct.pack("!i", -1 if each is None else len(each)) + (each or b"") for each in values
    ]
    return framing.message(b"D", struct.pack("!H", len(values)) + b"".join(parts))


@given(st.lists(st.none() | st.text(st.characters(codec="utf-8")), max_size=5))
def test_a_row_is_json_whatever_is_in_it(values: list[str | None]) -> None:
    columns = [column(f'%s{number}\n"') for number in range(len(values))]
    one = row(*(None if each is None else each.encode() for each in values))
    data = b"?" + one * 2 + one[:-1]
    rows, position = read(data, 1, len(values))
    assert position == 1 + 2 * len(one)
    assert json.loads(f"[{writer(columns, RAW)(rows)}]") == [values, values]
    names = [each.name for each in columns]
    named = dict(zip(names, values, strict=True))
    for is_raw in (True, False):
        written = writer(columns, Mode(is_raw=is_raw, is_array=False))(rows)
        assert json.loads(f"[{written}]") == [named, named]
    written = writer(columns, Mode(is_raw=False, is_array=True))(rows)
    assert json.loads(f"[{written}]") == [values, values]


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert read(row(b"a\xff"), 0, 1)[0] == [["a\ufffd"]]


def as_postgres(value: Any, delimiter: str = ",") -> str:
    """As array_out() spells it, where it quotes no more than it has to."""
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return "{" + delimiter.join(as_postgres(each, delimiter) for each in value) + "}"
    special = set('{}"\\ \t\n\r\v\f') | {delimiter}
    if value and value.upper() != "NULL" and not special & set(value):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


nested = st.recursive(
    st.lists(st.none() | st.text(st.characters(codec="utf-8"))), st.lists, max_leaves=9
)


@given(nested)
def test_arrays_are_read(value: Any) -> None:
    assert json.loads(converting(TEXT_ARRAY)(as_postgres(value))) == value
    assert json.loads(converting(BOX_ARRAY)(as_postgres(value, ";"))) == value


@pytest.mark.parametrize(
    ("oid", "text", "expected"),
    [
        (16, "t", "true"),
        (16, "f", "false"),
        (23, "-7", "-7"),
        (20, "9007199254740993", '"9007199254740993"'),
        (1700, "1.50", '"1.50"'),
        (701, "1e-07", "1e-07"),
        (701, "-0", "-0"),
        (701, "NaN", '"NaN"'),
        (700, "Infinity", '"Infinity"'),
        (114, '{"a":  1.50}', '{"a":  1.50}'),
        (INT_ARRAY, "[-1:0][2:3]={{1,2},{NULL,4}}", "[[1,2],[null,4]]"),
        (1000, "{t,f,NULL}", "[true,false,null]"),
        (JSON_ARRAY, '{"{\\"a\\": \\"\\\\\\\\\\"}"}', '[{"a": "\\\\"}]'),
        (TEXT_ARRAY, '{NULL,"NULL",null}', '[null,"NULL","null"]'),
        (22, "1 2", '"1 2"'),
        (99999, "{a,b}", '"{a,b}"'),
    ],
)
def test_values_become_what_json_has(oid: int, text: str, expected: str) -> None:
    assert converting(oid)(text) == expected
    json.loads(expected)


def described(*columns: Column) -> bytes:
    fields = b"".join(
        each.name.encode() + b"\0" + struct.pack("!IhIhih", 0, 0, each.type, -1, -1, 0)
        for each in columns
    )
    return framing.message(b"T", struct.pack("!H", len(columns)) + fields)


READY = framing.message(b"Z", b"I")


def done(tag: str) -> bytes:
    return framing.message(b"C", tag.encode() + b"\0")


@given(st.data())
def test_an_answer_may_come_in_any_pieces(data: st.DataObject) -> None:
    whole = framing.message(b"1", b"") + framing.message(b"2", b"") + described(column("a"))
    whole += b"".join(row(b"x" * number) for number in range(9)) + done("SELECT 9") + READY
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=20))
    answers, pending = Answers([RAW], ready=1), b""
    borders = [0, *sorted(cuts), len(whole)]
    for start, end in pairwise(borders):
        pending += whole[start:end]
        used, needed = answers.take(pending)
        pending = pending[used:]
        assert needed > len(pending)
    assert answers.is_complete
    assert pending == b""
    [result] = answers.results
    found = json.loads(b"".join(result.json))
    assert found["rows"] == [["x" * number] for number in range(9)]
    assert (found["command"], found["rowCount"]) == ("SELECT", 9)


@pytest.mark.parametrize(
    ("tag", "command", "count"),
    [
        ("INSERT 0 3", "INSERT", 3),
        ("INSERT 16384 1", "INSERT", 1),
        ("SELECT 0", "SELECT", 0),
        ("CREATE TABLE", "CREATE", None),
        ("BEGIN", "BEGIN", None),
        ("", None, None),
    ],
)
def test_a_tag_is_taken_apart(tag: str, command: str | None, count: int | None) -> None:
    answers = Answers([RAW], ready=1)
    answers.take(framing.message(b"n", b"") + done(tag) + READY)
    [result] = answers.results
    found = json.loads(b"".join(result.json))
    assert (found["command"], found["rowCount"], found["rows"]) == (command, count, [])


def test_a_message_that_is_too_large_is_not_waited_for() -> None:
    head = described(column("a")) + b"D"
    answers = Answers([RAW], ready=1)
    used, needed = answers.take(head + struct.pack("!i", LARGEST))
    assert (used, needed) == (len(head) - 1, LARGEST + 1)
    for length, error in ((LARGEST + 1, TooLarge), (3, Stranger), (-1, Stranger)):
        with pytest.raises(error):
            Answers([RAW], ready=1).take(head + struct.pack("!i", length))
    with pytest.raises(Stranger):
        Answers([RAW], ready=1).take(framing.message(b"?", b""))


@given(st.lists(st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"))))
def test_an_array_that_is_sent_is_read_as_it_was(value: list[str | None]) -> None:
    body = json.dumps({"query": "", "params": [value]}).encode()
    [statement] = parameters.asked({}, body).statements
    [sent] = statement.values
    assert sent is not None
    assert json.loads(converting(TEXT_ARRAY)(sent.decode())) == value


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://devdb:s%65cret@127.0.0.1:5432/main?sslmode=require&x=1",
        "postgres://devdb:secret@localhost:5432/main",
        "postgresql://devdb:secret@[::1]:5432/m%61in?",
        "postgresql://devdb:secret@api.example:5432/main",
    ],
)
def test_a_connection_string_is_read(text: str) -> None:
    found = parameters.login({parameters.CONNECTION: text})
    assert (found.user, found.password, found.database) == ("devdb", "secret", "main")
    assert (found.port, found.settings) == (5432, ())
    assert "secret" not in repr(found)


@given(st.text(max_size=40))
def test_a_connection_string_is_read_or_refused(text: str) -> None:
    for whole in (text, f"postgresql://{text}", f"postgresql://u:p@h/d?{text}"):
        with contextlib.suppress(Malformed):
            assert parameters.login({parameters.CONNECTION: whole}).password
