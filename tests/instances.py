"""Instances that outlive a test: started by an engine, in a data directory of their own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import available
import pytest
import specs
import world

from devdb import engines, marker

ONE_ENGINE = pytest.mark.parametrize("shared", ["native"], indirect=True)
"""For what is SQL and devdb's own steps: whichever engine runs the servers, they are the same."""


class Instance:
    """An instance that runs; `destroy` looks that nothing is left of it."""

    def __init__(
        self,
        engine: str,
        *,
        reaper: str | None = None,
        settings: dict[str, str] | None = None,
        pooler_image: str | None = None,
    ) -> None:
        if reason := available.why_not(engine):
            if engine in available.required():
                pytest.fail(f"the {engine} engine is required here, but: {reason}")
            pytest.skip(f"{engine} engine: {reason}")
        self.engine = engines.get(engine)
        self.home = world.new_directory("test")
        self.spec = specs.new(
            engine,
            settings=tuple((settings or {}).items()),
            pooler_image=pooler_image,
            reaper=reaper,
        )
        with self._at_home():
            marker.save(self.spec)
        self.start()

    def start(self) -> None:
        with self._at_home():
            for _ in self.engine.start(self.spec):
                pass

    def stop(self) -> None:
        with self._at_home():
            self.engine.stop(self.spec.name)

    def destroy(self) -> None:
        with self._at_home():
            self.engine.stop(self.spec.name, destroy=True)
            marker.delete(self.spec.name)
        left = world.traces(self.spec.name, self.home)
        shutil.rmtree(self.home)
        assert left == []

    @property
    def parts(self) -> set[str]:
        """The names of the parts that are there."""
        with self._at_home():
            server = self.engine.find(self.spec.name)
        return set() if server is None else {part.name for part in server.parts}

    @property
    def psql(self) -> Sequence[str]:
        """The command that opens psql on it."""
        with self._at_home():
            return self.engine.psql_argv(self.spec.name)

    def tool(self, name: str) -> Sequence[str]:
        """The command that runs a client program no older than its server on it."""
        with self._at_home():
            return self.engine.tool_argv(self.spec.name, name)

    @contextmanager
    def _at_home(self) -> Iterator[None]:
        before = os.environ.get("DEVDB_DATA_DIR")
        os.environ["DEVDB_DATA_DIR"] = str(self.home)
        try:
            yield
        finally:
            if before is None:
                del os.environ["DEVDB_DATA_DIR"]
            else:
                os.environ["DEVDB_DATA_DIR"] = before
