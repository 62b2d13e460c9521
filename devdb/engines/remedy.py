"""What an engine lacks on this machine, and how devdb can get it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from devdb.engines.waiting import Work


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing that is missing, or not good enough; nothing is done before `get` is iterated."""

    subject: str
    """E.g. `PgBouncer`."""
    why: str
    """What is wrong, in a sentence."""
    how: str
    """What `get` does, e.g. `brew install pgbouncer`."""
    place: Path | None
    """The directory it goes to, without root and without touching the system; None: the system."""
    is_needed: bool
    """Whether nothing can be started without it."""
    get: Callable[[], Work[str]]
    """Gets it; returns what came of it, in a few words. Raises DevdbError."""
