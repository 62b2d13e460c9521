"""One look at both servers."""

from __future__ import annotations

from dataclasses import dataclass

from devdb.monitor.backends import Backend
from devdb.monitor.pools import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What goes on at one moment."""

    pools: tuple[Pool, ...] | None
    """By database; None: PgBouncer's console did not answer."""
    backends: tuple[Backend, ...] | None
    """Those that wait first, then those at work; None: Postgres let nobody in."""
