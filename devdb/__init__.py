"""devdb: a real Postgres behind a real PgBouncer for every project on your machine."""

from __future__ import annotations

__version__ = "0.1.0"
