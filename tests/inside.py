"""What is in an instance, asked of its servers and not of devdb.databases."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import libpq
import psycopg
from psycopg import sql

from devdb import certificates, databases, pgbouncer
from devdb.model import Endpoint, Spec


class Inside:
    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def sql(self, query: str, *arguments: Any, database: str = "postgres") -> list[Any]:
        """The rows, as the superuser; rows of one column as that column."""
        with libpq.connect(self.spec.direct, database=database) as connection:
            cursor = connection.execute(query.encode(), arguments or None)
            rows = cursor.fetchall() if cursor.description else []
        return [row[0] if len(row) == 1 else row for row in rows]

    def pooler(self) -> tuple[int, int, int]:
        """The version of PgBouncer."""
        with libpq.console(self.spec) as connection:
            [version] = connection.execute("SHOW VERSION").fetchall()
        return pgbouncer.parse_version(str(version[0]))

    def databases(self) -> set[str]:
        return set(self.sql("SELECT datname FROM pg_database WHERE datname !~ '^template[01]$'"))

    def roles(self) -> set[str]:
        return set(self.sql("SELECT rolname FROM pg_roles WHERE rolname !~ '^(pg|devdb)'"))

    def entries(self) -> dict[str, str]:
        return dict(self._registry("SELECT name, state FROM _devdb.databases"))

    def closed(self) -> list[str]:
        """Databases that let nobody in, and names that PgBouncer has paused; no templates."""
        shut = self.sql("SELECT datname FROM pg_database WHERE NOT datallowconn")
        with libpq.console(self.spec) as connection:
            cursor = connection.execute("SHOW DATABASES")
            assert cursor.description is not None
            keys = [column.name for column in cursor.description]
            shown = [dict(zip(keys, row, strict=True)) for row in cursor]
        paused = [row["name"] for row in shown if int(row["paused"])]
        listed = self._registry("SELECT name FROM _devdb.closed")
        templates = self._registry("SELECT name FROM _devdb.databases WHERE kind = 'template'")
        return sorted((set(shut) | set(paused) | set(listed)) - {"template0", *templates})

    def _registry(self, query: str) -> list[Any]:
        """Its rows; none where nobody has asked for a temporary database yet."""
        there = self.sql("SELECT tablename FROM pg_tables WHERE schemaname = '_devdb'")
        return self.sql(query) if there else []

    def expire(self, *names: str) -> None:
        """Let the time that they have left have passed."""
        with libpq.connect(self.spec.direct, database="postgres") as connection:
            for name in names:
                connection.execute(
                    "UPDATE _devdb.databases SET expires = created WHERE name = %s", [name]
                )
                role = sql.Identifier(name)
                connection.execute(sql.SQL("ALTER ROLE {} VALID UNTIL 'yesterday'").format(role))

    def assert_tidy(self) -> None:
        """Whatever is not an entry has left nothing, and every door is as it was."""
        entries = self.entries()
        assert set(entries.values()) <= {"ready", "claimed"}
        assert self.databases() - {"postgres", "main"} == set(entries)
        assert self.roles() == set(
            self._registry("SELECT name FROM _devdb.databases WHERE own_role")
        )
        assert self.closed() == []
        assert login(self.spec.direct) == login(self.spec.pooled) == "in"

    def tidy(self) -> None:
        """Remove all that a test can have left, and look that it did not leave more."""
        databases.reap(self.spec)
        databases.drop(self.spec, list(self.entries()), claimed=True)
        self.assert_tidy()
        assert self.entries() == {}


def login(endpoint: Endpoint, **changes: Any) -> str:
    """`in`, or what the server said."""
    try:
        with libpq.connect(replace(endpoint, **changes), prepare_threshold=None) as connection:
            connection.execute("SELECT 1")
    except psycopg.Error as error:
        return str(error).strip().splitlines()[-1]
    return "in"


def verified(spec: Spec, endpoint: Endpoint) -> bool:
    """Whether a client that verifies everything gets in."""
    ca = str(certificates.ca_path(spec.name))
    with libpq.connect(endpoint, sslmode="verify-full", sslrootcert=ca) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def until(condition: Callable[[], Any], *, seconds: float = 10) -> float:
    """Wait until it holds; returns the seconds that took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, "it did not come true in time"
        time.sleep(0.05)
    return time.monotonic() - start
