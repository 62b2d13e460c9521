"""The kubernetes engine, as the protocol wants it; each method's work has a module of its own.

Imported where it is needed: what only looks does not wait for what starts.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property

from devdb import marker
from devdb.engines import Engine, programs
from devdb.engines.forward import MENDING, Forwarder
from devdb.engines.kubernetes import address, config, find, labels
from devdb.engines.kubernetes.kubectl import Forbidden, Kubectl
from devdb.engines.waiting import attend, begin
from devdb.errors import NotFound
from devdb.model import DATABASE, HOST, USER, Finding, LogLine, Progress, Server, Spec

_WITH_PASSWORD = (
    '{ printf "%s\\n" "$PGPASSWORD"; exec cat; } | exec "$@"',
    'read -r PGPASSWORD; export PGPASSWORD; exec "$@"',
)
"""The two ends of a command in the pod that reads its password before its input: an argument
everybody could read, and an environment does not go there."""


class KubernetesEngine(Engine):
    """Runs instances in a namespace of a cluster."""

    name = "kubernetes"
    takes_images = True

    def __init__(self, host: str | None = None) -> None:
        """`host` as `address` has it; raises UsageError. Touches nothing yet."""
        self._address = address.parse(host)

    @cached_property
    def _kubectl(self) -> Kubectl:
        return Kubectl(self._address).resolved()

    @property
    def host(self) -> str:
        """The address with context and namespace; raises EngineUnavailable."""
        return str(self._kubectl.address)

    @property
    def is_expected(self) -> bool:
        """It is only ever taken where somebody named it."""
        return True

    def check(self) -> Sequence[Finding]:
        """Whether kubectl and the cluster answer, and each right and thing that is needed."""
        from devdb.engines.kubernetes import check

        return check.findings(self._address)

    def require(self, *, major: int | None, image: str | None, pooler_image: str | None) -> None:
        """Raise EngineUnavailable unless the cluster answers, and instances may be made there.

        Whether its nodes can pull the images only they can say.
        """
        del major, image, pooler_image
        from devdb.engines.kubernetes import check

        if not check.may(self._kubectl, "create", "statefulsets.apps"):
            namespace = self._kubectl.address.namespace
            raise Forbidden(
                f"You may not make an instance in the namespace {namespace}.",
                "Each right that it takes: DEVDB_ENGINE=kubernetes devdb doctor",
            )

    def start(self, spec: Spec) -> Iterator[Progress]:
        """Make the instance, or start what is stopped of it; see `Engine.start`."""
        from devdb.engines.kubernetes import start

        kubectl = yield from attend(begin(lambda: self._kubectl), None)
        yield from start.start(kubectl, spec)

    def find(self, name: str) -> Server | None:
        """The instance as the cluster shows it."""
        found = find.look(self._kubectl, name)
        return find.server(found, self._kubectl.address) if found else None

    def list(self) -> Sequence[Server]:
        """All instances in the namespace, whoever made them."""
        where = self._kubectl.address
        return [find.server(found, where) for found in find.look_at_all(self._kubectl)]

    def recover(self, name: str) -> Spec | None:
        """By its Secret, which has what its marker has."""
        from devdb.engines.kubernetes import recover

        return recover.recover(self._kubectl, name)

    def set_password(self, spec: Spec) -> None:
        """By the Secret; Postgres is given it at its next start."""
        from devdb.engines.kubernetes import recover

        recover.set_password(self._kubectl, spec)

    def stop(self, name: str, *, destroy: bool = False) -> None:
        """Have no pod of it; with `destroy` delete its volume and all else, too."""
        from devdb import certificates
        from devdb.engines.kubernetes import stop

        if destroy:
            stop.destroy(self._kubectl, name)
            certificates.remove(name)
        else:
            stop.stop(self._kubectl, name)

    def leave(self, name: str) -> None:
        """End the forwarder; the instance is others' too."""
        Forwarder(name).end()

    def mend(self, name: str) -> None:
        """Bring the forwarder back; the cluster looks after the rest."""
        from devdb.engines.kubernetes import far

        def bring(spec: Spec) -> None:
            far.forward(self._kubectl, spec, threading.Event(), patience=MENDING)

        Forwarder(name).mend(bring)

    def logs(self, name: str, *, tail: int, follow: bool) -> Iterator[LogLine | None]:
        """What its servers wrote since they were last started; a pod that is gone has no log."""
        from devdb.engines.kubernetes import logs

        found = find.look(self._kubectl, name)
        return logs.read(self._kubectl, found, tail=tail, follow=follow)

    def psql_argv(self, name: str, *, pooled: bool = False, files: bool = False) -> Sequence[str]:
        """This machine's psql where it is no older than the server or none other reaches files,
        else the pod's."""
        spec, major = self._of(name)
        here = programs.client("psql", None if files else major, typing=True)
        if here:
            port = str(spec.pool_port if pooled else spec.port)
            return [here, "-h", HOST, "-p", port, "-U", USER, "-d", DATABASE]
        argv = self._inside(name, "psql", pooled=pooled, typing=sys.stdin.isatty())
        return [*argv, "-U", USER, "-d", DATABASE]

    def tool_argv(self, name: str, tool: str) -> Sequence[str]:
        """One of this machine that is no older than the server, else the pod's."""
        spec, major = self._of(name)
        if here := programs.client(tool, major):
            return [here, "-h", HOST, "-p", str(spec.port)]
        return self._inside(name, tool)

    def _of(self, name: str) -> tuple[Spec, int | None]:
        """Its marker, and the major of its server; raises NotFound."""
        spec = marker.load(name)
        if spec is None:
            raise NotFound(f"There is no instance '{name}' here.", "See them all: devdb ls")
        return spec, spec.major or find.look(self._kubectl, name).major

    def _inside(
        self, name: str, tool: str, *, pooled: bool = False, typing: bool = False
    ) -> Sequence[str]:
        """The command that runs it in the pod; the superuser's password is there."""
        command = [tool, *config.address_in_pod(pooled=pooled)]
        into = ("exec", labels.pod_name(name), "-c", labels.POSTGRES)
        if typing:
            password = ["env", f"PGPASSFILE={config.PGPASS}"]
            return self._kubectl.argv(*into, "-i", "-t", "--", *password, *command)
        here, there = _WITH_PASSWORD
        argv = self._kubectl.argv(*into, "-i", "--", "sh", "-c", there, "sh", *command)
        return ["sh", "-c", here, "sh", *argv]
