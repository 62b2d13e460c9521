"""What there is of an instance in the engine at this moment, and how it reads as a Server."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from devdb.engines.docker import home, image_contents, labels
from devdb.engines.docker.client import Connection
from devdb.engines.docker.config import Net
from devdb.engines.docker.inside import JOINED
from devdb.engines.docker.labels import Identity
from devdb.engines.waiting import begin
from devdb.model import Part, PartState, PoolMode, Server

if TYPE_CHECKING:
    from docker import APIClient

Inspection = dict[str, Any]

_ENDED_WELL = {labels.POSTGRES: {0}, labels.PGBOUNCER: {0, 1}, labels.REAPER: {0, 130, 143}}
"""Exit codes of a stop as it should be; PgBouncer before 1.23 ends its fast shutdown with 1."""

_AS_TOLD = {("exited", code) for code in (0, 130, 143)}
"""Not the 1 of an older PgBouncer: that is also how one ends whose files are damaged."""


@dataclass(slots=True)
class Found:
    """Everything of one instance, as `docker inspect` shows it."""

    identity: Identity
    containers: dict[str, Inspection] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)
    data: Inspection | None = None
    unfinished: bool = False
    networks: dict[str, str] = field(default_factory=dict)
    """Id and name; more than one where a killed devdb's last request was still carried out."""
    cut_off: frozenset[str] = frozenset()
    """Parts in the network of a container that was started anew since, or is another's."""

    def __bool__(self) -> bool:
        return bool(
            self.containers or self.questions or self.data or self.unfinished or self.networks
        )

    @property
    def name(self) -> str:
        """The instance's."""
        return self.identity.name

    @property
    def major(self) -> int | None:
        """The Postgres major of its data; None where there is none."""
        return int(self.data["Labels"][labels.MAJOR]) if self.data else None

    def attached(self, *parts: str) -> set[str]:
        """The ids of its networks that those containers are in; without parts: that any is in.

        Of those that have joined another container's, its id in the engine's words for that.
        """
        inspected = [self.containers[p] for p in parts or self.containers if p in self.containers]
        said = {
            word
            for container in inspected
            for name, endpoint in container["NetworkSettings"]["Networks"].items()
            for word in (name, endpoint["NetworkID"])  # Podman has the name in both places
        }
        own = {network for network, name in self.networks.items() if {network, name} & said}
        return own | {f"{JOINED}{other}" for each in inspected if (other := _joined(each))}

    @property
    def net(self) -> Net:
        """Where its servers are for each other."""
        made = [self.containers.get(part) for part in (labels.POSTGRES, labels.PGBOUNCER)]
        if not all(each and _joined(each) for each in made):
            return Net()
        return Net.joined(*(int(each["Config"]["Labels"][labels.PORT]) for each in made if each))

    def is_half_there(self, part: str) -> bool:
        """Whether that container was never started, or is being removed at this moment."""
        status = self.containers[part]["State"]["Status"] if part in self.containers else ""
        return status in ("created", "removing", "dead")

    def is_running(self, part: str) -> bool:
        """Whether that part's container runs."""
        return part in self.containers and bool(self.containers[part]["State"]["Running"])

    def is_sound(self, part: str) -> bool:
        """Whether that container runs, or ended when it was told to, and never by itself.

        A power cut ends it with another exit code (Docker: 255).
        """
        container = self.containers[part]
        state = container["State"]
        if state.get("Restarting") or container["RestartCount"]:
            return False
        return bool(state["Running"] or (state["Status"], state["ExitCode"]) in _AS_TOLD)


def look_for(connection: Connection, name: str) -> Found | None:
    """What there is of this user's instance of that name; None when nothing is."""
    return next(iter(_ours(connection, name)), None)


def look_at_all(connection: Connection) -> list[Found]:
    """What there is of each of this user's instances, by name."""
    return sorted(_ours(connection, None), key=lambda found: found.name)


def look(
    client: APIClient, identity: Identity, *, known: Mapping[str, Inspection] | None = None
) -> Found:
    """What there is of that very instance; an empty Found when nothing is.

    `known`: parts whose containers need not be asked, as the engine answers for one that it is
    starting only when that has started.
    """
    return next(iter(_look(client, identity.name, [identity.home], known or {})), Found(identity))


def _ours(connection: Connection, name: str | None) -> Iterable[Found]:
    """One of each name: what was labelled before the data home had its id, only where it alone has
    data, or is there."""
    old = home.of_path()
    homes = [old, *([new] if (new := home.existing()) else [])]
    every = [found for found in _look(connection.client, name, homes, {}) if found]
    every.sort(key=lambda found: (found.data is not None, found.identity.home != old))
    return {
        found.name: replace(found, cut_off=_cut_off(connection, found))
        for found in every
        if found.identity.home != old or connection.may_have_old_labels
    }.values()


