"""Processes that use an instance for tests, and what is there of one."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import available
import psutil
import pytest

from devdb import paths, processes
from devdb.workspace.throwaway import Lease

Attach = Callable[..., Lease]
"""The fixture `attached`: an instance of the test's project, by this process."""

LINGER = 1.0
"""Seconds that an instance stays after its last user, where it is 20 otherwise."""

USER = """
import json, os, sys, time
from pathlib import Path
from devdb.config import Settings
from devdb.workspace.throwaway import Wanted, attach

lease = attach(Wanted(project=Path(sys.argv[1]), settings=Settings(engine="native"), content="0"))
child = os.fork()  # which outlives its parent, and has all that it had open
if child == 0:
    os.close(1)
    time.sleep(60)
    os._exit(0)
told = {"port": lease.spec.port, "notes": lease.notes, "in_memory": lease.is_in_memory}
print(json.dumps({**told, "child": child, "room": lease.room}), flush=True)
sys.stdin.read()
"""


class User:
    """A process with a lease; `tell` waits until it has it."""

    def __init__(self, project: Path, prefix: Sequence[str] = (), **env: str) -> None:
        argv = [*prefix, sys.executable, "-c", USER, str(project)]
        piped = subprocess.PIPE
        self.process = subprocess.Popen(argv, stdin=piped, stdout=piped, env={**os.environ, **env})
        self.child = 0

    def tell(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline() or "{}")
        self.child = told["child"]
        return dict(told)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        if self.child:
            os.kill(self.child, signal.SIGKILL)


@contextmanager
def users(*started: User) -> Iterator[None]:
    """Ends them, and what they forked, after the block."""
    try:
        yield
    finally:
        for user in started:
            user.close()


def directories(project: Path) -> list[Path]:
    """Where the instances for tests of that project are told of."""
    digest = hashlib.sha256(os.fsencode(project)).hexdigest()[:8]
    return list((paths.cache_home() / "tests").glob(f"{digest}-*"))


def keepers(project: Path) -> list[int]:
    """The pids of both processes that keep the project's instance: the guardian comes first."""
    [directory] = directories(project)
    first = int((directory / "keeper").read_text())
    return sorted(keepers_of(directory), key=lambda pid: pid != first)


def keepers_of(directory: Path) -> list[int]:
    """The same of an instance that is told of there, in no order."""
    return [pid for pid in psutil.pids() if str(directory) in processes.words(pid)]


def named_users(project: Path) -> list[Path]:
    """The files of its users, among them those of who ended a moment ago."""
    [directory] = directories(project)
    return list((directory / "users").iterdir())


def home(project: Path) -> Path:
    """The data home of the project's instance."""
    [directory] = directories(project)
    return Path((directory / "home").read_text())


def require(engine: str) -> None:
    """Skip, or fail where it has to be there, without that engine."""
    if reason := available.why_not(engine):
        if engine in available.required():
            pytest.fail(f"the {engine} engine is required here, but: {reason}")
        pytest.skip(f"{engine} engine: {reason}")
