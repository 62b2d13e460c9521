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
    """Those that keep others waiting first, then those that wait, then those at work; None:
    Postgres let nobody in."""
    max_connections: int = 0
    """How many clients Postgres takes; 0: nobody knows."""
    holders: tuple[str, ...] | None = None
    """Who has them where all are taken, e.g. `95 by node (pid 4711)`, most first; None: there is
    room for one more."""
    max_clients: int = 0
    """How many clients PgBouncer takes; 0: nobody knows."""
    is_pooler_full: bool = False
    """Whether so many are in: the next one is refused."""

    @property
    def has_both(self) -> bool:
        """Whether both servers answered, be it that there is no room."""
        return self.pools is not None and (self.backends, self.holders) != (None, None)


NOTHING = Look(pools=None, backends=None)
"""Nobody answered."""
