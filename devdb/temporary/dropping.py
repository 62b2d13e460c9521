"""Dropping temporary databases, and mending what a killed devdb left half-done."""

from __future__ import annotations

from collections.abc import Sequence

from devdb.model import Spec


def drop(spec: Spec, names: Sequence[str], *, claimed: bool = False) -> list[str]:
    """Drop the temporary databases of these names and their roles; returns the names.

    Sessions on them are ended. Raises NotFound, before any is dropped, when one is unknown;
    UsageError when one is claimed, unless `claimed`.
    """
    raise NotImplementedError


def reap(spec: Spec) -> list[str]:
    """Drop what has expired or was left half-made, and resume_orphans(); returns the names."""
    raise NotImplementedError


def resume_orphans(spec: Spec) -> list[str]:
    """Open again what a killed devdb had closed; returns the names of those databases."""
    raise NotImplementedError
