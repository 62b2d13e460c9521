"""The instance that a process's tests use: one of their own, or one that is borrowed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from devdb import config
from devdb.config import Settings
from devdb.errors import UsageError
from devdb.model import Spec
from devdb.urls import clients
from devdb.workspace import names

_SHORT = 200_000_000
"""Bytes: with less room than that, nothing is left there that nobody needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the options of pytest say, and how the process was when its tests began."""

    root: Path
    """pytest's rootdir."""
    instance: str | None = None
    client: str | None = None
    on_disk: bool = False
    environment: dict[str, str]
    directory: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """An instance, and what may be done in it."""

    spec: Spec
    project: str
    """Which project's templates are its own there."""
    is_borrowed: bool
    room: int
    """Bytes that the clones of all processes may take together before the oldest are dropped."""
    line: str
    """Which one it is, for people."""
    notes: tuple[str, ...] = ()
    is_short: Callable[[], bool]
    """Whether it is time to drop what is left before that."""
    relieve: Callable[[], None]
    """Free what is needed to drop something where no byte is left."""
    tools: Callable[[str], Sequence[str]]
    """The command that runs a client program of Postgres."""
    keep: Callable[[], tuple[str, ...]]
    """Have it stay when the tests have ended; returns what is to be said of that."""
    close: Callable[[], None]


def settings(wishes: Wishes) -> tuple[Settings, Path]:
    """The settings of the project, and where it is. Raises UsageError."""
    project = names.place(wishes.root).project
    options = {"name": wishes.instance, "client": wishes.client}
    said = config.load(project, options, wishes.environment)
    if said.client is not None:
        clients.client(said.client)
    return said, project


def find(wishes: Wishes, content: str) -> Host:
    """The instance that is borrowed, where one is named; else the tests' own, for that content.

    Raises DevdbError.
    """
    with as_begun(wishes):
        said, project = settings(wishes)
        # A name in devdb.toml is that of the project's instance, and no wish to have tests in it.
        if said.name is not None and said.source("name") != config.FILE:
            return _borrowed(said.name, project)
        return _own(said, project, content, on_disk=wishes.on_disk)


def _borrowed(name: str, project: Path) -> Host:
    from devdb.workspace import instances

    spec = names.resolve_existing(name, project)
    found = instances.find(spec)
    if found.trouble is not None:
        raise found.trouble
    if found.server is None or not found.server.serving:
        raise UsageError(
            f"The instance '{name}' does not run, and the tests are to use it.",
            f"devdb up -d -n {name}",
        )
    return Host(
        spec=spec,
        project=_digest(project),
        is_borrowed=True,
        room=0,
        is_short=lambda: True,
        relieve=lambda: None,
        tools=partial(instances.tool_argv, spec),
        line=f"{_postgres(spec)} of the instance '{name}' ({spec.engine})",
        keep=lambda: (),
        close=lambda: None,
    )


def _own(said: Settings, project: Path, content: str, *, on_disk: bool) -> Host:
    from devdb.workspace import throwaway

    wanted = throwaway.Wanted(
        project=project, settings=said, content=content, in_memory=not on_disk
    )
    lease = throwaway.attach(wanted)
    where = "in memory" if lease.is_in_memory else "on disk"
    return Host(
        spec=lease.spec,
        project=_digest(project),
        is_borrowed=False,
        room=lease.room,
        is_short=lambda: lease.room < _SHORT,
        relieve=lease.relieve,
        tools=lease.tool_argv,
        line=f"{_postgres(lease.spec)} of the tests' own ({lease.spec.engine}), {where}",
        notes=lease.notes,
        keep=lease.keep,
        close=lease.close,
    )


def _postgres(spec: Spec) -> str:
    return "Postgres" if spec.major is None else f"Postgres {spec.major}"


def _digest(project: Path) -> str:
    from devdb.pytest_plugin import content

    return content.digest([os.fsencode(project)])


@contextmanager
def as_begun(wishes: Wishes) -> Iterator[None]:
    """In the directory and the environment that the tests began with, whatever one of them set."""
    before = dict(os.environ)
    here = os.open(".", os.O_RDONLY)
    try:
        _change(wishes.environment)
        with suppress(OSError):
            os.chdir(wishes.directory)
        yield
    finally:
        _change(before)
        with suppress(OSError):
            os.fchdir(here)
        os.close(here)


def _change(wanted: dict[str, str]) -> None:
    for variable in set(os.environ) - set(wanted):
        del os.environ[variable]
    for variable, value in wanted.items():
        if os.environ.get(variable) != value:
            os.environ[variable] = value
