"""The presets: the environment variables that a framework or a provider expects.

`devdb env --preset NAME` writes them, `devdb up --preset NAME` listens where the provider does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from devdb.errors import UsageError
from devdb.model import Endpoint
from devdb.urls import clients
from devdb.urls.clients import Form, Tls, client
from devdb.urls.goes import MADE as MADE
from devdb.urls.goes import Goes as Goes
from devdb.urls.serverless import HTTP_URL, http_url
from devdb.urls.spelling import Spelling, spelling
from devdb.wording import did_you_mean

AUTO = "auto"
"""Not a preset: `devdb.urls.detection` finds the one that fits the project."""
DEFAULT = "plain"
OWN = "own"
"""What a project's own names are called, where it asks for no preset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One row of the table."""

    name: str
    used_by: str
    variables: tuple[tuple[str, Goes], ...]
    client: str | None = None
    """Who reads the variables; None: the project's client, else the canonical URL."""
    readers: tuple[tuple[str, str], ...] = ()
    """Variables that another client reads, too, which takes no other spelling."""
    ports: tuple[int, int] | None = None
    """Where the provider listens, direct and pooled."""
    note: str = ""
    fixed: tuple[tuple[str, str], ...] = ()
    """Variables that are the same for every instance; they come first."""

    @property
    def names(self) -> set[str]:
        """All that it writes."""
        return {*dict(self.fixed), *dict(self.variables)}


_APP = ("DATABASE_URL", Goes.POOLED)
_PLAIN = (_APP, ("DIRECT_URL", Goes.DIRECT))
_PRISMA = (*_PLAIN, ("SHADOW_DATABASE_URL", Goes.SHADOW))
_HTTP = (HTTP_URL, Goes.HTTP)
_NEON = (_APP, ("DATABASE_URL_UNPOOLED", Goes.DIRECT), _HTTP)

HYPERDRIVE = "CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_"
"""What `wrangler dev` reads instead of a Hyperdrive; the name of the binding comes behind it.
https://developers.cloudflare.com/hyperdrive/configuration/local-development/"""
_OF_HYPERDRIVE = (HYPERDRIVE, HYPERDRIVE.replace("CLOUDFLARE", "WRANGLER", 1))
"""The second is what it was called before."""
VERCEL = (("POSTGRES_URL", Goes.POOLED), ("POSTGRES_URL_NON_POOLING", Goes.DIRECT))
"""What @vercel/postgres reads: its pool, and its client."""
PRISMA = ("prisma", "prisma-7", "redwood")
"""Whose names are those that the project's schema and config read, where these say them."""

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(name="plain", used_by="everybody else", variables=_PLAIN),
        Preset(
            name="prisma",
            used_by="Prisma up to 6",
            variables=_PRISMA,
            client="prisma-6",
            note="schema.prisma: url, directUrl and shadowDatabaseUrl read them.",
        ),
        Preset(
            name="prisma-7",
            used_by="Prisma 7",
            variables=_PRISMA,
            client="prisma",
            note="prisma.config.ts: datasource.url is the migrations', env('DIRECT_URL').",
        ),
        Preset(
            name="redwood",
            used_by="RedwoodJS, CedarJS",
            variables=(
                *_PRISMA,
                ("TEST_DATABASE_URL", Goes.TEST),
                ("TEST_DIRECT_URL", Goes.TEST),
            ),
            client="prisma-6",
            note='api/db/schema.prisma: add directUrl = env("DIRECT_URL").',
        ),
        Preset(name="supabase", used_by="Supabase", variables=_PLAIN, ports=(5432, 6543)),
        Preset(
            name="neon",
            used_by="Neon",
            variables=_NEON,
            note="Its drivers take the lines of docs/serverless.md: devdb url --http --help",
        ),
        Preset(
            name="vercel",
            used_by="Vercel Postgres (Neon, Supabase)",
            # As `vercel env pull` brings them; Vercel's have no port, which is always 5432 there.
            variables=(
                ("POSTGRES_URL", Goes.POOLED),
                ("POSTGRES_PRISMA_URL", Goes.POOLED),
                ("POSTGRES_URL_NO_SSL", Goes.POOLED),
                ("POSTGRES_URL_NON_POOLING", Goes.DIRECT),
                ("POSTGRES_USER", Goes.USER),
                ("POSTGRES_HOST", Goes.HOST),
                ("POSTGRES_PORT", Goes.POOL_PORT),
                ("POSTGRES_PASSWORD", Goes.PASSWORD),
                ("POSTGRES_DATABASE", Goes.DATABASE),
                *_NEON,
            ),
            readers=tuple((name, "vercel") for name, _ in VERCEL),
            note="@vercel/postgres takes no host but localhost, and the lines of"
            " docs/serverless.md: devdb url --http --help",
        ),
        Preset(
            name="heroku",
            used_by="Heroku",
            variables=(
                ("DATABASE_URL", Goes.DIRECT),
                ("DATABASE_CONNECTION_POOL_URL", Goes.POOLED),
            ),
            note="Heroku's DATABASE_URL is the direct one.",
        ),
        Preset(
            name="digitalocean",
            used_by="DigitalOcean's managed databases",
            variables=_PLAIN,
            ports=(25060, 25061),
        ),
        Preset(
            name="rds-proxy",
            used_by="AWS RDS Proxy",
            variables=_PLAIN,
            note="The real proxy pins a session that prepares; PgBouncer does not.",
        ),
        Preset(
            name="railway",
            used_by="Railway",
            variables=(_APP, ("DATABASE_UNPOOLED_URL", Goes.DIRECT)),
        ),
        Preset(
            name="django",
            used_by="Django",
            variables=_PLAIN,
            client="django",
            note='Migrate and test direct: DATABASE_URL="$DIRECT_URL" python manage.py test',
        ),
        Preset(
            name="rails",
            used_by="Ruby on Rails",
            variables=_PLAIN,
            client="rails",
            note='Migrate and test direct: DATABASE_URL="$DIRECT_URL" bin/rails test',
        ),
        Preset(
            name="laravel",
            used_by="Laravel",
            fixed=(("DB_CONNECTION", "pgsql"),),
            # Direct: artisan migrates with the same port, and PDO before PHP 8.4 says DEALLOCATE
            # in SQL, which no pooler follows (php-src #12940).
            variables=(
                ("DB_HOST", Goes.HOST),
                ("DB_PORT", Goes.PORT),
                ("DB_DATABASE", Goes.DATABASE),
                ("DB_USERNAME", Goes.USER),
                ("DB_PASSWORD", Goes.PASSWORD),
            ),
            note="DB_PORT is the direct one. Pooled: --set DB_PORT=pool-port, and in"
            " config/database.php PDO::ATTR_EMULATE_PREPARES, or 'pooled' => true of Laravel 13.",
        ),
        Preset(
            name="libpq",
            used_by="psql, and what else reads PGHOST",
            variables=(
                ("PGHOST", Goes.HOST),
                ("PGPORT", Goes.PORT),
                ("PGUSER", Goes.USER),
                ("PGPASSWORD", Goes.PASSWORD),
                ("PGDATABASE", Goes.DATABASE),
            ),
            note="PGPORT is the direct one; pooled: --set PGPORT=pool-port.",
        ),
        Preset(
            name="postgres-parts",
            used_by="what puts its URL together itself",
            variables=(
                ("POSTGRES_HOST", Goes.HOST),
                ("POSTGRES_PORT", Goes.PORT),
                ("POSTGRES_DB", Goes.DATABASE),
                ("POSTGRES_USER", Goes.USER),
                ("POSTGRES_PASSWORD", Goes.PASSWORD),
            ),
            note="POSTGRES_PORT is the direct one; pooled: --set POSTGRES_PORT=pool-port.",
        ),
        Preset(
            name="hyperdrive",
            used_by="Cloudflare Workers with Hyperdrive",
            variables=((f"{HYPERDRIVE}HYPERDRIVE", Goes.POOLED), ("DIRECT_URL", Goes.DIRECT)),
            note="wrangler dev reads them from .env, not .dev.vars; migrate with DIRECT_URL.",
        ),
    )
}


