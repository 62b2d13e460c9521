"""Making what an instance consists of in the engine: network, volumes, containers."""

from __future__ import annotations

import io
import secrets
import tarfile
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from devdb.engines import ports
from devdb.engines.docker import find, labels
from devdb.engines.docker.client import explanation
from devdb.engines.docker.config import DIRECTORY, TEMPLATE, Blueprint, archive
from devdb.engines.docker.failure import Vanished
from devdb.engines.docker.inside import JOINED
from devdb.engines.docker.labels import Identity
from devdb.engines.docker.names import insist
from devdb.errors import StartFailed
from devdb.model import HOST, Spec

if TYPE_CHECKING:
    from docker import APIClient

_TAKEN = ("port is already allocated", "address already in use", "ports are not available")
"""What engines say when a port cannot be published; each version words it anew."""


def make_network(client: APIClient, spec: Spec, identity: Identity) -> str:
    """The instance's network; its id.

    A name of its own each time: engines let two networks have one, and then start no container in
    either. A killed devdb's last request may still be making one.
    """
    from docker.errors import APIError

    name = f"{identity.object_name(labels.NETWORK)}-{secrets.token_hex(2)}"
    try:
        network = client.create_network(
            name,
            driver="bridge",
            labels=identity.of_spec(spec, labels.NETWORK),
        )
    except APIError as error:
        if "address pool" not in explanation(error):
            raise
        raise StartFailed(
            f"The engine has no addresses left for another network: {explanation(error)}.",
            "Remove unused ones with `docker network prune`, or `devdb rm` an old instance.",
        ) from error
    return str(network["Id"])


def make_volumes(
    client: APIClient, spec: Spec, identity: Identity, data: Mapping[str, str]
) -> None:
    """The data volume with the labels `data`, and before it the sign that it is unfinished."""
    client.create_volume(
        identity.object_name(labels.UNFINISHED),
        labels=identity.of_spec(spec, labels.UNFINISHED),
    )
    # One in memory has no size of its own: half of the machine's memory, as /dev/shm.
    options = {"type": "tmpfs", "device": "tmpfs"} if spec.in_memory else None
    name = identity.object_name(labels.DATA)
    client.create_volume(name, driver_opts=options, labels=dict(data))


def finish(client: APIClient, identity: Identity) -> None:
    """Say that the data was ready once: from now on nothing but `destroy` deletes it."""
    from docker.errors import NotFound

    with suppress(NotFound):
        client.remove_volume(identity.object_name(labels.UNFINISHED))


def make_container(
    client: APIClient,
    spec: Spec,
    identity: Identity,
    blueprint: Blueprint,
    network: str,
    data: Mapping[str, str],
) -> None:
    """Create the container and put its files in; it is not started.

    `network` is an id, or a network mode by which it joins another's. `data`: the labels of
    the data volume, should it be gone.
    """
    name = identity.object_name(blueprint.part)
    create = partial(_create_container, client, spec, identity, blueprint, network, data)
    insist(client, name, create)
    client.put_archive(name, "/", archive((*blueprint.files, *blueprint.once)))


def files_in(client: APIClient, container: str) -> dict[str, bytes]:
    """The files that were put into that container (an id), by name."""
    from docker.errors import NotFound

    try:
        stream, _ = client.get_archive(container, DIRECTORY)
    except NotFound:
        return {}
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        return {
            PurePosixPath(member.name).name: file.read()
            for member in tar
            if (file := tar.extractfile(member)) is not None
        }


def sync(client: APIClient, container: str) -> None:
    """Have the engine's disk keep what was written to it: new containers, their files, the data.

    Only the engine's own machine can do that, so it is asked for from inside that container. Where
    the image has no such program, or the container is about to end, it is no worse than before.
    """
    from docker.errors import APIError

    with suppress(APIError):
        command = ["sh", "-c", f"sync -f {DIRECTORY} || sync"]
        client.exec_start(client.exec_create(container, command)["Id"])


def _create_container(
    client: APIClient,
    spec: Spec,
    identity: Identity,
    blueprint: Blueprint,
    network: str,
    data: Mapping[str, str],
) -> None:
    from docker.types import LogConfig, Mount, Ulimit

    mounts, files = [], blueprint.open_files
    if blueprint.volume:
        source = identity.object_name(labels.DATA)
        # A volume that was removed meanwhile is made anew; without its labels nobody finds it.
        there = Mount(target=blueprint.volume, source=source, type="volume", labels=dict(data))
        mounts.append(there)
    if blueprint.template:
        copied = Mount(target=TEMPLATE, source=blueprint.template, type="volume", read_only=True)
        mounts.append(copied)
    entrypoint, command = blueprint.argv()
    client.create_container(
        blueprint.image,
        name=identity.object_name(blueprint.part),
        entrypoint=entrypoint,
        command=command,
        user=blueprint.user,
        environment=blueprint.environment,
        labels={
            **blueprint.labelled(spec, identity),
            labels.MADE_FROM: blueprint.digest(spec, identity),
        },
        ports=list(blueprint.ports),
        stop_signal=blueprint.stop_signal,
        stop_timeout=blueprint.stop_timeout,
        healthcheck={"test": ["NONE"]},  # an image's own would be a shell orphaned to the server
        host_config=client.create_host_config(
            port_bindings={inside: (HOST, port) for inside, port in blueprint.ports.items()},
            network_mode=network,
            # Never Postgres as PID 1: a process orphaned to it looks like a crash of its own.
            init=blueprint.init,
            # What is in memory is gone when its server ends: there is nothing to go on with.
            restart_policy={"Name": "no" if spec.in_memory else "unless-stopped"},
            mounts=mounts,
            tmpfs=dict.fromkeys(blueprint.tmpfs, ""),
            cap_drop=["ALL"],
            cap_add=list(blueprint.capabilities),
            security_opt=["no-new-privileges"],
            ulimits=[Ulimit(name="nofile", soft=files, hard=files)] if files else [],
            shm_size="256m",  # parallel queries do not fit into Docker's 64 MB
            log_config=LogConfig(type="json-file", config={"max-size": "10m", "max-file": "3"}),
        ),
        networking_config=None
        if network.startswith(JOINED)
        else client.create_networking_config(
            {network: client.create_endpoint_config(aliases=[blueprint.part])}  # type: ignore[arg-type]
        ),
        use_config_proxy=False,  # its proxy's password would be in the environment
    )


def start_container(client: APIClient, spec: Spec, identity: Identity, part: str) -> None:
    """Start it; raises PortInUse when its port is somebody else's, Vanished when it is gone."""
    from docker.errors import APIError, NotFound

    try:
        client.start(identity.object_name(part))
    except NotFound as error:
        raise Vanished(
            f"The {part} container was removed before it started.", "Try again: `devdb up`."
        ) from error
    except APIError as error:
        said = explanation(error)
        if any(words in said.lower() for words in _TAKEN):
            port = spec.port if part == labels.POSTGRES else spec.pool_port
            raise ports.in_use(spec, port, find.publisher(client, port)) from error
        raise StartFailed(
            f"The engine cannot start {part}: {said}.",
            "`devdb doctor` looks at the engine and the images.",
        ) from error
