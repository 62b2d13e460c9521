"""The container that this process is in, when it is one of the engine that is spoken to."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from docker import APIClient

JOINED = "container:"
"""What the network mode of a container in another one's network begins with; then its id."""

_PROC = Path("/proc/self")
_MOUNTED = re.compile(
    r"^(?:\S+ ){3}\S*containers/([0-9a-f]{64})/\S* /etc/(?:hostname|hosts|resolv\.conf) ", re.M
)
"""Of mountinfo: where the engine keeps the files that it puts over a container's own."""
_GROUP = re.compile(r"\b([0-9a-f]{64})\b")


def own_container(client: APIClient) -> dict[str, Any] | None:
    """Our container as `docker inspect` shows it; None where we are in none of that engine.

    An id is in what the kernel says of us, whatever the container's host name was set to.
    """
    for number in dict.fromkeys(_ids()):
        if found := _running(client, number):
            return found
    here = socket.gethostname()
    found = _running(client, here)
    # The engine looks for names too: a container that is called as this machine is not it. Nor is
    # it one whose engine runs beside us, be that in a container or not.
    if found and found["Config"]["Hostname"] == here and client.info().get("Name") != here:
        return found
    return None


def _running(client: APIClient, container: str) -> dict[str, Any] | None:
    from docker.errors import APIError

    with suppress(APIError):
        found: dict[str, Any] = client.inspect_container(container)
        if found["State"]["Running"]:
            return found
    return None


def _ids() -> Iterator[str]:
    for name, pattern in (("mountinfo", _MOUNTED), ("cgroup", _GROUP)):
        with suppress(OSError):
            yield from pattern.findall((_PROC / name).read_text(errors="replace"))
