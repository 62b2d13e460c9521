"""What an instance's new data is made with: out of a template, or by the image's entry point."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devdb.engines.docker import labels, template
from devdb.engines.docker.client import Connection
from devdb.engines.docker.config import PASSWORD_FILE, TEMPLATE, Seed
from devdb.engines.docker.create import files_in
from devdb.engines.docker.find import Found
from devdb.engines.docker.image import Image
from devdb.model import Spec

if TYPE_CHECKING:
    from docker import APIClient


def seed(connection: Connection, spec: Spec, found: Found, image: Image, *, copies: bool) -> Seed:
    """What the data is made with, if it still has to be; `copies`: a template will do.

    As the container that is at it was told, where there is one: it may go on by itself, and what it
    has begun has to be ended in the same way.
    """
    if found.data is None:
        return (template.find(connection, image) if copies else None) or _alone(spec)
    return carried_over(connection.client, spec, found) if found.unfinished else _alone(spec)


def carried_over(client: APIClient, spec: Spec, found: Found) -> Seed:
    """What data was made with that was never ready."""
    container = found.containers.get(labels.POSTGRES)
    if container is None:
        return _alone(spec)
    volumes = {mount["Destination"]: mount.get("Name") for mount in container["Mounts"]}
    password = files_in(client, container["Id"]).get(PASSWORD_FILE, b"").decode()
    return Seed(password=password or _alone(spec).password, template=volumes.get(TEMPLATE))


def _alone(spec: Spec) -> Seed:
    # The entry point exports it to the server's environment: it is not the instance's own.
    return Seed(password=spec.derive("docker bootstrap"))
