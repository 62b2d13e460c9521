"""Which images an instance is made of, in every engine that takes images."""

from __future__ import annotations

import os

from devdb.postgres import NEWEST_MAJOR

DEFAULT_POOLER = "ghcr.io/cloudnative-pg/pgbouncer:1.25.2"


def wanted_images(postgres: str | None, pooler: str | None, major: int | None) -> tuple[str, str]:
    """The references of both images, where they are not named: by the environment, by the major."""
    postgres = postgres or os.environ.get("DEVDB_POSTGRES_IMAGE")
    pooler = pooler or os.environ.get("DEVDB_PGBOUNCER_IMAGE")
    return postgres or f"postgres:{major or NEWEST_MAJOR}", pooler or DEFAULT_POOLER


def named(used: str | None, default: str) -> str | None:
    """That image as a Spec has it: None where it is the one that is taken unasked."""
    return used if used != default else None
