"""Making and removing an instance's containers, volumes and network."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import wait
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from devdb.engines.docker import holders, labels, survey
from devdb.engines.docker.background import begin, together
from devdb.engines.docker.blueprint import Blueprint
from devdb.engines.docker.endpoint import explanation
from devdb.engines.docker.images import question
from devdb.engines.docker.survey import Found
from devdb.engines.docker.watch import Vanished
from devdb.errors import DevdbError, StartFailed
from devdb.model import HOST, Spec

if TYPE_CHECKING:
    from docker import APIClient

_GHOST_PATIENCE = 10
"""Seconds in which an engine has long carried out what it was asked for before."""
_TAKEN = ("port is already allocated", "address already in use", "ports are not available")
"""What engines say when a port cannot be published; each version words it anew."""


def make_network(client: APIClient, spec: Spec) -> str:
    """The instance's network; its id.

    A name of its own each time: engines let two networks have one, and then start no container in
    either. A killed devdb's last request may still be making one.
    """
    from docker.errors import APIError

    name = f"{labels.object_name(spec.name, labels.NETWORK)}-{secrets.token_hex(2)}"
    try:
        network = client.create_network(
            name,
            driver="bridge",
            labels=labels.of_spec(spec, labels.NETWORK),
        )
    except APIError as error:
        if "address pool" not in explanation(error):
            raise
        raise StartFailed(
            f"The engine has no addresses left for another network: {explanation(error)}.",
            "Remove unused ones with `docker network prune`, or `devdb rm` an old instance.",
        ) from error
    return str(network["Id"])


def make_volumes(client: APIClient, spec: Spec, data: Mapping[str, str]) -> None:
    """The data volume with the labels `data`, and before it the sign that it is unfinished."""
    client.create_volume(
        labels.object_name(spec.name, labels.UNFINISHED),
        labels=labels.of_spec(spec, labels.UNFINISHED),
    )
    client.create_volume(labels.object_name(spec.name, labels.DATA), labels=dict(data))


def finish(client: APIClient, name: str) -> None:
    """Say that the data was ready once: from now on nothing but `destroy` deletes it."""
    from docker.errors import NotFound

    with suppress(NotFound):
        client.remove_volume(labels.object_name(name, labels.UNFINISHED))


def make_container(
    client: APIClient, spec: Spec, blueprint: Blueprint, network: str, data: Mapping[str, str]
) -> None:
    """Create the container in that network (an id) and put its files in; it is not started.

    `data`: the labels of the data volume, should it be gone.
    """
    name = labels.object_name(spec.name, blueprint.part)
    _insist(client, name, partial(_create, client, spec, blueprint, name, network, data))
    client.put_archive(name, "/", blueprint.archive())


def _insist(client: APIClient, name: str, create: Callable[[], object]) -> None:
    """Create a container whose name may be taken.

    The engine may still carry out the last request of a devdb that was killed: from the start of
    that the name is taken, though there is no container of that name until its end.
    """
    from docker.errors import APIError

    deadline = time.monotonic() + _GHOST_PATIENCE
    while True:
        try:
            create()
        except APIError as error:
            if error.status_code != 409 or time.monotonic() > deadline:
                raise
            _remove_now(client, name)
        else:
            return


def _create(
    client: APIClient,
    spec: Spec,
    blueprint: Blueprint,
    name: str,
    network: str,
    data: Mapping[str, str],
) -> None:
    from docker.types import LogConfig, Mount

    mounts = []
    if blueprint.volume:
        source = labels.object_name(spec.name, labels.DATA)
        # A volume that was removed meanwhile is made anew; without its labels nobody finds it.
        there = Mount(target=blueprint.volume, source=source, type="volume", labels=dict(data))
        mounts.append(there)
    client.create_container(
        blueprint.image,
        name=name,
        entrypoint=list(blueprint.entrypoint) if blueprint.entrypoint else None,
        command=list(blueprint.command),
        user=blueprint.user,
        environment=blueprint.environment,
        labels={**blueprint.labels, labels.MADE_FROM: blueprint.digest(spec)},
        ports=list(blueprint.ports),
        stop_signal=blueprint.stop_signal,
        stop_timeout=blueprint.stop_timeout,
        healthcheck={"test": ["NONE"]},  # an image's own would be a shell orphaned to the server
        host_config=client.create_host_config(
            port_bindings={inside: (HOST, port) for inside, port in blueprint.ports.items()},
            network_mode=network,
            # Never Postgres as PID 1: a process orphaned to it looks like a crash of its own.
            init=blueprint.init,
            restart_policy={"Name": "unless-stopped"},
            mounts=mounts,
            tmpfs=dict.fromkeys(blueprint.tmpfs, ""),
            shm_size="256m",  # parallel queries do not fit into Docker's 64 MB
            log_config=LogConfig(type="json-file", config={"max-size": "10m", "max-file": "3"}),
        ),
        networking_config=client.create_networking_config(
            {network: client.create_endpoint_config(aliases=[blueprint.part])}  # type: ignore[arg-type]
        ),
        use_config_proxy=False,  # its proxy's password would be in the environment
    )


def start_container(client: APIClient, spec: Spec, part: str) -> None:
    """Start it; raises PortInUse when its port is somebody else's, Vanished when it is gone."""
    from docker.errors import APIError, NotFound

    try:
        client.start(labels.object_name(spec.name, part))
    except NotFound as error:
        raise Vanished(
            f"The {part} container was removed before it started.", "Try again: `devdb up`."
        ) from error
    except APIError as error:
        said = explanation(error)
        if any(words in said.lower() for words in _TAKEN):
            port = spec.port if part == labels.POSTGRES else spec.pool_port
            raise holders.in_use(client, spec, port) from error
        raise StartFailed(
            f"The engine cannot start {part}: {said}.",
            "`devdb doctor` looks at the engine and the images.",
        ) from error


