"""The clients: how each library that reads a URL wants it spelled.

There is not one parameter that all of them accept, so each has a row of its own here; the table
of docs/clients.md is made from it (`scripts/docs`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from devdb.errors import UsageError
from devdb.wording import did_you_mean

CA = "{ca}"
"""Stands for the path of the CA certificate in the table."""


class Form(StrEnum):
    """What the text is."""

    URL = "URL"
    JDBC = "JDBC URL"
    KEYWORDS = "keywords"
    DJANGO = "Python"


Parameters = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS is wanted: encrypted, and with `ca` the server's name and certificate verified."""

    ca: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One row of the table."""

    name: str
    used_by: str
    note: str
    """One line that everybody who uses it should know."""
    scheme: str = "postgresql"
    form: Form = Form.URL
    require: Parameters = (("sslmode", "require"),)
    verify: Parameters = (("sslmode", "verify-full"), ("sslrootcert", CA))
    verify_more: str = ""
    """What `verify` needs beside the text: an environment variable, mostly."""
    pooled: Parameters = ()
    """Added to every pooled spelling."""
    untracked: Parameters = ()
    """Added to a pooled spelling where the pooler cannot track prepared statements."""
    untracked_more: str = ""
    """What has to be said in code then, because the text cannot say it."""
    database_parameter: str = ""
    """Where an unusual database name goes when the client does not decode the path."""
    decode_uri: bool = False
    """The client decodes the path with JavaScript's decodeURI, which leaves `%2F` and the like."""
    host: str = ""
    """What it wants this machine to be called, where it takes no other name."""
    no_tls: str = ""
    """Why its URL asks for no TLS, whoever wants some: `require` and `verify` are empty then."""


DEFAULT = "libpq"
"""Whose spelling is the canonical URL."""

