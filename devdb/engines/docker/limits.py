"""How many clients the engine carries to PgBouncer.

Two things limit them: the files that a container's process may have open, and what stands on the
engine's side of a published port. Docker has a proxy there, a process for each port, that takes
two sockets and, while a client is silent, two pipes for each. Out of files it cannot accept and
ends, with all its clients, and for good; so a client too many has to be refused long before. Its
limit is the engine's own, which the API does not tell, but /proc does, to everybody, where the
engine is a process of this machine. Where it is not (in Docker Desktop's virtual machine, behind
Podman's forwarders) nothing is known of what forwards.
"""

from __future__ import annotations

import json
import platform
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from devdb import pgbouncer
from devdb.engines import files
from devdb.engines.docker import image_contents
from devdb.engines.docker.image import Image
from devdb.engines.docker.labels import Identity
from devdb.model import HOST, Spec

if TYPE_CHECKING:
    from docker import APIClient

UNKNOWN = 1000
"""Clients that any engine's forwarder was seen to carry."""
_PROXIES = ("docker-proxy", "dockerd", "rootlesskit")
"""What carries published ports, or starts what does and passes its limit on."""
_GRANTED = 1024
"""Files that a process may have open where nobody said anything."""
_FILES_A_CLIENT = 6
_WANTED = 65_536
"""Files to ask for where a container gets fewer: more than 10,000 clients and all servers need."""
_RESERVE = 3, 4
"""The share of a proxy's files for those who are in; clients that PgBouncer is about to refuse take
some for a moment, and its refusals come later than a crowd of them."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the engine carries; without values: what nothing is known of."""

    files: int = _GRANTED
    """Files that PgBouncer may have open."""
    to_ask_for: int | None = None
    """So many have to be asked for, because a container gets fewer; None: nothing has to."""
    published: int | None = None
    """Clients that the published port carries; None: not known."""

    def clients(self, spec: Spec) -> int:
        """How many clients PgBouncer takes, wherever they come from."""
        otherwise = min(pgbouncer.CLIENTS, self.published or UNKNOWN)
        return pgbouncer.max_clients(spec, self.files, otherwise=otherwise)

    def by_url(self, spec: Spec) -> int:
        """How many of them can come by the pooled URL."""
        return min(self.clients(spec), self.published or self.clients(spec))

    def note(self, spec: Spec) -> str | None:
        """What whoever asked for more clients should know."""
        clients, by_url = self.clients(spec), self.by_url(spec)
        reason = "the engine lets its container have no more files open"
        if too_few := pgbouncer.too_few_clients(spec, clients, reason):
            return too_few
        if (pgbouncer.asked_clients(spec) or 0) <= by_url:
            return None
        return (
            f"Of the {clients} clients {by_url} can come by {HOST}: with more the engine's proxy "
            "runs out of files and ends, until `devdb up`. Inside its network there is none."
        )


UNKNOWN_LIMITS = Limits()


def look(client: APIClient, postgres: Image, asker: Identity, *, is_far: bool) -> Limits:
    """What this engine carries; `is_far`: it is on another machine, whatever it calls itself."""
    info = client.info()
    engine = json.dumps([client.base_url, info.get("ID"), info.get("ServerVersion")])
    said = image_contents.file_limits(client, postgres, asker, engine=engine)
    soft, hard = said or (_GRANTED, _GRANTED)
    # One that is refused what it asks for does not start: it asks for no more than it may have.
    wanted = min(hard, _WANTED)
    limit = files.lowest_limit(*_PROXIES) if not is_far and _is_here(info) else None
    share, whole = _RESERVE
    published = limit * share // whole // _FILES_A_CLIENT if limit else None
    return Limits(
        files=max(soft, wanted),
        to_ask_for=wanted if soft < wanted else None,
        published=published,
    )


def _is_here(info: dict[str, Any]) -> bool:
    """Whether the engine is a process of this machine, and not of a virtual one."""
    here = (socket.gethostname(), platform.release())
    return (info.get("Name"), info.get("KernelVersion")) == here
