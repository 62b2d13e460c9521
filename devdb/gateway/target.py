"""What a gateway serves: an instance by its ports; no secret is in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from devdb.model import PoolMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An instance, as much of it as its gateway has to know."""

    name: str
    port: int
    """Where the gateway itself listens, on 127.0.0.1."""
    direct: int
    """Postgres' port."""
    pooled: int
    """PgBouncer's port."""
    max_connections: int
    """How many Postgres takes in all; the gateway leaves half of them to others."""
    directory: Path
    """The instance's directory: it ends when the marker in there is gone."""
    pool_mode: PoolMode | None = None
    """How PgBouncer really pools: where it is sessions, none is kept for a next request. None:
    nobody asked, which is enough to find a gateway."""

    @property
    def down(self) -> str:
        """The one line for who finds the servers down."""
        return f"devdb: '{self.name}' is not running. Start it: devdb up -n {self.name}"

    def upstream(self, port: int | None) -> int:
        """The port to dial for a connection string with that port: only ever one of the two.

        Without one it is pooled: drivers drop it where they send a pool's queries over HTTP, and a
        5432 that was nowhere written must not lead to somebody else's server. Raises LookupError
        for any other.
        """
        if port is None or port == self.pooled:
            return self.pooled
        if port == self.direct:
            return self.direct
        raise LookupError(
            f"devdb: port {port} is not one of '{self.name}': "
            f"{self.direct} is direct, {self.pooled} is pooled"
        )
