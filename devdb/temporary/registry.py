"""The registry of temporary databases: a table in the instance's maintenance database."""

from __future__ import annotations

from devdb.model import Spec
from devdb.temporary.database import TemporaryDatabase


def every(spec: Spec) -> list[TemporaryDatabase]:
    """All temporary databases of the instance, also expired and claimed ones; oldest first."""
    raise NotImplementedError
