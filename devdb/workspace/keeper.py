"""The keeper of an instance for tests: makes it, sees who uses it, and deletes it after the last.

A process of its own, `python -m devdb.workspace.keeper DIRECTORY`, in whose data home nothing else
is. It reads on stdin what it is to make; nothing there: it looks after what one before it left.
A second process, from which it is forked, has one take its place when it is killed.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from devdb import marker, paths
from devdb.config import Settings
from devdb.errors import DevdbError, PortInUse, TimedOut
from devdb.model import HOST
from devdb.workspace.tenancy import NAME, STRICT, Outcome, Tenancy

if TYPE_CHECKING:
    from types import FrameType

    from devdb.config.file import Pairs
    from devdb.engines import Engine
    from devdb.model import Spec

LINGER = 20.0
"""Seconds after its last user: the next run within that time finds it running."""
LASTING = 3600.0
_PORT_TRIES = 10
_RESTARTS = 5
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "log_checkpoints": "off",
    "checkpoint_timeout": "1d",
    "wal_recycle": "off",
    "wal_init_zero": "off",
    "min_wal_size": "32MB",
    "max_wal_size": "128MB",
}
"""What a server need not do whose data nobody wants back, and a short log of changes.

With the two about new segments of that log, 60 clones of 30 tables leave 40 MB and not 71.
"""
_CONNECTIONS = 300
"""At least: every worker has some of its own, and the pooler keeps some for each database."""


class _Told(BaseException):
    """Somebody wants it to end now."""


def main(directory: str) -> None:
    """Look after the instance of that directory until it is gone."""
    # Whatever comes: it is never another data home's instance that is meant.
    os.environ.pop("DEVDB_DATA_DIR", None)
    tenancy = Tenancy(Path(directory))
    order = sys.stdin.buffer.read()
    lock = tenancy.take()
    if lock is None:
        return
    with lock:
        is_first = _guarded()
        _listen(_tell)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        Keeper(tenancy).run(order if is_first else b"")


class Keeper:
    """What one keeper knows and does."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy
        self._spec: Spec | None = None
        """Of the instance; kept, as somebody may remove what is in its data home."""

    def run(self, order: bytes) -> None:
        """Until it is gone."""
        try:
            if self._has_instance(order):
                self._wait()
        except _Told:
            self._end()

    def _has_instance(self, order: bytes) -> bool:
        """Whether there is one now, be it that of a keeper before."""
        told = self._tenancy.told()
        self._look()
        if told is not None and not told.code and self._spec is not None:
            return True
        try:
            self._destroy()
            if not order:
                return False
            _listen(_tell)
            try:
                outcome = self._make(json.loads(order))
            except BaseException:
                self._destroy()
                raise
        except DevdbError as error:
            code = type(error).__name__
            outcome = Outcome(code=code, message=error.message, hint=error.hint)
        self._tenancy.tell(outcome)
        return not outcome.code

    def _look(self) -> None:
        """See what is in the data home that was written down."""
        if (home := self._tenancy.home) is not None:
            os.environ["DEVDB_DATA_DIR"] = str(home)
            with suppress(DevdbError):  # a start that was cut short before there was anything
                self._spec = marker.load(NAME)

    def _make(self, order: dict[str, Any]) -> Outcome:
        """Make it. Raises DevdbError."""
        from devdb.workspace import choice, storage

        settings = _settings(order["settings"])
        engine, reason = choice.for_tests(settings)
        notes = [reason] if reason else []
        in_files = not engine.takes_images
        obstacle = storage.obstacle(in_files=in_files) if order["in_memory"] else None
        if obstacle:
            notes.append(f"its data is on disk: {obstacle}")
        in_memory = order["in_memory"] and obstacle is None
        self._make_home(storage.MEMORY if in_memory and in_files else None)
        self._start(engine, settings, paths.from_text(order["project"]), in_memory=in_memory)
        self._reserve()
        return Outcome(notes=tuple(notes), is_in_memory=in_memory)

    def _make_home(self, memory: Path | None) -> None:
        """A new data home: in there, or beside what is written down of it. Raises DevdbError."""
        if memory is not None:
            home = memory / f"devdb-{secrets.token_hex(4)}"
        else:
            home = self._tenancy.directory / "data"
        self._tenancy.settle(home)
        os.environ["DEVDB_DATA_DIR"] = str(home)
        try:
            home.mkdir(mode=0o700)  # not one that somebody else made
            if os.geteuid() == 0:  # whose servers run as another user, and have to pass through
                home.chmod(0o711)
        except OSError as error:
            raise DevdbError(
                f"Cannot make {home}: {error.strerror}.", paths.way_out(error, home)
            ) from error

    def _start(self, engine: Engine, settings: Settings, project: Path, *, in_memory: bool) -> None:
        """Until it is ready. Raises DevdbError."""
        from devdb import databases
        from devdb.workspace import up

        for attempt in range(_PORT_TRIES):
            spec = up.new_spec(settings, project, NAME, engine, *_free_ports())
            self._spec = replace(
                spec,
                settings=_fast(spec.settings),
                # A test logs in anew; both together are about half of what that takes asyncpg.
                has_tls=False,
                scram_rounds=1 if settings.client != STRICT else spec.scram_rounds,
                in_memory=in_memory,
            )
            marker.save(self._spec)
            try:
                *_, ready = engine.start(replace(self._spec, reaper=databases.REAPER))
            except PortInUse:  # somebody was faster
                if attempt + 1 == _PORT_TRIES:
                    raise
            else:
                assert ready.server is not None, "an engine's last step carries the server"
                self._spec = up.remember(self._spec, ready.server)
                return

    def _wait(self) -> None:
        """Until nobody has used it for long enough, and then delete it."""
        tenancy = self._tenancy
        linger = float(os.environ.get("_DEVDB_LINGER", LINGER))
        last = time.monotonic()
        while True:
            time.sleep(min(1.0, linger / 4))
            self._reserve()
            now = time.monotonic()
            if tenancy.has_users():
                last = now
            elif now - last >= (LASTING if tenancy.lasting.exists() else linger):
                with suppress(TimedOut), tenancy.turn(timeout=1):
                    if not tenancy.has_users():
                        self._destroy()
                        tenancy.clear()
                        return

    def _reserve(self) -> None:
        """Where data is in memory, keep some of the room for dropping it when there is none."""
        from devdb.workspace import storage

        home = Path(os.environ["DEVDB_DATA_DIR"])
        if home.parent == storage.MEMORY:
            storage.reserve(home)

    def _end(self) -> None:
        """At once, whoever uses it: who wants that may have the turn."""
        self._destroy()
        with suppress(TimedOut), self._tenancy.turn(timeout=0):
            if not self._tenancy.has_users():
                self._tenancy.clear()

    def _destroy(self) -> None:
        """Delete its servers and its data; no error when there is nothing. Raises DevdbError."""
        from devdb.workspace.instances import engine_of

        _listen(signal.SIG_IGN)
        self._tenancy.untell()
        if self._spec is not None:
            engine_of(self._spec).stop(NAME, destroy=True)
            self._spec = None
        if home := os.environ.pop("DEVDB_DATA_DIR", None):
            shutil.rmtree(home, ignore_errors=True)
        self._tenancy.unsettle()


