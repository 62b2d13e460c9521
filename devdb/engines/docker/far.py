"""An instance in an engine on another machine: which ports it has there, and how they come here.

There it is published where it is here, if that is free: two laptops whose first instances have the
same ports may share a machine. Which others it has is nobody's business but the forwarder's.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING

from devdb.engines.docker import find, labels
from devdb.engines.docker.client import Connection
from devdb.engines.docker.find import Found
from devdb.engines.docker.ssh import Line
from devdb.engines.forward import MENDING, PATIENCE, Forwarder
from devdb.model import Server, Spec

if TYPE_CHECKING:
    from docker import APIClient

_ANY = range(20_000, 32_768)
"""Where others are looked for: below what systems hand out for outgoing connections."""


def ports(client: APIClient, spec: Spec, found: Found) -> dict[str, int]:
    """The ports there of its two servers: those that they have, else those here where they are not
    published by another container."""
    wanted = {labels.POSTGRES: spec.port, labels.PGBOUNCER: spec.pool_port}
    has = _published(found)
    taken = _taken(client) if wanted.keys() - has.keys() else set()
    chosen: dict[str, int] = {}
    for part, port in wanted.items():
        is_free = port not in taken and port not in has.values()
        beside = {*taken, *wanted.values(), *has.values(), *chosen.values()}
        chosen[part] = has.get(part) or (port if is_free else _other(beside))
    return chosen


def another(client: APIClient, besides: Collection[int]) -> int:
    """A port that no container publishes."""
    return _other({*_taken(client), *besides})


def forward(
    spec: Spec, line: Line, there: Mapping[str, int], given_up: Event, patience: float = PATIENCE
) -> None:
    """Have the forwarder bring its ports here; raises as `Forwarder.bring`."""
    far = {spec.port: there[labels.POSTGRES], spec.pool_port: there[labels.PGBOUNCER]}
    command = line.forwarding(spec.name, far)
    Forwarder(spec.name).bring(spec, command, given_up=given_up, patience=patience)


def seen_from_here(server: Server, line: Line | None) -> Server:
    """With its forwarder among its parts, where it has one, and the machine that its data is on."""
    if line is None:
        return server
    forwarder = Forwarder(server.name)
    is_at_work = not server.stopped or forwarder.is_running()
    more = (forwarder.part(),) if is_at_work else ()
    return replace(
        server, parts=(*server.parts, *more), location=f"{server.location} on {line.box}"
    )


def mend(connection: Connection, name: str) -> None:
    """Bring back the forwarder of an instance that runs there, unless another devdb is at it."""
    line = connection.line

    def bring(spec: Spec) -> None:
        found = find.look_for(connection, name)
        if line is not None and found is not None and found.is_running(labels.POSTGRES):
            forward(spec, line, _published(found), Event(), patience=MENDING)

    Forwarder(name).mend(bring)


def _published(found: Found) -> dict[str, int]:
    """The ports that its containers were made with."""
    return {
        part: int(binding["HostPort"])
        for part, container in found.containers.items()
        for bindings in (container["HostConfig"]["PortBindings"] or {}).values()
        for binding in bindings or ()
    }


def _taken(client: APIClient) -> set[int]:
    mappings = (mapping for each in client.containers() for mapping in each.get("Ports") or ())
    return {mapping["PublicPort"] for mapping in mappings if "PublicPort" in mapping}


def _other(besides: Collection[int]) -> int:
    return secrets.choice([port for port in _ANY if port not in besides])
