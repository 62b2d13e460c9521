"""Known error texts are recognised in whatever surrounds them."""

import pytest

from devdb.advice import ADVICE, Advice, Pooler, lookup

S0_EXISTS = 'prepared statement "s0" already exists'
S0_GONE = 'prepared statement "s0" does not exist'
PSYCOPG = 'prepared statement "_pg3_0" does not exist'
REFUSED = "connection refused"
CLOSED = "server closed the connection unexpectedly"
NO_PASSWORD = "SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string"
OWN_POOL = "P2024: Timed out fetching a new connection from the connection pool"
IN_USE = 'database "main" is being accessed by other users'
STALE = "cache lookup failed for type 16452"
NO_TLS = "server does not support SSL, but SSL was required"
NO_URL = 'missing "=" after "postgresql+psycopg://..." in connection info string'


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
            S0_GONE,
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
        # The same errors, as each client words them.
        (
            'psycopg.errors.InvalidSqlStatementName: prepared statement "_pg3_7" does not exist',
            PSYCOPG,
        ),
        ('PG::DuplicatePstatement: ERROR:  prepared statement "a1" already exists', S0_EXISTS),
        ('26000: prepared statement "_p1" does not exist', S0_GONE),
        ('ERROR: prepared statement "stmtcache_5f" does not exist (SQLSTATE 26000)', S0_GONE),
        ("ERROR: unnamed prepared statement does not exist", S0_GONE),
        (
            r'QueryError(PostgresError { message: "prepared statement \"s1\" already exists" })',
            S0_EXISTS,
        ),
        ("asyncpg.exceptions.InvalidCachedStatementError: cached statement plan is invalid", STALE),
        ("ActiveRecord::PreparedStatementCacheExpired", STALE),
        ('PG::ObjectInUse: ERROR:  database "a_test" is being accessed by other users', IN_USE),
        ('source database "template1" is being accessed by other users', IN_USE),
        ("Got an error recreating the test database: ...", IN_USE),
        ("fe_sendauth: no password supplied", NO_PASSWORD),
        (
            "The server requested SCRAM-based authentication, but no password was provided.",
            NO_PASSWORD,
        ),
        (
            "No password has been provided but the backend requires one (in SASL/SCRAM-SHA-256)",
            NO_PASSWORD,
        ),
        ("sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached", OWN_POOL),
        ("psycopg_pool.PoolTimeout: couldn't get a connection after 30.00 sec", OWN_POOL),
        (
            "ConnectionTimeoutError: could not obtain a connection from the pool within "
            "5.000 seconds",
            OWN_POOL,
        ),
        ("HikariPool-1 - Connection is not available, request timed out after 30000ms", OWN_POOL),
        ("KnexTimeoutError: Knex: Timeout acquiring a connection. The pool is full", OWN_POOL),
        ("The connection pool has been exhausted, either raise 'Max Pool Size'", OWN_POOL),
        ("Error: Connection terminated unexpectedly", CLOSED),
        (
            "ConnectionDoesNotExistError: connection was closed in the middle of operation",
            CLOSED,
        ),
        ("PSQLException: An I/O error occurred while sending to the backend.", CLOSED),
        ("Npgsql.NpgsqlException: Exception while reading from stream", CLOSED),
        ("SSL SYSCALL error: EOF detected", CLOSED),
        ("Error: P1017 Server has closed the connection", CLOSED),
        ("FATAL: terminating connection due to administrator command", CLOSED),
        ("Connection to 127.0.0.1:5432 refused. Check that the hostname is correct", REFUSED),
        ("Npgsql.NpgsqlException: Failed to connect to 127.0.0.1:15432", REFUSED),
        ("P1001: Can't reach database server at `127.0.0.1:5432`", REFUSED),
        ("Error: The server does not support SSL connections", NO_TLS),
        ("pq: SSL is not enabled on the server", NO_TLS),
        ('invalid DSN: scheme is expected to be either "postgresql" or "postgres"', NO_URL),
        ("the URL must start with the protocol `postgresql://` or `postgres://`.", NO_URL),
        ("TypeError [ERR_INVALID_URL]: Invalid URL", NO_URL),
        (
            'could not open extension control file "/usr/share/postgresql/17/extension/x.control"',
            'extension "vector" is not available',
        ),
        (
            'ERROR:  extension "uuid-ossp" is not available',
            'extension "pgcrypto" is not available',
        ),
        (
            'ERROR:  extension "hstore_plperl" is not available',
            'extension "vector" is not available',
        ),
        (
            "ERROR: function gen_random_bytes(integer) does not exist",
            'type "vector" does not exist',
        ),
        (
            "pg_dump: error: aborting because of server version mismatch",
            "unsupported version (1.16) in file header",
        ),
        (
            "error: backslash commands are restricted; only \\unrestrict is allowed",
            "invalid command \\restrict",
        ),
        (
            "postgresql://u:p@h/d?options=-c%20search_path%3Dapp",
            "options=-c search_path=app has no effect",
        ),
        # The particular, where the general is in the same text.
        (
            "FATAL: unsupported startup parameter in options: search_path",
            "unsupported startup parameter: search_path",
        ),
        (
            'unrecognized configuration parameter "channel_binding"',
            'unrecognized configuration parameter "pgbouncer"',
        ),
        (
            'connection failed: FATAL:  password authentication failed for user "x"\n'
            "Multiple connection attempts failed",
            'password authentication failed for user "devdb"',
        ),
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


def told(text: str, *, mode: str = "transaction", prepared: int = 200) -> Advice:
    pooler = Pooler(instance="shop", version="1.24.1", mode=mode, prepared=prepared)
    found = lookup(text, pooler)
    assert found is not None
    return found


@pytest.mark.parametrize("text", [S0_EXISTS, S0_GONE, PSYCOPG])
def test_the_version_is_not_blamed_where_the_pooler_tracks(text: str) -> None:
    found = told(text)
    assert "PgBouncer 1.24.1 of 'shop'" in found.cause
    assert "1.21" not in found.cause + found.cure
    assert "1.21" in (lookup(text) or found).cause


@pytest.mark.parametrize("text", [S0_EXISTS, S0_GONE])
def test_what_the_pooler_is_set_to_decides(text: str) -> None:
    assert "max_prepared_statements = 0" in told(text, prepared=0).cure
    assert "pools sessions" in told(text, mode="session").cause


def test_a_pooler_changes_nothing_of_other_advice() -> None:
    assert told(REFUSED) == lookup(REFUSED)
