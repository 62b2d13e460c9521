"""The docker engine: instances as containers on a network of their own, data in a named volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devdb.engines import Engine


def at(host: str | None) -> Engine:
    """The engine at that endpoint; None: the first that answers."""
    from devdb.engines.docker.engine import DockerEngine

    return DockerEngine(host)
