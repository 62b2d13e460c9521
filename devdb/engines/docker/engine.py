"""The docker engine, as the protocol wants it; most of a method's work has its own module."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress

from devdb import certificates, marker, psql
from devdb.engines import Engine, programs
from devdb.engines.docker import (
    client,
    config,
    create,
    data,
    far,
    find,
    labels,
    logs,
    recover,
    ssh,
    stop,
    template,
)
from devdb.engines.docker.client import Connection, speaking
from devdb.engines.docker.find import Found
from devdb.engines.docker.image import require_images
from devdb.engines.docker.start import LOOKING, start
from devdb.engines.forward import Forwarder
from devdb.engines.images import wanted_images
from devdb.engines.login import Login
from devdb.engines.waiting import attend, begin
from devdb.errors import DevdbError, EngineUnavailable, NamedUnavailable, NotFound
from devdb.model import DATABASE, HOST, USER, Finding, LogLine, Progress, Server, Spec
from devdb.wire import Refused


class DockerEngine(Engine):
    """Runs instances in a Docker (or Podman) engine of this machine, or of one that SSH reaches."""

    name = "docker"
    takes_images = True

    def __init__(self, host: str | None = None) -> None:
        """`host` pins the endpoint; None: the first that answers. Touches nothing yet."""
        self._pinned = host
        self._connection: Connection | None = None
        self._connecting = threading.Lock()

    @property
    def host(self) -> str:
        """The endpoint that was chosen; raises EngineUnavailable."""
        return self._connect().host

    @property
    def is_expected(self) -> bool:
        """Who has no Docker names none."""
        return bool(os.environ.get("DOCKER_HOST"))

    @property
    def title(self) -> str:
        """Name and version of the engine, e.g. `Docker 28.2.2`; raises EngineUnavailable."""
        connection = self._connect()
        with speaking(connection.host):
            return connection.title

    def require(self, *, major: int | None, image: str | None, pooler_image: str | None) -> None:
        """Raise EngineUnavailable unless an engine answers that has the images or can get them.

        Takes up to 5 s where a registry has to be asked; nothing is pulled.
        """
        connection = self._connect()
        references = wanted_images(image, pooler_image, major)
        with speaking(connection.host):
            try:
                require_images(connection.client, references)
            except EngineUnavailable as error:
                if not connection.is_far:
                    raise
                raise NamedUnavailable(error.message, error.hint) from error

    def check(self) -> Sequence[Finding]:
        """Which sockets were looked at, what answers there, and whether its images are there."""
        from devdb.engines.docker.check import findings

        return findings(self._pinned)

    def start(self, spec: Spec) -> Iterator[Progress]:
        """Make the instance, or start what is stopped of it; see `Engine.start`."""
        connection = yield from attend(begin(self._connect), LOOKING)
        with speaking(connection.host):
            yield from start(connection, spec)

    def find(self, name: str) -> Server | None:
        """The instance as it is now; raises EngineUnavailable when the engine does not answer."""
        connection = self._connect()
        with speaking(connection.host):
            found = find.look_for(connection, name)
        return far.seen_from_here(find.server(found), connection.line) if found else None

    def list(self) -> Sequence[Server]:
        """All of this user's instances in this engine, by name, with or without a marker."""
        connection = self._connect()
        with speaking(connection.host):
            found = find.look_at_all(connection)
        return [far.seen_from_here(find.server(each), connection.line) for each in found]

    def recover(self, name: str) -> Spec | None:
        """By its volume, and by its containers where they are there."""
        connection = self._connect()
        with speaking(connection.host):
            return recover.recover(connection, name)

    def set_password(self, spec: Spec) -> None:
        """By a single-user server in a container of its own."""
        connection = self._connect()
        with speaking(connection.host):
            recover.set_password(connection, spec)

    def stop(self, name: str, *, destroy: bool = False) -> None:
        """Stop it, Postgres with a fast shutdown; with `destroy` delete its data too.

        Its ports here are free then, whether or not another machine can be reached.
        """
        try:
            self._stop(name, destroy=destroy)
        finally:
            Forwarder(name).end()

    def _stop(self, name: str, *, destroy: bool) -> None:
        connection = self._connect()
        with speaking(connection.host):
            found = find.look_for(connection, name)
            if destroy:
                if found is not None:
                    stop.destroy(connection.client, found.identity)
                certificates.remove(name)
                template.remove_useless(connection)
            elif found is not None:
                self._keep_if_usable(found)
                stop.stop(connection.client, found)

    def _keep_if_usable(self, found: Found) -> None:
        """Data whose first start was interrupted, but which was used since, is data."""
        if found.unfinished and found.is_running(labels.POSTGRES):
            spec = None
            with suppress(DevdbError):
                spec = marker.load(found.name)
            if spec is None:
                return
            made_with = data.carried_over(self._connect().client, spec, found).password
            login = Login(
                spec,
                first_password=made_with,
                looks_up_everywhere=False,
                is_initdb_at_work=True,
            )
            with suppress(Refused):
                if login.set_up() is not None:
                    create.finish(self._connect().client, found.identity)

    def leave(self, name: str) -> None:
        """On another machine it goes on; that is not asked."""
        if ssh.is_far(self._pinned):
            Forwarder(name).end()
        else:
            self.stop(name)

    def mend(self, name: str) -> None:
        """The engine itself looks after its containers: it is the forwarder that may be gone."""
        if ssh.is_far(self._pinned):
            connection = self._connect()
            with speaking(connection.host):
                far.mend(connection, name)

    def logs(self, name: str, *, tail: int, follow: bool) -> Iterator[LogLine | None]:
        """The last `tail` lines of each server, then, with `follow`, what comes."""
        connection = self._connect()
        with speaking(connection.host):
            found = find.look_for(connection, name)
            if found is None:
                return
            client = connection.listener() if follow else connection.client
            read = logs.followed if follow else logs.written
            yield from read(client, found, tail=tail)

    def psql_argv(self, name: str, *, pooled: bool = False, files: bool = False) -> Sequence[str]:
        """This machine's psql where it is no older than the server or none other reaches files,
        else the container's."""
        found = self._found(name)
        port = found.containers[labels.PGBOUNCER if pooled else labels.POSTGRES]["Config"]["Labels"]
        here = programs.client("psql", None if files else found.major, typing=True)
        there = [] if here else self._inside(found, "psql", pooled=pooled, typing=True)
        if not here and not there:
            here = programs.client("psql", None, typing=True)
        argv = [here, "-h", HOST, "-p", port[labels.PORT]] if here else there
        return _or_none("psql", [*argv, "-U", USER, "-d", DATABASE] if argv else [])

    def tool_argv(self, name: str, tool: str) -> Sequence[str]:
        """One of this machine that is no older than the server, else the container's.

        What goes through `docker exec` is copied by three more processes: a dump of 80 MB takes
        half as long again.
        """
        found = self._found(name)
        if here := programs.client(tool, found.major):
            port = found.containers[labels.POSTGRES]["Config"]["Labels"][labels.PORT]
            return [here, "-h", HOST, "-p", port]
        return _or_none(tool, self._inside(found, tool))

    def _found(self, name: str) -> Found:
        """What there is of the instance; raises NotFound where it has not both servers."""
        found = find.look_for(self._connect(), name)
        if found is None or not {labels.POSTGRES, labels.PGBOUNCER} <= set(found.containers):
            raise NotFound(f"There is no instance '{name}' in Docker.", "Make it with `devdb up`.")
        return found

    def _inside(
        self, found: Found, tool: str, *, pooled: bool = False, typing: bool = False
    ) -> Sequence[str]:
        """The command that runs it in the Postgres container; empty where nothing can."""
        for command, host_option in (("docker", "-H"), ("podman", "--url")):
            if path := shutil.which(command):
                terminal = "-it" if typing and sys.stdin.isatty() else "-i"
                # The file has devdb's own password; another role's comes in the environment.
                passed = [f"-e{name}" for name in ("PGPASSWORD", *psql.MEANT_FOR_PSQL)]
                container = found.containers[labels.POSTGRES]["Name"].lstrip("/")
                argv = [path, host_option, self._connect().url, "exec", terminal, *passed]
                argv += [f"-ePGPASSFILE={config.PGPASS}", container]
                host, port = found.net.pgbouncer if pooled else found.net.postgres
                return [*argv, tool, "-h", host, "-p", str(port)]
        return []

    def _connect(self) -> Connection:
        with self._connecting:
            if self._connection is None or self._connection.is_cut_off:
                self._connection = client.connect(self._pinned)
            return self._connection


def _or_none(tool: str, argv: Sequence[str]) -> Sequence[str]:
    if not argv:
        raise NotFound(
            f"There is no {tool} here that is new enough, and no docker or podman command to run "
            "the container's.",
            "Install one: `apt install postgresql-client`, or `brew install libpq`.",
        )
    return argv
