"""What the tests of one process use: an instance, templates in it, and clones of them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType

import pytest

from devdb.databases import cloning
from devdb.databases.cloning import Clone
from devdb.errors import DevdbError, DiskFull
from devdb.model import Endpoint
from devdb.pytest_plugin import building, content, host, plan
from devdb.pytest_plugin.host import Host, Wishes
from devdb.pytest_plugin.notice import Terminal
from devdb.pytest_plugin.supply import Supply
from devdb.urls import clients, spelling

_CREATORS = 2
"""Threads that make clones: one alone makes fewer than a test's time needs."""

_inherited: list[object] = []
"""What a parent process has, and goes on using: nothing here may close it."""


class Broken(Exception):
    """The template could not be built, and whoever asked first was told how."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A clone that a test has."""

    clone: Clone
    supply: Supply
    template: object
    """What `devdb_template` returned."""


class Usage:
    """Hands out databases to the tests of this process; a forked one begins anew."""

    def __init__(
        self, wishes: Wishes, terminal: Terminal, *, tests: Sequence[str], run: str, workers: int
    ) -> None:
        self.wishes = wishes
        self.notes: list[str] = []
        """What is to be said at the end, the instance first."""
        self._terminal = terminal
        self._tests = tests
        self._run = run
        self._workers = workers
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._host: Host | None = None
        self._supplies: dict[str, Supply] = {}
        self._broken: dict[str, BaseException] = {}
        self._given: list[tuple[object, plan.Plan]] = []
        self._left: list[Taken] = []
        self._pooled: set[str] = set()

    def take(self, given: object) -> Taken:
        """A clone of the template that `devdb_template` meant by that.

        Raises DevdbError; what the project's function raises, once; Broken from then on.
        """
        __tracebackhide__ = True  # what pytest shows is the project's function
        self._in_this_process()
        wanted = self._plan(given)
        if wanted.content in self._broken:
            raise self._broken[wanted.content]
        if wanted.content not in self._supplies:
            try:
                self._supplies[wanted.content] = self._supply(wanted)
            except (DevdbError, pytest.skip.Exception, pytest.fail.Exception) as said:
                self._broken[wanted.content] = said
                raise
            except Exception as error:
                self._broken[wanted.content] = Broken(_in_a_line(error))
                raise
        supply = self._supplies[wanted.content]
        try:
            return Taken(supply.take(), supply, given)
        except DiskFull as full:
            raise DiskFull(full.message, self._more_room(full.hint)) from None

    def url(self, taken: Taken) -> str:
        """Straight to Postgres, as the client reads it."""
        return self._spelled(taken.clone.direct)

    def pooled_url(self, taken: Taken) -> str:
        """Through PgBouncer, as the client reads it."""
        self._pooled.add(taken.clone.name)
        return self._spelled(taken.clone.pooled, pooled=True)

    def leave(self, taken: Taken) -> None:
        """A test is done with it; `settle` comes when it is known whether it failed."""
        self._left.append(taken)

    def settle(self) -> None:
        """Let go of what was left."""
        if self._pid == os.getpid():
            for taken in self._left:
                taken.supply.leave(taken.clone, pooled=taken.clone.name in self._pooled)
        self._left.clear()

    def keep(self, taken: Taken) -> None:
        """It stays when the tests have ended."""
        assert self._host is not None
        taken.supply.keep(taken.clone)
        for line in self._host.keep():
            self._say(line)

    def close(self) -> None:
        """Give back all that this process has."""
        self._in_this_process()
        self.settle()
        with self._terminal.waiting("the databases that the tests left to be dropped"):
            for supply in self._supplies.values():
                supply.close()
        if self._host is not None:
            self._host.close()
        self._begin()

    def _in_this_process(self) -> None:
        if self._pid != os.getpid():
            _inherited.append((self._host, self._supplies, self._left))
            self._begin()

    def _plan(self, given: object) -> plan.Plan:
        # A fixture of the session returns the same again and again; that of a test may not.
        for known, made in self._given:
            if known is given:
                return made
        made = plan.plan(given, self.wishes.root, lambda: self._project)
        self._given.append((given, made))
        return made

    @cached_property
    def _project(self) -> str:
        try:
            if not self._run:
                return content.of_project(self.wishes.root, self._tests)
            return content.once_a_run(
                content.shared_file(self._run),
                lambda: content.of_project(self.wishes.root, self._tests),
            )
        except content.TooMany:
            self._say(
                f"{self.wishes.root} has more than {content.MOST} files: its templates are built "
                "in each run; devdb.pytest_plugin.Template(migrate, files=[...]) says which count"
            )
            return self._run or uuid.uuid4().hex

    def _supply(self, wanted: plan.Plan) -> Supply:
        __tracebackhide__ = True
        if self._host is None:
            with self._terminal.waiting("the tests' Postgres to start"):
                self._host = host.find(self.wishes, wanted.content)
            self._say(self._host.line)
            for note in self._host.notes:
                self._say(note)
        found = self._host

        raised: list[Exception] = []

        def build(endpoint: Endpoint) -> None:
            try:
                building.build(wanted, found, endpoint, self._spelled)
            except Exception as error:
                raised.append(error)
                raise

        shared = found.is_borrowed
        try:
            with self._terminal.waiting(f"the template to be built by '{wanted.name}'"):
                template = cloning.template(
                    found.spec,
                    wanted.content,
                    build if wanted.function or wanted.seeds else None,
                    project=found.project,
                    shared=shared,
                )
        except Exception as error:
            if error in raised:
                raise error.with_traceback(_of_project(error)) from error.__cause__
            raise
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
        return Supply(
            lambda: cloning.Clones(found.spec, template, shared=shared),
            threads=max(1, min(_CREATORS, cores // self._workers)),
            room=found.room // self._workers,
            is_short=found.is_short,
            relieve=found.relieve,
        )

    def _spelled(self, endpoint: Endpoint, *, pooled: bool = False) -> str:
        return spelling.spell(self._client, endpoint, pooled=pooled)

    @cached_property
    def _client(self) -> str:
        with host.as_begun(self.wishes):
            said, _ = host.settings(self.wishes)
        return said.client or clients.DEFAULT

    def _more_room(self, hint: str) -> str:
        if self._host is None or self._host.is_borrowed or self.wishes.on_disk:
            return hint
        return "Have their data on disk: pytest --devdb-disk; or make room (df -h /dev/shm)."

    def _say(self, line: str) -> None:
        if line not in self.notes:
            self.notes.append(line)


def _of_project(error: Exception) -> TracebackType | None:
    """The part of its traceback that begins in the project's function, where it has one."""
    last, found = error.__traceback__, error.__traceback__
    while last is not None:
        if last.tb_frame.f_code is building.build.__code__:
            found = last.tb_next
        last = last.tb_next
    return found


def _in_a_line(error: Exception) -> str:
    said = str(error).strip()
    return f"{type(error).__name__}: {said.splitlines()[0]}" if said else type(error).__name__