CLIENTS: dict[str, Client] = {
    client.name: client
    for client in (
        Client(
            name="libpq",
            used_by="psql, pg_dump, pgbench, and whatever links libpq",
            note="Unknown parameters are errors: `pgbouncer=true` of other tools' URLs is one.",
        ),
        Client(
            name="psycopg",
            used_by="psycopg 3 and 2",
            note=(
                "Pooled, with libpq below 17: `prepare_threshold=None`, or it fails at 101 "
                "statements."
            ),
            untracked_more="psycopg.connect(url, prepare_threshold=None)",
        ),
        Client(
            name="asyncpg",
            used_by="asyncpg",
            note="Takes unknown parameters for server settings: the server refuses them.",
            untracked_more="asyncpg.connect(url, statement_cache_size=0)",
        ),
        Client(
            name="sqlalchemy",
            used_by="SQLAlchemy 2, Alembic, SQLModel (psycopg)",
            note=(
                "Migrate direct. Pooled, with libpq below 17: "
                '`connect_args={"prepare_threshold": None}`.'
            ),
            scheme="postgresql+psycopg",
            untracked_more='create_engine(url, connect_args={"prepare_threshold": None})',
            database_parameter="dbname",
        ),
        Client(
            name="sqlalchemy-asyncpg",
            used_by="SQLAlchemy 2, async",
            note="`sslmode` is a TypeError here: it is `ssl`.",
            scheme="postgresql+asyncpg",
            require=(("ssl", "require"),),
            verify=(("ssl", "verify-full"),),
            verify_more=f"export PGSSLROOTCERT={CA}",
            untracked=(("prepared_statement_cache_size", "0"),),
            untracked_more=(
                'create_async_engine(url, connect_args={"statement_cache_size": 0, '
                '"prepared_statement_name_func": lambda: f"s{uuid4()}"})'
            ),
            database_parameter="database",
        ),
        Client(
            name="django",
            used_by="Django with dj-database-url or django-environ",
            note=(
                "Pooled: `DISABLE_SERVER_SIDE_CURSORS`, no `prepare_threshold`. "
                "Migrate and test direct."
            ),
        ),
        Client(
            name="django-settings",
            used_by="Django's settings.py",
            note="A `DATABASES` snippet; pooled, no `prepare_threshold`. Migrate and test direct.",
            form=Form.DJANGO,
            scheme="",
        ),
        Client(
            name="node-postgres",
            used_by="pg for Node, Knex, Sequelize, TypeORM, Kysely",
            note="Takes `sslmode=require` for verify-full unless told otherwise.",
            require=(("sslmode", "require"), ("uselibpqcompat", "true")),
            untracked_more="no name in query({ name, text })",
            decode_uri=True,
        ),
        Client(
            name="postgres.js",
            used_by="postgres for Node, Deno, Bun",
            note="Sends unknown parameters to the server, which refuses them.",
            scheme="postgres",
            verify=(("sslmode", "verify-full"),),
            verify_more=f"export NODE_EXTRA_CA_CERTS={CA}",
            untracked=(("prepare", "false"),),
            database_parameter="database",
        ),
        Client(
            name="drizzle",
            used_by="Drizzle ORM and drizzle-kit (node-postgres)",
            note="With postgres.js as its driver: `--for postgres.js`. Migrate direct.",
            require=(("sslmode", "require"), ("uselibpqcompat", "true")),
            untracked_more="no name in .prepare(name)",
            decode_uri=True,
        ),
        Client(
            name="prisma",
            used_by="Prisma 7 (prisma.config.ts, @prisma/adapter-pg)",
            note="The URL of prisma.config.ts is the migrations': direct. The adapter's: pooled.",
            require=(("sslmode", "require"), ("uselibpqcompat", "true")),
            decode_uri=True,
        ),
        Client(
            name="prisma-6",
            used_by="Prisma up to 6 (schema.prisma)",
            note="`pgbouncer=true` only where the pooler cannot track prepared statements.",
            verify=(("sslmode", "require"), ("sslaccept", "strict"), ("sslcert", CA)),
            untracked=(("pgbouncer", "true"),),
        ),
        Client(
            name="jdbc",
            used_by="pgJDBC: Java, Kotlin, Scala, DBeaver",
            note="User and password are parameters.",
            scheme="jdbc:postgresql",
            form=Form.JDBC,
            untracked=(("prepareThreshold", "0"),),
        ),
        Client(
            name="pgx",
            used_by="pgx for Go",
            note="Prepares every query and caches the statement.",
            untracked=(("default_query_exec_mode", "exec"),),
            database_parameter="dbname",
        ),
        Client(
            name="rails",
            used_by="Ruby on Rails, Active Record",
            note="Migrations hold an advisory lock, tests drop databases: both go direct.",
            untracked=(("prepared_statements", "false"),),
        ),
        Client(
            name="npgsql",
            used_by="Npgsql: .NET, Entity Framework Core",
            note="Pooled, it must not send `DISCARD ALL` to a connection it does not own.",
            scheme="",
            form=Form.KEYWORDS,
            require=(("SSL Mode", "Require"), ("Trust Server Certificate", "true")),
            verify=(("SSL Mode", "VerifyFull"), ("Root Certificate", CA)),
            pooled=(("No Reset On Close", "true"),),
        ),
        Client(
            name="neon",
            used_by="@neondatabase/serverless; Drizzle, Kysely and Prisma's adapter on it",
            note="Speaks to the HTTP URL: this one's port says whether direct or pooled.",
            require=(),
            verify=(),
            decode_uri=True,
            no_tls="The HTTP URL is on this machine, and without TLS.",
        ),
        Client(
            name="vercel",
            used_by="@vercel/postgres",
            note="As `neon`; refuses every host of this machine but `localhost`.",
            require=(),
            verify=(),
            decode_uri=True,
            host="localhost",
            no_tls="The HTTP URL is on this machine, and without TLS.",
        ),
        Client(
            name="hyperdrive",
            used_by="wrangler dev, Cloudflare's Vite plugin",
            note="It knows no CA, and older ones no TLS: without, on this machine.",
            require=(),
            verify=(),
            # https://github.com/cloudflare/workers-sdk/issues/7970 and cloudflare-docs/issues/27615
            no_tls="wrangler dev and TLS do not go together: Hyperdrive's URL is without.",
        ),
    )
}


def client(name: str) -> Client:
    """The client of that name. Raises UsageError with the known ones, the likeliest first."""
    found = CLIENTS.get(name)
    if found is None:
        meant = did_you_mean(name, CLIENTS)
        raise UsageError(
            f"There is no client '{name}' in devdb's table.", f"{meant}Known: {', '.join(CLIENTS)}."
        )
    return found
