"""One line of a log, taken apart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

FOLLOWING = ("DETAIL", "HINT", "QUERY", "CONTEXT", "LOCATION", "BACKTRACE", "STATEMENT")
"""What Postgres says of the message before, each under a head of its own."""
SEVERE = ("ERROR", "FATAL", "PANIC")
"""Levels of what failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line that a server of the instance wrote."""

    part: str
    """Who wrote it, as in `LogLine`."""
    text: str
    """What was said; the whole line where its head is not one that the servers write by default."""
    moment: datetime | None = None
    """When, in UTC; of a line without a time that of the line before. None: nobody knows."""
    level: str | None = None
    """As the server spells it: `LOG`, `ERROR`, ..., and those of FOLLOWING; None: it has none."""
    pid: int | None = None
    """The process that wrote it, where the line says so."""
    duration: float | None = None
    """Milliseconds that a query took, where the line is about that: it was a slow one."""
    belongs: bool = False
    """Whether it goes on with the line before of the same part, and is read with it."""
    is_housekeeping: bool = False
    """Whether it is about devdb's own work and nothing else."""
