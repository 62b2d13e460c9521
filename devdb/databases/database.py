"""The values that say what devdb made in an instance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from devdb.model import Endpoint

if TYPE_CHECKING:
    from devdb.databases.seeding import Loaded


class Kind(StrEnum):
    """What a database is made for."""

    TEMPORARY = "temporary"
    """For whoever asked for it; the only kind that can be claimed, with clones that were kept."""
    TEMPLATE = "template"
    """Built by a project's migrations, for its tests' databases to be clones of."""
    CLONE = "clone"
    """For one test."""
    SHADOW = "shadow"
    """For migration tools; it stays."""
    TEST = "test"
    """For tests that want one under a name that stays."""


class Stage(StrEnum):
    """Where a database that ends is in its life."""

    MAKING = "making"
    """Being copied or seeded, or left half-made: the next round of the reaper removes that."""
    READY = "ready"
    EXPIRED = "expired"
    """Lets nobody in any more, and waits for the reaper."""
    CLAIMED = "claimed"
    """Permanent."""
    DROPPING = "dropping"


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """A database of the instance that stays."""

    name: str
    kind: Kind | None
    """None: it is not of devdb's making, or was there from the first."""
    size: int
    """In bytes."""
    sessions: int
    """As of a temporary one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemporaryDatabase:
    """A database that ends, as the servers tell it now; times are the server's."""

    name: str
    role: str
    """The role that owns it, and that its URLs log in as; it bears the database's name, but where
    the whole instance is one run of tests'."""
    kind: Kind
    state: Stage
    created: datetime
    expires: datetime | None
    """None once it is claimed."""
    age: timedelta
    left: timedelta | None
    """What is left until it expires, by the server's clock: right whatever the client's says.
    Zero when it has expired, None once it is claimed."""
    size: int
    """In bytes."""
    sessions: int
    """Clients that are connected to it, the pooler's idle connections among them."""
    direct: Endpoint
    pooled: Endpoint
    loaded: Loaded | None = None
    """What became of its seed; known only to who made it."""
