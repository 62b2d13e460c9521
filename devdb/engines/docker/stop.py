"""Stopping an instance in the engine, and removing what it consists of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import wait
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from devdb.engines.docker import find, labels
from devdb.engines.docker.client import explanation
from devdb.engines.docker.find import Found
from devdb.engines.docker.image_contents import question
from devdb.engines.docker.labels import Identity
from devdb.engines.docker.names import insist, remove_now
from devdb.engines.waiting import begin, together
from devdb.errors import DevdbError

if TYPE_CHECKING:
    from docker import APIClient


def stop(client: APIClient, found: Found, parts: Iterable[str] = labels.PARTS) -> None:
    """Stop what runs of it, each with its own signal, and wait.

    Postgres last: sessions that it has to end itself are FATAL in its log.
    """
    wanted = [part for part in parts if part in found.containers]
    together(
        *(partial(_stop_part, client, found, part) for part in wanted if part != labels.POSTGRES)
    )
    if labels.POSTGRES in wanted:
        _stop_part(client, found, labels.POSTGRES)


def _stop_part(client: APIClient, found: Found, part: str) -> None:
    from docker.errors import APIError, NotFound

    state = found.containers[part]["State"]
    if not (state["Running"] or state.get("Restarting")):
        return
    name, config = found.identity.object_name(part), found.containers[part]["Config"]
    stopping = begin(partial(client.stop, name, timeout=config.get("StopTimeout") or 300))
    while not wait([stopping], timeout=1).done:
        # Again: an entry point's shell that waits for its initdb swallows an interrupt.
        with suppress(APIError):
            client.kill(name, signal=config["StopSignal"])
    with suppress(NotFound):
        stopping.result()


def remove_container(client: APIClient, found: Found, part: str) -> None:
    """Stop it as it wants to be stopped, and remove it; its data is elsewhere."""
    _stop_part(client, found, part)
    remove_now(client, found.identity.object_name(part))


def remove_questions(client: APIClient, found: Found) -> None:
    """Remove what a killed devdb left of asking an image for its version."""
    for container in found.questions:
        remove_now(client, container)


def destroy(client: APIClient, identity: Identity) -> None:
    """Remove all that there is of the instance, its data too.

    Looks again until nothing is left, after the last requests of a devdb that is dead. The sign of
    unfinished data goes after the data: killed in between, the next one still knows what it may
    discard.
    """
    if found := find.look(client, identity):
        _outlast(client, found)
    while found := find.look(client, identity):
        together(
            partial(remove_questions, client, found),
            *(partial(remove_now, client, item["Id"]) for item in found.containers.values()),
        )
        is_gone = not found.data or _remove_volume(client, identity, labels.DATA)
        if is_gone and found.unfinished:
            _remove_volume(client, identity, labels.UNFINISHED)
        for network in found.networks:
            remove_network(client, network)


def _outlast(client: APIClient, found: Found) -> None:
    """Wait until the engine makes none of the containers that are missing.

    A devdb that was killed may have told it to; then their names are taken. What gets them here is
    a question that nobody asks, and it is removed with the other questions.
    """
    from docker.errors import APIError

    images_here = [container["Image"] for container in found.containers.values()]
    image = next(iter(images_here or client.images(quiet=True)), None)
    if image is None:
        return  # without images nothing is made

    def take(part: str) -> None:
        name = found.identity.object_name(part)
        # Who deletes an instance because the disk is full is not told that it is.
        with suppress(APIError):
            ask = partial(question, client, image, ["true"], found.identity, name=name)
            insist(client, name, ask)

    together(*(partial(take, part) for part in labels.PARTS if part not in found.containers))


def _remove_volume(client: APIClient, identity: Identity, part: str) -> bool:
    """Whether it is gone; not yet, where a container of ours came meanwhile."""
    from docker.errors import APIError, NotFound

    volume = identity.object_name(part)
    try:
        client.remove_volume(volume)
    except NotFound:
        return True
    except APIError as error:
        users = client.containers(all=True, filters={"volume": volume})
        if users and all(user["Labels"].get(labels.HOME) == identity.home for user in users):
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
