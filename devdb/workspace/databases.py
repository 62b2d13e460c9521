"""All databases of an instance, asked for again and again over one session."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from enum import StrEnum

from devdb.databases import Kind, Stage, TemporaryDatabase, registry
from devdb.databases.database import Other
from devdb.errors import DevdbError
from devdb.model import DATABASE, Endpoint, Spec
from devdb.wire import Session


class Standing(StrEnum):
    """What a database is to devdb."""

    MAIN = "main"
    """The one that the instance's own URLs lead to."""
    TEMPORARY = "temporary"
    CLAIMED = "claimed"
    CLONE = "clone"
    """A test's, of a template."""
    TEMPLATE = "template"
    """Nobody gets in: what tests' databases are clones of."""
    SHADOW = "shadow"
    """For migration tools, as `devdb env` made it."""
    TEST = "test"
    """For tests, as `devdb env` made it."""
    OTHER = "other"
    """Somebody made it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A database as it is now, with the URLs that lead to it."""

    name: str
    standing: Standing
    size: int
    """In bytes."""
    sessions: int
    """Clients that are connected to it, the pooler's idle connections among them."""
    direct: Endpoint
    pooled: Endpoint
    temporary: TemporaryDatabase | None
    """What is known more of one that is temporary, or was until it was claimed."""

    @property
    def is_alive(self) -> bool:
        """Whether it lets its role in: it is not being made, expired or on its way out."""
        if self.temporary is None:
            return True
        is_there = self.temporary.state in (Stage.READY, Stage.CLAIMED)
        return is_there and self.temporary.kind != Kind.TEMPLATE

    @property
    def can_be_kept(self) -> bool:
        """Whether it can live for longer, or for good."""
        return self.is_alive and self.standing in (Standing.TEMPORARY, Standing.CLONE)

    @property
    def can_be_dropped(self) -> bool:
        """Whether it is devdb's to drop."""
        return (self.is_alive and self.temporary is not None) or self.standing == Standing.TEMPLATE


class Databases:
    """Lists them, each time by one statement over a session that it keeps; for one thread."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._session: Session | None = None
        self._open = ExitStack()

    def every(self) -> tuple[Database, ...]:
        """Main first, then the others by name, then the temporary ones, oldest first.

        Raises DevdbError where the instance does not answer.
        """
        kept = self._session is not None
        try:
            return self._ask()
        except DevdbError:
            self.close()
            if not kept:
                raise
        # What was kept may have ended with a server that is back already.
        return self._ask()

    def close(self) -> None:
        """Let go of the session; who asks again logs in again."""
        self._session = None
        self._open.close()

    def _ask(self) -> tuple[Database, ...]:
        # An error leaves by the session's own context, which makes it a DevdbError.
        with self._open.pop_all() as held:
            if self._session is None:
                self._session = held.enter_context(registry.session(self.spec))
            others, temporaries = registry.with_others(self._session, self.spec)
            self._open = held.pop_all()
        main = [each for each in others if each.name == DATABASE]
        rest = [each for each in others if each.name != DATABASE]
        return (
            *(_other(self.spec, each) for each in (*main, *rest)),
            *(_temporary(each) for each in temporaries),
        )


def _other(spec: Spec, found: Other) -> Database:
    return Database(
        name=found.name,
        standing=_standing(found),
        size=found.size,
        sessions=found.sessions,
        direct=replace(spec.direct, database=found.name),
        pooled=replace(spec.pooled, database=found.name),
        temporary=None,
    )


def _standing(found: Other) -> Standing:
    if found.name == DATABASE:
        return Standing.MAIN
    return Standing(found.kind.value) if found.kind else Standing.OTHER


def _temporary(found: TemporaryDatabase) -> Database:
    is_claimed = found.state == Stage.CLAIMED
    return Database(
        name=found.name,
        standing=Standing.CLAIMED if is_claimed else Standing(found.kind.value),
        size=found.size,
        sessions=found.sessions,
        direct=found.direct,
        pooled=found.pooled,
        temporary=found,
    )