def _look(
    client: APIClient, instance: str | None, homes: Collection[str], known: Mapping[str, Inspection]
) -> Iterable[Found]:
    query = labels.query(instance)
    listing = begin(lambda: client.containers(all=True, filters=query))
    volumes = begin(lambda: client.volumes(filters=query)["Volumes"] or [])
    networks = begin(lambda: client.networks(filters=query))
    found: dict[Identity, Found] = {}

    def of(items: list[Inspection]) -> Iterator[tuple[Inspection, Found, str]]:
        for item in items:
            its = item["Labels"]
            if its.get(labels.HOME) in homes:
                identity = Identity(its[labels.INSTANCE], its[labels.HOME])
                mine = found.setdefault(identity, Found(identity))
                yield item, mine, its.get(labels.PART, "")

    for item, mine, part in of(listing.result()):
        if part == labels.QUESTION:
            mine.questions.append(item["Id"])
        elif inspection := known.get(part) or _inspect(client, item["Id"]):
            mine.containers[part] = inspection
    for item, mine, part in of(volumes.result()):
        if part == labels.DATA:
            mine.data = item
        elif part == labels.UNFINISHED:
            mine.unfinished = True
    for item, mine, _ in of(networks.result()):
        mine.networks[item["Id"]] = item["Name"]
    return found.values()


def _joined(container: Inspection) -> str | None:
    """The id of the container whose network it has joined; None where it has its own."""
    mode = str(container["HostConfig"]["NetworkMode"])
    return mode.removeprefix(JOINED) if mode.startswith(JOINED) else None


def _cut_off(connection: Connection, found: Found) -> frozenset[str]:
    joined = {part: it for part, it in found.containers.items() if _joined(it)}
    ours = connection.container if joined else None
    began = moment(ours["State"]["StartedAt"]) if ours else None
    return frozenset(
        part
        for part, container in joined.items()
        if ours is None
        or _joined(container) != ours["Id"]
        or (began and (moment(container["State"]["StartedAt"]) or began) < began)
    )


def publisher(client: APIClient, port: int) -> str | None:
    """The container that the engine publishes that port for: the system knows its proxy alone."""
    for container in client.containers():
        for mapping in container.get("Ports") or ():
            if mapping.get("PublicPort") == port and mapping.get("Type") == "tcp":
                name = container["Names"][0].lstrip("/")
                instance = container["Labels"].get(labels.INSTANCE)
                return f"container {name}" + (f" of instance '{instance}'" if instance else "")
    return None


def _inspect(client: APIClient, container: str) -> Inspection | None:
    from docker.errors import NotFound

    try:
        inspection: Inspection = client.inspect_container(container)
    except NotFound:
        return None  # it was removed after it was listed
    return inspection


def server(found: Found, *, starting: Collection[str] = ()) -> Server:
    """The instance as every engine describes it; `starting`: what the engine was told to start."""
    pooler = found.containers.get(labels.PGBOUNCER, {}).get("Config", {}).get("Labels", {})
    running = any(found.is_running(part) for part in labels.PARTS)
    names = [labels.POSTGRES, labels.PGBOUNCER]
    if labels.REAPER in found.containers:
        names.append(labels.REAPER)
    return Server(
        name=found.name,
        engine="docker",
        parts=tuple(
            _part(name, found, running=running, starting=name in starting) for name in names
        ),
        pool_mode=PoolMode(pooler.get(labels.POOL_MODE, PoolMode.TRANSACTION)),
        notes=_notes(found),
        location=f"volume {found.identity.object_name(labels.DATA)}",
        max_clients=int(pooler[labels.CLIENTS]) if labels.CLIENTS in pooler else None,
    )


def _notes(found: Found) -> tuple[str, ...]:
    """What the containers were labelled with when they were made, a line each."""
    made = [found.containers.get(part, {}).get("Config", {}) for part in labels.PARTS]
    texts = [config.get("Labels", {}).get(labels.NOTE, "") for config in made]
    return tuple(line for text in reversed(texts) for line in text.splitlines())


def _part(name: str, found: Found, *, running: bool, starting: bool) -> Part:
    container = found.containers.get(name)
    if container is None:
        state = PartState.DEAD if running else PartState.STOPPED
        return Part(name=name, state=state, detail="no container")
    docker = container["State"]
    state = _state(name, docker, running=running)
    if state == PartState.RUNNING and name in found.cut_off:
        its = container["Name"].lstrip("/")
        detail = f"container {its}, in the network of a container that was stopped or replaced"
        return Part(name=name, state=PartState.DEAD, detail=detail)
    if starting and state != PartState.RUNNING:
        state = PartState.STARTING
    return Part(
        name=name,
        state=state,
        version=image_contents.version(container["Image"], name, container["Config"]),
        started=moment(docker["StartedAt"]) if docker["Running"] else None,
        detail=_detail(container, state),
    )


def _state(name: str, docker: Inspection, *, running: bool) -> PartState:
    if docker.get("Restarting"):
        # One that ends again and again does none of its work, though nobody waits for it.
        return PartState.DEAD if name == labels.REAPER else PartState.STARTING
    if docker["Running"]:
        return PartState.RUNNING
    if docker["Status"] == "created" and not docker.get("Error"):
        return PartState.STARTING if running else PartState.STOPPED
    ended_badly = docker["Status"] != "created" and docker["ExitCode"] not in _ENDED_WELL[name]
    return PartState.DEAD if running or ended_badly else PartState.STOPPED


def _detail(container: Inspection, state: PartState) -> str:
    name = container["Name"].lstrip("/")
    docker = container["State"]
    if state == PartState.DEAD:
        said = f": {docker['Error']}" if docker.get("Error") else ""
        return f"container {name}, exit code {docker['ExitCode']}{said}"
    return f"container {name}"


def moment(text: str) -> datetime | None:
    """A time as the engine writes it (RFC 3339, nanoseconds); None for its year 1, never."""
    if text.startswith("0001-"):
        return None
    text = re.sub(r"\.(\d{1,6})\d*", r".\1", text)
    return datetime.fromisoformat(text)
