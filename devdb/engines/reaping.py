"""What the reaper's script is run with in a container, whichever engine that is of."""

from __future__ import annotations

from devdb.model import MAINTENANCE_DATABASE, POOLER_ROLE, USER, Spec


def environment(
    postgres: tuple[str, int], pgbouncer: tuple[str, int], passfile: str
) -> dict[str, str]:
    """Its variables: where the two servers are, by host and port, and the file of `passwords`."""
    return {
        "PGHOST": postgres[0],
        "PGPORT": str(postgres[1]),
        "PGUSER": USER,
        "PGDATABASE": MAINTENANCE_DATABASE,
        "PGSSLMODE": "disable",
        "PGPASSFILE": passfile,
        "DEVDB_POOLER_HOST": pgbouncer[0],
        "DEVDB_POOLER_PORT": str(pgbouncer[1]),
        "DEVDB_POOLER_USER": POOLER_ROLE,
    }


def passwords(spec: Spec) -> str:
    """A PGPASSFILE for both of devdb's roles; its first line has the superuser's."""
    return f"*:*:*:{USER}:{spec.password}\n*:*:*:{POOLER_ROLE}:{spec.pooler_password}\n"
