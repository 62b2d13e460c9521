"""The error texts that poolers and URLs are known for: why each comes, and what cures it."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One row of the table."""

    text: str
    """The error as somebody is shown it."""
    pattern: str
    """Finds it in whatever is around it; no case, straight quotes, single spaces."""
    cause: str
    cure: str
    """What to do; a command at the end where there is one."""


def lookup(text: str) -> Advice | None:
    """The advice for the first known error text in `text`: a line, a traceback, a whole log."""
    plain = re.sub(r"[\u2018\u2019\u201c\u201d'`]", '"', text)
    plain = re.sub(r"\s+", " ", plain)
    for advice in ADVICE:
        if re.search(advice.pattern, plain, re.IGNORECASE):
            return advice
    return None


ADVICE = (
    Advice(
        text='prepared statement "s0" already exists',
        pattern=r'prepared statement "[^"]*" (already exists|does not exist)',
        cause=(
            "The client prepares statements, and a pooler that cannot track them (PgBouncer below "
            "1.21 in transaction mode) gave it another server connection."
        ),
        cure=(
            "Use PgBouncer 1.21 or newer, or what the client needs without tracking; migrations go "
            "direct: devdb url --for CLIENT --pooled"
        ),
    ),
    Advice(
        text="cached plan must not change result type",
        pattern=r"cached plan must not change result type",
        cause=(
            "A table was changed while statements on it were prepared, in the client's session or "
            "in one that the pooler keeps."
        ),
        cure="Reconnect the client; for the pooler's sessions: devdb down && devdb up -d",
    ),
    Advice(
        text="unsupported startup parameter: search_path",
        pattern=r"unsupported startup parameter",
        cause=(
            "The client sends a setting when it connects, and PgBouncer passes on only those it "
            "can keep apart for each client."
        ),
        cure=(
            "Take it out of the URL and make it the role's: ALTER ROLE devdb SET name = value; or "
            "connect directly: devdb url"
        ),
    ),
    Advice(
        text='invalid URI query parameter: "pgbouncer"',
        pattern=r"invalid (URI query parameter|connection option)",
        cause="The URL has a parameter that another client reads, and libpq refuses what it lacks.",
        cure="Take the parameter out, or use the client's own spelling: devdb url --for libpq",
    ),
    Advice(
        text='unrecognized configuration parameter "pgbouncer"',
        pattern=(
            r'unrecognized configuration parameter "(pgbouncer|connection_limit|pool_timeout|'
            r'schema|sslaccept|channel_binding|connect_timeout|uselibpqcompat|sslrootcert)"'
        ),
        cause=(
            "The URL has a parameter that another client reads; this one (asyncpg, postgres.js) "
            "sends it to the server as a setting."
        ),
        cure="Take it out, or use the client's own spelling: devdb url --for CLIENT",
    ),
    Advice(
        text="connect() got an unexpected keyword argument 'sslmode'",
        pattern=r'connect\(\) got an unexpected keyword argument "\w+"',
        cause="SQLAlchemy hands every parameter of the URL to its driver; asyncpg lacks this one.",
        cure="Use its own spelling: devdb url --for sqlalchemy-asyncpg",
    ),
    Advice(
        text="Can't load plugin: sqlalchemy.dialects:postgres",
        pattern=r'Can"t load plugin: sqlalchemy\.dialects:postgres\b',
        cause="SQLAlchemy does not know the scheme postgres://.",
        cure="Use its own spelling: devdb url --for sqlalchemy",
    ),
    Advice(
        text="No suitable driver found for postgresql://...",
        pattern=r"No suitable driver found for (jdbc:)?postgres",
        cause="Java's URLs begin with jdbc:postgresql://, and pgJDBC has to be on the class path.",
        cure="Use its own spelling: devdb url --for jdbc",
    ),
    Advice(
        text="Timed out trying to acquire a postgres advisory lock",
        pattern=r"acquire a postgres advisory lock|ConcurrentMigrationError|concurrent migration",
        cause=(
            "The migration tool locks for as long as its session lasts. Through the pooler in "
            "transaction mode that session stays when the tool is gone, and the lock with it."
        ),
        cure=(
            "Migrate with the direct URL (devdb url); a lock that was left goes with the pooler's "
            "sessions: devdb down && devdb up -d"
        ),
    ),
    Advice(
        text='cursor "_django_curs_1_sync_1" does not exist',
        pattern=r'cursor "[^"]*" does not exist',
        cause="A cursor outlived its transaction, and the pooler gave the session to another.",
        cure=(
            "Keep it in one transaction; Django: DISABLE_SERVER_SIDE_CURSORS = True, as in: "
            "devdb url --pooled --for django-settings"
        ),
    ),
    Advice(
        text="sorry, too many clients already",
        pattern=r"too many clients already|remaining connection slots are reserved",
        cause="Each direct connection is a server process, and all max_connections are taken.",
        cure="Use the pooled URL, which a thousand clients can share: devdb url --pooled",
    ),
    Advice(
        text="no more connections allowed (max_client_conn)",
        pattern=r"no more connections allowed|max_user_client_connections",
        cause="More clients than PgBouncer lets in: connections are opened and never closed.",
        cure="Give the app a pool of its own with an upper limit, and look who it is: devdb status",
    ),
    Advice(
        text="query_wait_timeout",
        pattern=r"query_wait_timeout",
        cause=(
            "A query waited 15 s for a server connection: all of the pool are in transactions that "
            "do not end (in session mode: have clients that do not disconnect), or Postgres lets "
            "nobody in."
        ),
        cure=(
            "Look for sessions idle in transaction and for errors (devdb logs); in session mode "
            "keep the app's own pool below 20: devdb status"
        ),
    ),
    Advice(
        text="server login has been failing, cached error: connect failed (server_login_retry)",
        pattern=r"server login has been failing|server_login_retry",
        cause="PgBouncer could not log in to Postgres a moment ago, and tells the clients so.",
        cure="See whether Postgres runs and what it says: devdb status; devdb logs",
    ),
    Advice(
        text="server does not support SSL, but SSL was required",
        pattern=r"server does not support SSL|does not support TLS|SSL required",
        cause="The URL asks for TLS and this server has none (some builds of Postgres lack it).",
        cure="Take sslmode out of the URL, or see what the instance can do: devdb status",
    ),
    Advice(
        text="self-signed certificate in certificate chain",
        pattern=(
            r"self[- ]signed certificate|DEPTH_ZERO_SELF_SIGNED_CERT|certificate verify failed|"
            r"unable to verify the first certificate|root certificate file .* does not exist"
        ),
        cause=(
            "The client verifies the server's certificate, and the instance's own CA is not known "
            "to it; node-postgres verifies also with sslmode=require."
        ),
        cure="Ask in its own words, with the CA: devdb url --for CLIENT --tls verify-full",
    ),
    Advice(
        text="pg_hba.conf rejects connection for host",
        pattern=r"pg_hba\.conf rejects connection|no pg_hba\.conf entry",
        cause="The role of a temporary database was used on another database: it reaches its own.",
        cure="Use the URL that came with the database: devdb temp ls",
    ),
    Advice(
        text='password authentication failed for user "devdb"',
        pattern=r"(password|SASL) authentication failed|wrong password",
        cause=(
            "The password is another instance's or an older one's; a temporary database's stops "
            "working in the second it expires."
        ),
        cure="Write the .env anew: devdb env; or see what has expired: devdb temp ls",
    ),
    Advice(
        text="connection refused",
        pattern=r"connection refused|ECONNREFUSED|Connect call failed|P1001",
        cause="Nobody listens on that port: the instance is stopped, or the URL is another's.",
        cure="Start it, and compare the ports: devdb up -d; devdb status",
    ),
    Advice(
        text="database files are incompatible with server",
        pattern=r"database files are incompatible with server",
        cause="The data was made by another major version of Postgres.",
        cure="Start it with the binaries or the image of that major: devdb up --pg MAJOR",
    ),
)
"""The particular before the general: the first that matches is the answer."""
