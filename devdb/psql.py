"""What Postgres' client programs may read of the environment when devdb runs them.

libpq fills whatever a connection leaves open from PG* variables and from services, also where host,
port, user and database are given: `PGHOSTADDR` connects elsewhere, `PGSSLMODE=verify-full` is about
another server's certificate.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

MEANT_FOR_PSQL = (
    "PGAPPNAME",
    "PGCLIENTENCODING",
    "PGCONNECT_TIMEOUT",
    "PGDATESTYLE",
    "PGGEQO",
    "PGLOCALEDIR",
    "PGOPTIONS",
    "PGSYSCONFDIR",
    "PGTZ",
)
"""What says how one likes to work, and nothing of which server is meant."""


def environment(password: str, source: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for the user's own psql on an instance, with its password.

    All of theirs (PSQLRC, PAGER, PGOPTIONS), but of PG* only what fits every server.
    """
    kept = {name: value for name, value in source.items() if _about_any_server(name)}
    # Whoever listens on the port has to know the password too, or gets nothing of it.
    return {**kept, "PGPASSWORD": password, "PGREQUIREAUTH": "scram-sha-256"}


def own_environment(password: str, source: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for a client program that does devdb's own work: nothing of PG* in it."""
    plain = {name: value for name, value in source.items() if not name.startswith("PG")}
    # Over this machine's loopback, and certificates in a home directory are about other servers.
    return {**environment(password, plain), "PGSSLMODE": "disable", "PGGSSENCMODE": "disable"}


def _about_any_server(name: str) -> bool:
    return name in MEANT_FOR_PSQL or not name.startswith("PG") or name.startswith("PG_COLOR")
