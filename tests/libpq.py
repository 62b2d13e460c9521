"""psycopg as the client that tests look at servers with: not devdb's own."""

from __future__ import annotations

from typing import Any

import psycopg

from devdb.model import POOLER_ROLE, Endpoint, Spec
from devdb.pgbouncer import ADMIN_DATABASE


def connect(
    endpoint: Endpoint,
    *,
    database: str | None = None,
    timeout: float = 5,
    sslmode: str = "disable",
    **options: Any,
) -> psycopg.Connection[tuple[Any, ...]]:
    """An autocommit connection; `timeout` in seconds (whole ones, as libpq counts)."""
    return psycopg.connect(
        host=endpoint.host,
        port=endpoint.port,
        user=endpoint.user,
        password=endpoint.password,
        dbname=database or endpoint.database,
        connect_timeout=max(2, int(timeout)),
        autocommit=True,
        sslmode=sslmode,
        **options,
    )


def console(spec: Spec) -> psycopg.Connection[tuple[Any, ...]]:
    """PgBouncer's admin console; it speaks the simple protocol only: no parameters."""
    return psycopg.connect(
        host=spec.pooled.host,
        port=spec.pool_port,
        user=POOLER_ROLE,
        password=spec.pooler_password,
        dbname=ADMIN_DATABASE,
        connect_timeout=2,
        autocommit=True,
        cursor_factory=psycopg.ClientCursor,
        prepare_threshold=None,
        sslmode="disable",
    )
