"""The engines: the only seam between Docker and no Docker."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from devdb.errors import UsageError
from devdb.model import ENGINES, UNOFFERED_ENGINES, Finding, LogLine, Progress, Server, Spec

if TYPE_CHECKING:
    from devdb.engines.remedy import Remedy
    from devdb.engines.vitals import Vitals


class Engine(Protocol):
    """What runs instances. One contract suite holds all of them to this (tests/contract)."""

    name: str
    takes_images: bool = False
    """Whether its servers come out of images, which the user may choose."""

    @property
    def host(self) -> str | None:
        """Where it is, for `Spec.host`; None: it needs no telling. Raises EngineUnavailable."""
        return None

    @property
    def is_expected(self) -> bool:
        """Whether somebody said that it is to be there, so that its silence is worth a word."""
        return False

    def check(self) -> Sequence[Finding]:
        """What stands in the way (errors), and what one should know; no error = usable."""
        ...

    def require(self, *, major: int | None, image: str | None, pooler_image: str | None) -> None:
        """Raise EngineUnavailable, with the way out, when a new instance could not be made.

        Docker: an engine answers, and the images are there or can be pulled (asked quickly).
        Native: the binaries are there, of that major if one is named. Cheaper than `check`.
        """
        ...

    def remedies(self, *, major: int | None, again: bool) -> Sequence[Remedy]:
        """What is missing here, or not good enough, and devdb can get; nothing is done yet.

        `again`: also what could not be had lately. Raises DevdbError.
        """
        del major, again
        return ()

    def start(self, spec: Spec) -> Iterator[Progress]:
        """Make the instance or start what is stopped of it; idempotent; the last step is READY.

        Yields at least every 0.3 s. Closing the iterator cancels: a half-made *fresh* start is
        undone; data that was there before is never touched. Raises DevdbError.
        """
        ...

    def find(self, name: str) -> Server | None:
        """The instance as it is in the world now, running or not; None when nothing of it is.

        Raises EngineUnavailable when the engine does not answer.
        """
        ...

    def list(self) -> Sequence[Server]:
        """All instances of this user in this engine, also those whose marker is lost."""
        ...

    def recover(self, name: str) -> Spec | None:
        """The Spec of an instance that has data, by what it was last started with: for one whose
        marker is lost.

        None when there is no data that was ever ready. What cannot be had again is 0 or empty: a
        port, the password. Raises DevdbError where it belongs to another user.
        """
        ...

    def set_password(self, spec: Spec) -> None:
        """Give the superuser, and PgBouncer's role, the Spec's passwords without logging in.

        The instance has to be stopped. Takes seconds; raises DevdbError.
        """
        ...

    def stop(self, name: str, *, destroy: bool = False) -> None:
        """Stop it (fast shutdown); with `destroy` delete its data too. No-op when absent."""
        ...

    def leave(self, name: str) -> None:
        """Have nothing of it run on this machine; what of it runs elsewhere goes on.

        Does not ask another machine, which may be gone for good. Raises DevdbError.
        """
        self.stop(name)

    def mend(self, name: str) -> None:
        """Bring back what looks after a running instance, where that is gone; cheap if not.

        Left to who is at work on the instance at this moment. Raises DevdbError, OSError.
        """
        ...

    def vitals(self, spec: Spec) -> Vitals:
        """What asks its two servers how they are; making one touches nothing yet."""
        from devdb.engines.vitals import Vitals

        return Vitals(spec)

    def logs(self, name: str, *, tail: int, follow: bool) -> Iterator[LogLine | None]:
        """The last `tail` lines of each server, then, with `follow`, what comes.

        While it follows and nothing comes it yields None at least every 0.3 s, so that the
        thread that iterates it can close it; the first one comes after the last lines of all.
        """
        ...

    def psql_argv(self, name: str, *, pooled: bool = False, files: bool = False) -> Sequence[str]:
        """The command that opens psql on the instance's database; no secret in it.

        One that is no older than the server, for whoever types; `files`: it is to read or write
        files of this machine, which one in a container cannot. It reads PGPASSWORD from the
        environment (`devdb.psql.environment`). Raises NotFound.
        """
        ...

    def tool_argv(self, name: str, tool: str) -> Sequence[str]:
        """The command that runs a client program no older than the server, for devdb itself.

        `tool` is `psql`, `pg_restore`, ...; host and port are in it, user and database are not.
        It gets its stdin, and the environment that `devdb.psql.own_environment` made. Raises
        NotFound.
        """
        ...


def get(name: str, *, host: str | None = None) -> Engine:
    """The engine of that name, made by `at` in its package; making one touches nothing yet.

    `host` is where an instance says that it lives; None: where the engine is found first. Raises
    UsageError for an unknown name, EngineUnavailable on a system that it is not for.
    """
    if name not in (*ENGINES, *UNOFFERED_ENGINES):
        raise UsageError(f"There is no engine '{name}'.", f"Known: auto, {', '.join(ENGINES)}.")
    engine: Engine = importlib.import_module(f"{__name__}.{name}").at(host)
    return engine
