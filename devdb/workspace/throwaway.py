"""An instance for one run of tests: fast and unsafe, in memory, gone when nobody uses it."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from devdb import __version__, errors, marker, paths, pgbouncer, processes, sessions, wire
from devdb.config import Settings, allowed
from devdb.errors import DevdbError, EngineUnavailable, NeedsConsent, NotFound, StartFailed
from devdb.model import Spec
from devdb.workspace import names, storage

if TYPE_CHECKING:
    from devdb.workspace.tenancy import Outcome, Tenancy, User

_HOME = "DEVDB_DATA_DIR"
_START_SECONDS = 600.0
"""For a start by this process or another; images may have to be pulled."""
_END_SECONDS = 60.0
_ANSWER_SECONDS = 5.0
"""For a server that is started again by its supervisor, after a crash."""
_TRIES = 3
"""Instances that end while one comes to them."""
_MEANT = ("DEVDB_", "_DEVDB_", "DOCKER_", "XDG_", "CONTAINER_HOST", "TMPDIR")
"""How the variables begin that say what servers there are, and where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What instance a run of tests wants; who wants the same gets the same one."""

    project: Path
    settings: Settings
    content: str
    """A digest of what is put into it: other migrations get a cluster of their own, without the
    roles and the like that those before left."""
    in_memory: bool = True
    """Whether its data may be in memory."""


class Lease:
    """The right to use it, which ends with `close` or with this process, however that ends."""

    def __init__(self, tenancy: Tenancy, user: User, spec: Spec, outcome: Outcome) -> None:
        self._tenancy = tenancy
        self._user = user
        self.spec = spec
        self.notes = outcome.notes
        """What is to be said: that the data is on disk, and why."""
        self.is_in_memory = outcome.is_in_memory

    @property
    def room(self) -> int:
        """Bytes that the databases of all who use it may take together, besides what they take
        now."""
        home = self._tenancy.home or self._tenancy.directory
        return storage.room(home, in_memory=self.is_in_memory)

    def relieve(self) -> None:
        """Where no byte is left (DiskFull), give what is needed to drop something.

        It is taken again when there is room.
        """
        if (home := self._tenancy.home) is not None:
            storage.relieve(home)

    def tool_argv(self, tool: str) -> Sequence[str]:
        """The command that runs a client program no older than its server, for devdb itself.

        Raises DevdbError.
        """
        from devdb.workspace import instances  # only a template that is loaded needs it

        home, before = self._tenancy.home, os.environ.get(_HOME)
        if home is None:
            raise NotFound("The tests' instance is gone.", "Run the tests again.")
        os.environ[_HOME] = str(home)
        try:
            return instances.tool_argv(self.spec, tool)
        finally:
            if before is None:
                del os.environ[_HOME]
            else:
                os.environ[_HOME] = before

    def keep(self) -> tuple[str, ...]:
        """Have it stay for an hour after its last user; returns what to say of that: how to be rid
        of it sooner."""
        self._tenancy.lasting.touch(mode=0o600)
        pid = self._tenancy.keeper()
        sooner = f"; sooner: kill {pid}" if pid else ""
        return (f"the tests' instance stays for an hour after its last user{sooner}",)

    def close(self) -> None:
        """Let go of it; the last one's ends it within a minute."""
        self._tenancy.leave(self._user)


def attach(wanted: Wanted) -> Lease:
    """Start it, or share the one that others use or used a moment ago. Raises DevdbError."""
    if sys.platform == "win32":
        raise EngineUnavailable(
            "devdb has no instance of the tests' own on Windows.",
            "Use one that runs: --devdb-instance NAME, or DEVDB_NAME; devdb up makes one.",
        )
    wanted = replace(wanted, settings=_as_the_project_has_it(wanted.settings, wanted.project))
    pgbouncer.refuse_own(wanted.settings.pgbouncer)
    allowed.check(wanted.settings.postgres, contained=True)  # on this machine: the engine looks
    tenancy = _tenancy_of(wanted)
    with tenancy.turn(timeout=_START_SECONDS):
        user = tenancy.join()
        try:
            lease, is_new = _attach(tenancy, user, wanted)
        except BaseException:
            tenancy.leave(user)
            raise
    if is_new:
        _clear_up(tenancy)
    return lease


def _attach(tenancy: Tenancy, user: User, wanted: Wanted) -> tuple[Lease, bool]:
    """The lease, and whether the instance is new."""
    is_new = False
    for _ in range(_TRIES):
        if tenancy.keeper() is None:
            outcome = tenancy.told()
            if outcome is not None and outcome.code:
                tenancy.untell()
            _start_keeper(tenancy, wanted)
            is_new = True
        if (outcome := _outcome(tenancy)) is None:
            continue  # it was about to end
        if outcome.code:
            tenancy.end(timeout=_END_SECONDS)
            tenancy.clear()
            raise _as_error(outcome)
        spec = _spec(tenancy)
        if spec is not None and _answers(spec):
            return Lease(tenancy, user, spec, outcome), is_new
        tenancy.end(timeout=_END_SECONDS)
    raise StartFailed(
        "The tests' instance ended each time that it was there.", f"See {tenancy.log}"
    )


def _as_the_project_has_it(settings: Settings, project: Path) -> Settings:
    """Of the major and the image of the project's own instance, where nothing else is said."""
    own = names.own(settings.name, project)
    if own is None or (settings.pg is not None and settings.pg != own.major):
        return settings
    return replace(
        settings,
        pg=own.major,
        image=settings.image or own.postgres_image,
        pooler_image=settings.pooler_image or own.pooler_image,
    )


