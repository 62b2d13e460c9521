"""All instances of the user, looked at again and again, and the size of their databases."""

from __future__ import annotations

import time
from dataclasses import dataclass

from devdb import postgres
from devdb.errors import DevdbError, TimedOut
from devdb.workspace import instances
from devdb.workspace.instances import Instance

WEIGH_EVERY = 30.0
"""Seconds; asking an instance for its databases' sizes takes a login."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One look at them."""

    instances: tuple[Instance, ...]
    """By name."""
    sizes: dict[str, int]
    """Bytes of all databases of those that could be asked, by the instance's name."""
    silent: tuple[DevdbError, ...]
    """Why an engine that is expected here could not say what it has beside that."""


class Overview:
    """Keeps the sizes; for one thread."""

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}
        self._weighed: dict[str, float] = {}

    def look(self) -> Seen:
        """As `every`, with the sizes that are known; takes some seconds where an engine hangs."""
        found, silent = instances.every()
        expected = {each.spec.engine for each in found}
        told = tuple(
            error
            for engine, error in silent.items()
            # Who has no Docker is not told so.
            if isinstance(error, TimedOut) or engine in expected or instances.is_expected(engine)
        )
        return Seen(instances=tuple(found), sizes=dict(self._sizes), silent=told)

    def weigh(self, seen: Seen) -> bool:
        """Ask for the sizes that are not known, or are old; whether one has changed."""
        before = dict(self._sizes)
        now = time.monotonic()
        running = {
            each.spec.name: each.spec.direct
            for each in seen.instances
            if each.is_marked and each.server is not None and each.server.serving
        }
        for gone in self._sizes.keys() - running.keys():
            del self._sizes[gone], self._weighed[gone]
        for name, endpoint in running.items():
            if now - self._weighed.get(name, -WEIGH_EVERY) < WEIGH_EVERY:
                continue
            databases = postgres.databases(endpoint)
            if databases is not None:
                self._sizes[name] = sum(size for _, size in databases)
                self._weighed[name] = now
        return self._sizes != before