def preset(name: str) -> Preset:
    """The preset of that name. Raises UsageError with the known ones, the likeliest first."""
    found = PRESETS.get(name)
    if found is None:
        meant = did_you_mean(name, PRESETS)
        known = ", ".join([AUTO, *PRESETS])
        raise UsageError(f"There is no preset '{name}'.", f"{meant}Known: {known}.")
    return found


def goes(name: str, text: str, source: str) -> Goes:
    """What that text of `[env]` or `--set` says the variable is to be.

    Raises UsageError, saying who said it.
    """
    if text not in list(Goes):
        raise UsageError(
            f"{source}: {name} = {text!r} is unknown.",
            f"{did_you_mean(text, Goes)}Known: {', '.join(Goes)}.",
        )
    return Goes(text)


def variables(
    chosen: Preset,
    *,
    direct: Endpoint,
    pooled: Endpoint,
    http: int | None = None,
    client: str | None = None,
    before: Mapping[str, str] = {},
    tls: Tls | None = None,
) -> dict[str, Spelling]:
    """What each of the preset's variables is to be, in its order.

    `http` is the gateway's port; without one the variables that lead to it are left out.
    `client` is the project's own, for presets that leave it open; where nobody names one, a
    variable keeps the form that it has in `before`: SQLAlchemy's, JDBC's or .NET's. `tls` as for
    `spelling`. Raises UsageError for an unknown client.
    """
    parts = {
        Goes.HOST: direct.host,
        Goes.PORT: str(direct.port),
        Goes.POOL_PORT: str(pooled.port),
        Goes.USER: direct.user,
        Goes.PASSWORD: direct.password,
        Goes.DATABASE: direct.database,
    }
    endpoints = {
        Goes.DIRECT: direct,
        Goes.POOLED: pooled,
        **{kind: replace(direct, database=database) for kind, database in MADE.items()},
    }
    found = {name: Spelling(text) for name, text in chosen.fixed}
    for name, kind in chosen.variables:
        if kind in parts:
            found[name] = Spelling(parts[kind])
        elif kind == Goes.HTTP:
            if http is not None:
                found[name] = Spelling(http_url(http))
        else:
            is_pooled = kind == Goes.POOLED
            reader = _reader(chosen, name, client or _client_of(before.get(name, "")))
            found[name] = spelling(reader, endpoints[kind], pooled=is_pooled, tls=tls)
    return found


def _client_of(text: str) -> str | None:
    """The client that alone has URLs of that form; None: they are everybody's."""
    if re.match(r"(?:Host|Server)=[^;]+;", text, re.IGNORECASE):
        return next(row.name for row in clients.CLIENTS.values() if row.form == Form.KEYWORDS)
    scheme = text.partition("://")[0]
    own = {row.scheme: row.name for row in clients.CLIENTS.values()}
    return own.get(scheme) if "+" in scheme or scheme.startswith("jdbc:") else None


def _reader(chosen: Preset, variable: str, own: str | None) -> str:
    if variable.startswith(_OF_HYPERDRIVE):
        return "hyperdrive"
    name = chosen.client or own or clients.DEFAULT
    # Python is no line of a .env file; what a settings.py takes from there is a URL.
    name = "django" if client(name).form == Form.DJANGO else name
    is_plain = client(name).form == Form.URL and "+" not in client(name).scheme
    return dict(chosen.readers).get(variable, name) if is_plain else name
