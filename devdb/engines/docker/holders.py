"""Who holds a port that the engine would have to publish: a container, or a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devdb.engines import ports
from devdb.engines.docker import labels
from devdb.errors import PortInUse, UsageError
from devdb.model import Spec

if TYPE_CHECKING:
    from docker import APIClient


def is_taken(port: int) -> bool:
    """Whether somebody listens there; a port that only root may try is the engine's to refuse."""
    try:
        return ports.is_taken(port)
    except UsageError:
        return False


def in_use(client: APIClient, spec: Spec, port: int) -> PortInUse:
    """The error for a taken port; a container is said by its name, not as the engine's proxy."""
    return ports.in_use(spec, port, _container(client, port))


def _container(client: APIClient, port: int) -> str | None:
    for container in client.containers():
        for mapping in container.get("Ports") or ():
            if mapping.get("PublicPort") == port and mapping.get("Type") == "tcp":
                name = container["Names"][0].lstrip("/")
                instance = container["Labels"].get(labels.INSTANCE)
                return f"container {name}" + (f" of instance '{instance}'" if instance else "")
    return None