def _guarded() -> bool:
    """Returns in a child, and in another when that is killed; whether in the first."""
    for attempt in range(_RESTARTS):
        child = os.fork()
        if child == 0:
            return attempt == 0
        signal.signal(signal.SIGTERM, lambda *_, pid=child: _pass_on(pid))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            os._exit(os.waitstatus_to_exitcode(status))
    os._exit(1)


def _pass_on(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def _tell(_number: int, _frame: FrameType | None) -> NoReturn:
    _listen(signal.SIG_IGN)  # once is enough
    raise _Told


def _listen(handler: Any) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handler)


def _fast(asked: Pairs) -> Pairs:
    """The settings of the user's over ours; fewer connections than tests need are not meant."""
    settings = {**FAST, **dict(asked)}
    connections = settings.get("max_connections", "0")
    if not connections.isdigit() or int(connections) < _CONNECTIONS:
        settings["max_connections"] = str(_CONNECTIONS)
    return tuple(sorted(settings.items()))


def _free_ports() -> tuple[int, int]:
    """Two that nobody listens on; the system's own choice, as none has to last."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind((HOST, 0))
        return int(one.getsockname()[1]), int(other.getsockname()[1])


def _settings(values: dict[str, Any]) -> Settings:
    """What `asdict` made of them, through JSON."""
    from devdb.model import PoolMode

    pairs = ("postgres", "pgbouncer", "env", "sources")
    tuples = {name: tuple(tuple(pair) for pair in values[name]) for name in pairs}
    mode = PoolMode(values["pool_mode"]) if values["pool_mode"] else None
    return Settings(**{**values, **tuples, "pool_mode": mode})


if __name__ == "__main__":
    main(sys.argv[1])
