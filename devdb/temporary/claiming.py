"""Keeping a temporary database: for longer, or for good."""

from __future__ import annotations

from datetime import timedelta

from devdb.model import Spec
from devdb.temporary.database import TemporaryDatabase


def claim(spec: Spec, name: str, new_name: str | None = None) -> TemporaryDatabase:
    """Make it permanent, with its data and its password, under `new_name` when given.

    A rename ends the sessions on it. Raises NotFound; DevdbError when it has expired;
    UsageError when `new_name` cannot be or is taken.
    """
    raise NotImplementedError


def extend(spec: Spec, name: str, ttl: timedelta) -> TemporaryDatabase:
    """Let it live for `ttl` from now on, be that longer or shorter than it would have.

    Raises NotFound; DevdbError when it has expired or is claimed.
    """
    raise NotImplementedError
