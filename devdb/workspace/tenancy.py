"""The files by which an instance for tests, its keeper and its users find one another.

Who they are is told by locks, which the system takes back however a process ends: the keeper holds
one for its life, each user one of its own, and whoever changes who they are has the turn meanwhile.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from devdb import marker, paths, processes
from devdb.errors import DevdbError, TimedOut
from devdb.replacing import in_place_of

NAME = "tests"
"""The instance's, in a data home of its own."""
STRICT = "jdbc"
"""The client that refuses a login of fewer than 4096 rounds (ongres/scram, `iteration must be >=
4096`)."""
_POLL = 0.02
"""Seconds between two looks at what cannot be waited for."""
_GLANCE = 5.0
"""Seconds in which whoever only looks whether a lock is held has let go of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the keeper made of it: an instance, or the error that it came to."""

    notes: tuple[str, ...] = ()
    is_in_memory: bool = False
    code: str = ""
    """Of the error; empty where there is none. `message` and `hint` are its two lines."""
    message: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class User:
    """One who uses it until `leave`, or as long as the process lives."""

    path: Path
    pid: int
    file: BinaryIO


@dataclass(frozen=True, slots=True)
class Tenancy:
    """One directory of the cache, for one project's instance for tests."""

    directory: Path

    @classmethod
    def of(cls, project: str, rest: str) -> Tenancy:
        """That of a project, and of all else that makes two of its instances differ."""
        return cls(_all() / f"{project}-{rest}")

    def others(self) -> list[Tenancy]:
        """All others of this user."""
        there = sorted(_all().iterdir()) if _all().is_dir() else []
        return [Tenancy(each) for each in there if each != self.directory and each.is_dir()]

    def is_same_project(self, other: Tenancy) -> bool:
        """Whether the other one is of the same project."""
        mine, theirs = (each.directory.name.partition("-")[0] for each in (self, other))
        return mine == theirs

    @contextmanager
    def turn(self, *, timeout: float) -> Iterator[None]:
        """Nobody else comes or goes meanwhile, except who is killed.

        `timeout` is in seconds; raises TimedOut past it, DevdbError where nothing can be written.
        """
        deadline = time.monotonic() + timeout
        path = self.directory / "turn"
        while True:
            try:
                marker.make_private_directory(self.directory)
                file = path.open("ab")
            except FileNotFoundError:
                continue  # it was the last one's to remove
            except OSError as error:
                way_out = paths.way_out(error, path, variable="DEVDB_CACHE_DIR")
                raise DevdbError(f"Cannot write {path}: {error.strerror}.", way_out) from error
            with file:
                if _locks(file) and _is_at(file, path):
                    yield
                    return
            if time.monotonic() > deadline:
                raise TimedOut(
                    f"Another process has been busy with the tests' instance for {timeout:g} s.",
                    f"Wait for it, or end it; its files are in {self.directory}.",
                )
            time.sleep(_POLL)

    # Its users.

    def join(self) -> User:
        """Be one of its users, by who has the turn. Raises OSError.

        A lock of the process and not of the file: what it forks does not go on holding it.
        """
        self._users.mkdir(mode=0o700, exist_ok=True)
        final = self._users / f"{os.getpid()}-{secrets.token_hex(4)}"
        temporary = final.with_name(f".{final.name}")
        file = temporary.open("xb")
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            temporary.rename(final)
        except BaseException:
            file.close()
            raise
        return User(final, os.getpid(), file)

    def leave(self, user: User) -> None:
        """Be it no longer; in a process that was forked from it, that changes nothing."""
        if user.pid == os.getpid():
            user.path.unlink(missing_ok=True)
        user.file.close()

    def has_users(self) -> bool:
        """Whether anybody uses it; what the dead left is cleared away.

        A process that closes a file lets go of its own lock on it, so its own are not looked at.
        """
        mine = f"{os.getpid()}-"
        found = list(self._users.glob("[!.]*"))
        used = [path for path in found if path.name.startswith(mine) or _is_in_use(path)]
        return bool(used)

    @property
    def _users(self) -> Path:
        return self.directory / "users"

    # Its keeper.

    def take(self) -> BinaryIO | None:
        """Become its keeper as long as that file is open; None where it has one. Raises OSError."""
        file = self._keeper.open("a+b")
        deadline = time.monotonic() + _GLANCE
        while not _locks(file):
            if time.monotonic() > deadline:
                file.close()
                return None
            time.sleep(_POLL)
        file.truncate(0)
        file.write(f"{os.getpid()}\n".encode())
        file.flush()
        return file

    def keeper(self) -> int | None:
        """The keeper's pid, 0 where it cannot be told; None where there is none."""
        with suppress(OSError), self._keeper.open("r+b") as file:
            if _locks(file, fcntl.LOCK_SH):  # others may be looking, too
                return None
            text = file.read(32).strip()
            pid = int(text) if text.isdigit() else 0
            # On another machine, or in another container, it is somebody else's.
            return pid if str(self.directory) in processes.words(pid) else 0
        return None

    def end(self, *, timeout: float) -> None:
        """Have the keeper delete the instance at once, and wait for it. Raises TimedOut."""
        deadline = time.monotonic() + timeout
        while (pid := self.keeper()) is not None:
            if pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            if time.monotonic() > deadline:
                raise TimedOut(
                    f"The tests' instance of process {pid} does not end within {timeout:g} s.",
                    f"End that process: kill -9 {pid}",
                )
            time.sleep(_POLL)

    @property
    def _keeper(self) -> Path:
        return self.directory / "keeper"

    # What the keeper tells.

    def tell(self, outcome: Outcome) -> None:
        """Say what came of it. Raises OSError."""
        with in_place_of(self._outcome) as (file, _):
            file.write(json.dumps(asdict(outcome)).encode())

    def told(self) -> Outcome | None:
        """What came of it; None: nothing yet, or nothing any more."""
        try:
            values = json.loads(self._outcome.read_bytes())
        except FileNotFoundError:
            return None
        return Outcome(**{**values, "notes": tuple(values["notes"])})

    def untell(self) -> None:
        """From now on it is not to be used."""
        self._outcome.unlink(missing_ok=True)

    @property
    def _outcome(self) -> Path:
        return self.directory / "outcome.json"

    def settle(self, home: Path) -> None:
        """Write down where its data home is, before there is anything in it. Raises OSError."""
        with in_place_of(self.directory / "home") as (file, _):
            file.write(os.fsencode(home))

    @property
    def home(self) -> Path | None:
        """Its data home, or where one may have been begun; None where it has none."""
        try:
            return Path(os.fsdecode((self.directory / "home").read_bytes()))
        except FileNotFoundError:
            return None

    def unsettle(self) -> None:
        """It has no data home any more."""
        (self.directory / "home").unlink(missing_ok=True)

    @property
    def log(self) -> Path:
        """What the keeper wrote, which is mostly nothing."""
        return self.directory / "keeper.log"

    @property
    def lasting(self) -> Path:
        """A file that is there when it is to stay for an hour after its last user."""
        return self.directory / "lasting"

    def clear(self) -> None:
        """Remove all of it, by the keeper that has the turn and is about to end."""
        shutil.rmtree(self.directory, ignore_errors=True)


def _all() -> Path:
    return paths.cache_home() / "tests"


def _locks(file: BinaryIO, kind: int = fcntl.LOCK_EX) -> bool:
    """Whether the lock on that open file can be had, and is from now on."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Whether that open file is still the one at the path."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def _is_in_use(path: Path) -> bool:
    """Whether the user that this file is of is there; if not, the file goes."""
    try:
        file = path.open("r+b")
    except FileNotFoundError:
        return False
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # EACCES or EAGAIN, by the system
            return True
        path.unlink(missing_ok=True)
        return False
