"""Names that the engine may still give to what a devdb that was killed last asked for.

From the start of a request its container's name is taken, though until the end of it there is no
container of that name to be found.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from docker import APIClient

T = TypeVar("T")

_PATIENCE = 10
"""Seconds in which an engine has long carried out what it was asked for before."""


def insist(client: APIClient, name: str, create: Callable[[], T]) -> T:
    """Create a container of that name, in place of one that has it, or is about to."""
    from docker.errors import APIError

    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return create()
        except APIError as error:
            if error.status_code != 409 or time.monotonic() > deadline:
                raise
            remove_now(client, name)


def remove_now(client: APIClient, container: str) -> None:
    """Remove it, running or not, and wait until its name is free."""
    from docker.errors import APIError, NotFound

    deadline = time.monotonic() + _PATIENCE
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
