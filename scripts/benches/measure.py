"""What a row of scripts/bench is, and the clock and first queries all rows share."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import specs

from devdb import marker
from devdb.databases import REAPER
from devdb.engines import Engine
from devdb.model import Endpoint, Spec, Step

DEVDB = str(Path(sys.executable).with_name("devdb"))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what is measured, and what it is held against."""

    title: str
    measure: Callable[[], float]
    """Makes what it needs, measures once, cleans up; seconds."""
    against: str | None = None
    """The title of the row it is divided by."""
    limit: float | None = None
    """What the median's ratio must not exceed."""
    at_most: float | None = None
    """What the median itself must not exceed, in seconds."""
    grace: float = 0
    """Seconds that do not count in the ratio."""


class Clock:
    """Seconds of what was done inside `with`."""

    def __enter__(self) -> Clock:
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._start


def quietly(*argv: str | Path, **options: object) -> None:
    """Run a command; what it says is only seen when it fails."""
    done = subprocess.run(
        [str(each) for each in argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,  # type: ignore[call-overload]
    )
    if done.returncode != 0:
        raise SystemExit(f"{argv[0]} ended with {done.returncode}:\n{done.stdout}")


def seconds(*argv: str | Path, **options: object) -> float:
    """How long a command takes."""
    with Clock() as clock:
        quietly(*argv, **options)
    return clock.seconds


def new_name() -> str:
    return specs.new_name("bench")


def new_spec(engine: Engine, **changes: Any) -> Spec:
    """An instance that is not there yet, with its marker."""
    spec = specs.new(engine.name, prefix="bench", host=engine.host, reaper=REAPER, **changes)
    marker.save(spec)
    return spec


def start_new(engine: Engine) -> float:
    """Engine.start() where there was nothing; seconds to READY, as in all these."""
    spec = new_spec(engine)
    try:
        return start(engine, spec)
    finally:
        remove(engine, spec.name)


def start_again(engine: Engine) -> float:
    """Engine.start() of a stopped instance."""
    with stopped(engine) as spec:
        return start(engine, spec)


def up_new(engine: Engine, **variables: str) -> float:
    """`devdb up -d` where there was nothing, the whole process; with those in its environment."""
    name = new_name()
    try:
        command = (DEVDB, "up", "--detach", "--name", name, "--engine", engine.name)
        return seconds(*command, env={**os.environ, **variables})
    finally:
        remove(engine, name)


def up_again(engine: Engine) -> float:
    """`devdb up -d` of a stopped instance, the whole process."""
    with stopped(engine) as spec:
        return seconds(DEVDB, "up", "--detach", "--name", spec.name)


@contextmanager
def running(engine: Engine, **changes: Any) -> Iterator[Spec]:
    """An instance that runs, with what its Spec has other than a new one; afterwards it is gone."""
    spec = new_spec(engine, **changes)
    try:
        start(engine, spec)
        yield spec
    finally:
        remove(engine, spec.name)


@contextmanager
def stopped(engine: Engine) -> Iterator[Spec]:
    """An instance that was ready once and is stopped; afterwards it is gone."""
    with running(engine) as spec:
        engine.stop(spec.name)
        yield spec


def start(engine: Engine, spec: Spec) -> float:
    """Seconds to READY; what an engine does after it is not for anybody to wait for."""
    begun, ready = time.monotonic(), 0.0
    for progress in engine.start(spec):
        if progress.step == Step.READY:
            ready = time.monotonic() - begun
    return ready


def remove(engine: Engine, name: str) -> None:
    engine.stop(name, destroy=True)
    marker.delete(name)


def until_it_answers(endpoint: Endpoint) -> None:
    """Try to log in and query until it works."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with psycopg.connect(
                host=endpoint.host,
                port=endpoint.port,
                user=endpoint.user,
                password=endpoint.password,
                dbname=endpoint.database,
                connect_timeout=2,
            ) as connection:
                connection.execute("SELECT 1")
                return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.005)