def _tenancy_of(wanted: Wanted) -> Tenancy:
    from devdb.workspace.tenancy import STRICT, Tenancy  # which Windows cannot load

    settings = asdict(wanted.settings)
    # What has no part in it: who said it, what it is called and where it listens elsewhere.
    for name in ("name", "port", "pool_port", "http", "http_port", "preset", "client", "env"):
        del settings[name]
    del settings["sources"]
    programs = [os.environ.get(name) for name in ("DEVDB_PG_BIN", "DEVDB_PGBOUNCER", "DOCKER_HOST")]
    is_strict = wanted.settings.client == STRICT
    what = [__version__, wanted.content, wanted.in_memory, is_strict, settings, programs]
    what += _machine()
    rest = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
    project = hashlib.sha256(os.fsencode(wanted.project)).hexdigest()
    return Tenancy.of(project[:8], rest[:12])


def _machine() -> list[str]:
    """What tells one machine, or container, from another that has the same cache: what is at
    127.0.0.1, which processes there are, and what is in memory."""
    found = []
    with suppress(OSError):
        found.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        found += [str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in ("mnt", "net", "pid")]
    return found


def _start_keeper(tenancy: Tenancy, wanted: Wanted | None) -> None:
    """Start the process that makes it and looks after it; without `wanted` it only does that."""
    order = json.dumps(_order(wanted)).encode() if wanted is not None else b""
    reading, writing = os.pipe()
    tenancy.log.unlink(missing_ok=True)
    try:
        pid = processes.spawn(
            # -P: not whatever lies in a directory under the name of a module.
            [sys.executable, "-P", "-m", "devdb.workspace.keeper", str(tenancy.directory)],
            cwd=Path("/"),
            log=tenancy.log,
            env=_environment(),
            stdin=reading,
        )
        os.close(reading)
        reading = -1
        with suppress(BrokenPipeError), open(writing, "wb", closefd=False) as pipe:
            pipe.write(order)
    finally:
        for end in (reading, writing):
            if end >= 0:
                os.close(end)
    if wanted is None:
        return
    deadline = time.monotonic() + _START_SECONDS
    while tenancy.keeper() is None:
        if not processes.is_running(pid) and tenancy.told() is not None:
            return  # it ended with an error
        if not processes.is_running(pid) or time.monotonic() > deadline:
            raise _failed(tenancy)
        time.sleep(0.005)


def _order(wanted: Wanted) -> dict[str, object]:
    """What the keeper reads; secrets are none in it, but settings may be nobody else's business."""
    return {
        "project": paths.as_text(wanted.project),
        "settings": asdict(wanted.settings),
        "in_memory": wanted.in_memory,
    }


def _environment() -> dict[str, str]:
    meant = {name: value for name, value in os.environ.items() if name.startswith(_MEANT)}
    cache = str(paths.cache_home())
    return {**processes.python_environment(), **meant, "DEVDB_CACHE_DIR": cache}


def _outcome(tenancy: Tenancy) -> Outcome | None:
    """What its keeper made of it, waited for; None where the keeper ended without a word."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        is_kept = tenancy.keeper() is not None  # before it is asked, or its last words are missed
        if (outcome := tenancy.told()) is not None:
            return outcome
        if not is_kept:
            return None
        if time.monotonic() > deadline:
            raise _failed(tenancy)
        time.sleep(0.005)


def _spec(tenancy: Tenancy) -> Spec | None:
    from devdb.workspace.tenancy import NAME

    home = tenancy.home
    return marker.read(home / "instances" / NAME / "marker.json") if home else None


def _answers(spec: Spec) -> bool:
    """Whether Postgres lets us in; one that is being started again is waited for."""
    deadline = time.monotonic() + _ANSWER_SECONDS
    while True:
        try:
            sessions.direct(spec.direct, timeout=1).close()
        except wire.Refused as refused:
            if refused.sqlstate == sessions.TOO_MANY:
                return True
            if refused.sqlstate == sessions.INVALID_PASSWORD:
                return False  # it is another one's by now
        except OSError:
            pass
        else:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)


def _clear_up(mine: Tenancy) -> None:
    """See to what others left: the earlier ones of this project, and those without a keeper."""
    for other in mine.others():
        with suppress(DevdbError, OSError):
            if other.keeper() is None and other.home is not None:
                _start_keeper(other, None)
                continue
            if not other.has_users() and (other.keeper() is None or mine.is_same_project(other)):
                with other.turn(timeout=0):
                    _end_unused(other)


def _end_unused(other: Tenancy) -> None:
    """By who has its turn."""
    if other.has_users():
        return
    if other.keeper() is None:
        other.clear()
    elif other.told() is not None and not other.lasting.exists():
        other.end(timeout=0)


def _as_error(outcome: Outcome) -> DevdbError:
    """What the keeper came to, as if it had been here."""
    from devdb.workspace.tenancy import NAME

    kind = getattr(errors, outcome.code, DevdbError)
    if issubclass(kind, NeedsConsent):
        kind = EngineUnavailable if issubclass(kind, EngineUnavailable) else DevdbError
    # It is nobody's to start by its name.
    hint = outcome.hint.replace(f"devdb up -d -n {NAME}", "run the tests again")
    error: DevdbError = kind(outcome.message, hint)
    return error


def _failed(tenancy: Tenancy) -> StartFailed:
    lines: list[str] = []
    with suppress(OSError):
        lines = tenancy.log.read_text(encoding="utf-8", errors="replace").split("\n")
    words = [" ".join(line.split()) for line in lines if line.strip()]
    said = f": {words[-1]}" if words else "."
    return StartFailed(
        f"The process that looks after the tests' instance did not start{said}",
        f"All it said is in {tenancy.log}; is {sys.executable} a Python that can be started?",
    )
