"""Known error texts are recognised in whatever surrounds them."""

import pytest

from devdb.advice import ADVICE, Advice, lookup


@pytest.mark.parametrize("advice", ADVICE, ids=lambda advice: advice.text)
def test_every_row_finds_its_own_text(advice: Advice) -> None:
    assert lookup(advice.text) is advice
    assert lookup(f"Traceback:\n  x.py\nERROR:  {advice.text.upper()}\nDETAIL: none") is advice


@pytest.mark.parametrize("advice", ADVICE, ids=lambda advice: advice.text)
def test_every_row_says_why_and_what_to_do(advice: Advice) -> None:
    assert advice.cause.endswith(".")
    assert advice.cure
    assert "\n" not in advice.cause + advice.cure


@pytest.mark.parametrize(
    ("text", "known"),
    [
        (
            "asyncpg.exceptions.DuplicatePreparedStatementError: prepared statement "
            '"__asyncpg_stmt_1__" already exists\nHINT: ...',
            'prepared statement "s0" already exists',
        ),
        (
            "prepared statement \u201clrupsc_1_0\u201d does\nnot exist",
            'prepared statement "s0" already exists',
        ),
        (
            'psycopg.ProgrammingError: invalid connection option "pgbouncer"',
            'invalid URI query parameter: "pgbouncer"',
        ),
        (
            "connect failed: FATAL: unsupported startup parameter in options: statement_timeout",
            "unsupported startup parameter: search_path",
        ),
        ("Error: connect ECONNREFUSED 127.0.0.1:15432", "connection refused"),
        ("FATAL: SASL authentication failed", 'password authentication failed for user "devdb"'),
        (
            "FATAL: remaining connection slots are reserved for roles with the SUPERUSER attribute",
            "sorry, too many clients already",
        ),
    ],
)
def test_variants(text: str, known: str) -> None:
    found = lookup(text)
    assert found is not None
    assert found.text == known


@pytest.mark.parametrize("text", ["", "syntax error at or near", 'relation "x" already exists'])
def test_unknown_text_gets_no_advice(text: str) -> None:
    assert lookup(text) is None
