"""The pools of PgBouncer: who waits for a connection, and how many there are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The connections that the clients of one database share; those of all its users together."""

    database: str
    users: tuple[str, ...]
    """Each of them has a pool of its own."""
    mode: str
    """The pool mode: `transaction` or `session`."""
    active: int
    """Clients that have a server connection, or want none at this moment."""
    waiting: int
    """Clients that want one and have none."""
    oldest_wait: float
    """Seconds that the first of those has waited; 0 where nobody waits."""
    used: int
    """Server connections at work for a client."""
    open: int
    """Server connections there are, idle ones too."""
    size: int
    """How many there can be, for all the users together."""
    per_second: float | None
    """Queries a second since the look before; None: there was none."""
