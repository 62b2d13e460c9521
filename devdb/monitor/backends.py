"""The sessions of Postgres: what each does, what it waits for, and behind whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A client's session in Postgres, devdb's own not among them."""

    pid: int
    started: datetime
    """With the pid it names the session for ever; a pid alone is given out again."""
    database: str
    role: str
    application: str
    """As the client calls itself; empty where it does not."""
    client: str
    """Where it comes from, e.g. `127.0.0.1:50312`; empty for a local socket."""
    is_pooled: bool
    """Whether PgBouncer opened it; else the client came by the direct URL."""
    state: str
    """As pg_stat_activity has it: `active`, `idle`, `idle in transaction`, ..."""
    age: float
    """Seconds in that state; of an active one: of its query."""
    waits_for: str
    """E.g. `Lock: transactionid`; empty where it waits for nobody but its client."""
    blocked_by: tuple[int, ...]
    """The pids that hold what it waits for; empty where it waits for no lock."""
    query: str
    """What it runs, or ran last."""
