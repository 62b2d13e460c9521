"""The native engine, as the protocol wants it; each method's work has a module of its own.

Imported where it is needed: what only looks does not wait for what starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from devdb import marker
from devdb.engines import Engine, programs
from devdb.engines.native import find, layout
from devdb.engines.native.layout import Layout
from devdb.errors import NotFound, TimedOut
from devdb.model import DATABASE, HOST, USER, Finding, LogLine, Progress, Server, Spec

if TYPE_CHECKING:
    from devdb.engines.remedy import Remedy


class NativeEngine(Engine):
    """Runs instances as processes of this machine."""

    name = "native"

    def check(self) -> Sequence[Finding]:
        """Which programs would be used, and what is missing."""
        from devdb.engines.native import check

        return check.findings()

    def require(self, *, major: int | None, image: str | None, pooler_image: str | None) -> None:
        """Raise EngineUnavailable unless Postgres, of that major, and PgBouncer are here."""
        del image, pooler_image  # Docker's
        from devdb.engines.native import binaries

        binaries.postgres(major, data=None)
        binaries.pooler()

    def remedies(self, *, major: int | None, again: bool) -> Sequence[Remedy]:
        """Programs that can be put into devdb's cache, or installed by who needs no password."""
        from devdb.engines.native.installing import remedies

        return tuple(remedies.remedies(major, again=again))

    def start(self, spec: Spec) -> Iterator[Progress]:
        """Make the instance or start what is stopped of it."""
        from devdb.engines.native import start

        return start.start(spec)

    def find(self, name: str) -> Server | None:
        """The instance as files and processes show it."""
        return find.look(Layout.of(name))

    def list(self) -> Sequence[Server]:
        """All instances with a directory of this engine."""
        found = [find.look(one) for one in layout.every()]
        return [server for server in found if server is not None]

    def recover(self, name: str) -> Spec | None:
        """By the files that were written for its servers."""
        from devdb.engines.native import recover

        return recover.recover(Layout.of(name))

    def set_password(self, spec: Spec) -> None:
        """By a single-user server."""
        from devdb.engines.native import recover

        recover.set_password(spec)

    def stop(self, name: str, *, destroy: bool = False) -> None:
        """End its processes; with `destroy` delete all but the marker."""
        from devdb.engines.native import stop

        if destroy:
            stop.destroy(Layout.of(name))
        else:
            stop.stop(Layout.of(name))

    def mend(self, name: str) -> None:
        """Start its supervisor anew where that is gone; it starts what else is."""
        if find.supervisor(Layout.of(name)).pid is not None:
            return
        from devdb.engines.native import supervision

        with suppress(TimedOut), marker.locked(name, timeout=0):
            supervision.mend(Layout.of(name))

    def logs(self, name: str, *, tail: int, follow: bool) -> Iterator[LogLine | None]:
        """What its servers wrote, whether they run or not."""
        from devdb.engines.native import logs

        return logs.read(Layout.of(name), tail=tail, follow=follow)

    def psql_argv(self, name: str, *, pooled: bool = False, files: bool = False) -> Sequence[str]:
        """The psql beside the server's programs, else another that is no older."""
        del files  # it is a process of this machine
        # Options, not one conninfo: what follows may say another database or user.
        return [*self._client(name, "psql", pooled=pooled), "-U", USER, "-d", DATABASE]

    def tool_argv(self, name: str, tool: str) -> Sequence[str]:
        """The one beside the server's programs, else another that is no older."""
        return self._client(name, tool)

    def _client(self, name: str, tool: str, *, pooled: bool = False) -> Sequence[str]:
        spec = marker.load(name)
        directory = find.postgres_directory(Layout.of(name))
        if spec is None or directory is None:
            raise NotFound(f"There is no native instance '{name}'.", "See them all: devdb ls")
        own = directory / tool
        program = str(own) if own.exists() else programs.client(tool, spec.major)
        if program is None:
            raise NotFound(
                f"There is no {tool} in {directory}, and none as new as its server on PATH.",
                "Install Postgres' client programs.",
            )
        port = spec.pool_port if pooled else spec.port
        return [program, "-h", HOST, "-p", str(port)]