def stop(client: APIClient, found: Found, parts: Iterable[str] = labels.PARTS) -> None:
    """Stop what runs of it, each with its own signal, and wait."""
    together(*(partial(_stop, client, found, part) for part in parts if part in found.containers))


def _stop(client: APIClient, found: Found, part: str) -> None:
    from docker.errors import APIError, NotFound

    state = found.containers[part]["State"]
    if not (state["Running"] or state.get("Restarting")):
        return
    name, config = labels.object_name(found.name, part), found.containers[part]["Config"]
    stopping = begin(partial(client.stop, name, timeout=config.get("StopTimeout") or 300))
    while not wait([stopping], timeout=1).done:
        # Again: an entry point's shell that waits for its initdb swallows an interrupt.
        with suppress(APIError):
            client.kill(name, signal=config["StopSignal"])
    with suppress(NotFound):
        stopping.result()


def remove_container(client: APIClient, found: Found, part: str) -> None:
    """Stop it as it wants to be stopped, and remove it; its data is elsewhere."""
    _stop(client, found, part)
    _remove_now(client, labels.object_name(found.name, part))


def remove_questions(client: APIClient, found: Found) -> None:
    """Remove what a killed devdb left of asking an image for its version."""
    for container in found.questions:
        _remove_now(client, container)


def destroy(client: APIClient, name: str) -> None:
    """Remove all that there is of the instance, its data too.

    Looks again until nothing is left, after the last requests of a devdb that is dead. The sign of
    unfinished data goes after the data: killed in between, the next one still knows what it may
    discard.
    """
    if found := survey.look(client, name):
        _outlast(client, found)
    while found := survey.look(client, name):
        together(
            partial(remove_questions, client, found),
            *(partial(_remove_now, client, item["Id"]) for item in found.containers.values()),
        )
        is_gone = not found.data or _remove_volume(client, labels.object_name(name, labels.DATA))
        if is_gone and found.unfinished:
            _remove_volume(client, labels.object_name(name, labels.UNFINISHED))
        for network in found.networks:
            remove_network(client, network)


def _outlast(client: APIClient, found: Found) -> None:
    """Wait until the engine makes none of the containers that are missing.

    It was told to by a devdb that was killed, it may be; then their names are taken. Who gets them
    is a question nobody asks, and is removed with the other questions.
    """
    images_here = [container["Image"] for container in found.containers.values()]
    image = next(iter(images_here or client.images(quiet=True)), None)
    if image is None:
        return  # without images nothing is made

    def take(part: str) -> None:
        name = labels.object_name(found.name, part)
        _insist(client, name, partial(question, client, image, ["true"], found.name, name=name))

    together(*(partial(take, part) for part in labels.PARTS if part not in found.containers))


def _remove_now(client: APIClient, container: str) -> None:
    from docker.errors import APIError, NotFound

    deadline = time.monotonic() + _GHOST_PATIENCE
    with suppress(APIError):
        client.kill(container)  # Podman's forced removal would first wait for it to stop
    with suppress(NotFound):
        while True:
            try:
                client.remove_container(container, v=True, force=True)
            except APIError as error:
                # 409: it is being removed already; until it has gone its name is taken.
                if error.status_code != 409 or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return


def _remove_volume(client: APIClient, volume: str) -> bool:
    """Whether it is gone; not yet, where a container of ours came meanwhile."""
    from docker.errors import APIError, NotFound

    try:
        client.remove_volume(volume)
    except NotFound:
        return True
    except APIError as error:
        users = client.containers(all=True, filters={"volume": volume})
        if users and all(user["Labels"].get(labels.HOME) == labels.home() for user in users):
            return False
        names = ", ".join(c["Names"][0].lstrip("/") for c in users) or explanation(error)
        raise DevdbError(
            f"The volume {volume} cannot be removed; it is in use: {names}.",
            f"Remove that container first: `docker rm -f {names}`.",
        ) from error
    return True


def remove_network(client: APIClient, network: str) -> None:
    """Remove a network by its id, whoever is in it."""
    from docker.errors import APIError, NotFound

    remove: Callable[[], None] = partial(client.remove_network, network)
    with suppress(NotFound):
        try:
            remove()
        except APIError as error:
            if error.status_code == 404:
                return
            # Somebody attached a container of their own; it lives on without this network.
            for container in client.inspect_network(network).get("Containers") or ():
                client.disconnect_container_from_network(container, network, force=True)
            remove()
