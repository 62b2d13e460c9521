"""The presets: the environment variables that a framework or a provider expects.

`devdb env --preset NAME` writes them, `devdb up --preset NAME` listens where the provider does.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from enum import StrEnum

from devdb.errors import UsageError
from devdb.model import Endpoint
from devdb.urls import clients
from devdb.urls.clients import Form, Tls, client
from devdb.urls.spelling import Spelling, spelling

AUTO = "auto"
"""Not a preset: `devdb.urls.detection` finds the one that fits the project."""
DEFAULT = "plain"
SHADOW_DATABASE = "shadow"
"""Scratch space of migration tools, made on demand: they empty it each time they use it."""


class Goes(StrEnum):
    """Where a variable's URL leads."""

    POOLED = "pooled"
    DIRECT = "direct"
    SHADOW = "shadow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One row of the table."""

    name: str
    used_by: str
    variables: tuple[tuple[str, Goes], ...]
    client: str | None = None
    """Who reads the variables; None: the project's client, else the canonical URL."""
    ports: tuple[int, int] | None = None
    """Where the provider listens, direct and pooled."""
    note: str = ""

    @property
    def needs_shadow(self) -> bool:
        """Whether one of the variables leads to the shadow database."""
        return any(goes == Goes.SHADOW for _, goes in self.variables)


_APP = ("DATABASE_URL", Goes.POOLED)
_PLAIN = (_APP, ("DIRECT_URL", Goes.DIRECT))
_PRISMA = (*_PLAIN, ("SHADOW_DATABASE_URL", Goes.SHADOW))

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
            used_by="RedwoodJS",
            variables=_PRISMA,
            client="prisma-6",
            note="api/db/schema.prisma: add directUrl = env('DIRECT_URL').",
        ),
        Preset(name="supabase", used_by="Supabase", variables=_PLAIN, ports=(5432, 6543)),
        Preset(
            name="neon",
            used_by="Neon, Vercel Postgres",
            variables=(_APP, ("DATABASE_URL_UNPOOLED", Goes.DIRECT)),
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
    )
}


def preset(name: str) -> Preset:
    """The preset of that name. Raises UsageError with the known ones, the likeliest first."""
    found = PRESETS.get(name)
    if found is None:
        close = difflib.get_close_matches(name.lower(), PRESETS, n=1, cutoff=0.5)
        meant = f"Did you mean '{close[0]}'? " if close else ""
        known = ", ".join([AUTO, *PRESETS])
        raise UsageError(f"There is no preset '{name}'.", f"{meant}Known: {known}.")
    return found


def variables(
    chosen: Preset,
    *,
    direct: Endpoint,
    pooled: Endpoint,
    client: str | None = None,
    tls: Tls | None = None,
    tracked: bool = True,
) -> dict[str, Spelling]:
    """What each of the preset's variables is to be, in its order.

    `client` is the project's own, for presets that leave it open; `tls` and `tracked` as for
    `spelling`. Raises UsageError for an unknown client.
    """
    reader = _reader(chosen, client)
    endpoints = {
        Goes.DIRECT: direct,
        Goes.POOLED: pooled,
        Goes.SHADOW: replace(direct, database=SHADOW_DATABASE),
    }
    return {
        name: spelling(
            reader, endpoints[goes], pooled=goes == Goes.POOLED, tls=tls, tracked=tracked
        )
        for name, goes in chosen.variables
    }


def _reader(chosen: Preset, own: str | None) -> str:
    name = chosen.client or own or clients.DEFAULT
    # Python is no line of a .env file; what a settings.py takes from there is a URL.
    return "django" if client(name).form == Form.DJANGO else name
