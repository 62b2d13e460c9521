"""One attempt to get an instance from what was found of it to ready, and how it is taken back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from devdb import certificates, processes
from devdb.certificates import Certificates
from devdb.engines import ports
from devdb.engines.login import Login
from devdb.engines.native import (
    binaries,
    copies,
    data,
    failure,
    find,
    limits,
    servers,
    stop,
    supervision,
)
from devdb.engines.native.config import Config
from devdb.engines.native.data import NewData
from devdb.engines.native.failure import PATIENCE, Patience, Vanished
from devdb.engines.native.find import Sighting
from devdb.engines.native.layout import Layout
from devdb.engines.native.owner import Owner
from devdb.engines.native.servers import Launch
from devdb.engines.native.supervision import Line
from devdb.engines.refusal import LetsNobodyIn
from devdb.engines.waiting import Beats, begin, result, told
from devdb.errors import StartFailed
from devdb.model import Progress, Spec, Step

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")
PREPARING = Progress(step=Step.PREPARE, detail="programs and data directory")


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What the servers are started with."""

    config: Config
    new: NewData | None
    """None: the data was there before."""


class Attempt:
    """Brings one instance up; what it did is undone when it does not get there.

    Closed or failed before it is ready, it stops the servers that it started and deletes the data
    that it made. Data that was there is never touched.
    """

    def __init__(self, spec: Spec, layout: Layout, owner: Owner) -> None:
        self._spec = spec
        self._layout = layout
        self._owner = owner
        self._given_up = threading.Event()
        self._work: list[Future[Any]] = []
        self._line: Line | None = None
        """To who starts the servers; None while those that run need no other than theirs."""
        self._takes_over = False
        """Whether it has taken the place of another one, or was about to."""
        self._watched: list[Launch] = []
        """The servers that must not end meanwhile."""
        self._started: list[Launch] = []
        """The servers that this attempt started."""
        self._is_new = False
        """Whether the data is this attempt's own."""
        self._is_ready = False

    def run(self) -> Generator[Progress, None, tuple[str, ...]]:
        """All steps but the last; returns what was gone and is made anew, in words."""
        try:
            notes = yield from self._run()
        except LetsNobodyIn:
            # Who is refused can mend that only while the server runs; new data goes.
            self._is_ready = not self._is_new
            raise
        finally:
            self._end()
        return notes

    def _run(self) -> Generator[Progress, None, tuple[str, ...]]:
        prepared = yield from told(PREPARING, self._prepare())
        config, new = prepared.config, prepared.new
        # The disk and the servers' first steps wait for one another little.
        writing_out = self._begin(partial(data.write_out, new, config)) if new else None
        starting = self._start_postgres(config)
        yield from _step(Step.POSTGRES, f"port {self._spec.port}", starting)
        yield Progress(step=Step.PGBOUNCER, detail=f"port {self._spec.pool_port}")
        self._start_pooler(config)
        logging_in = self._wait_for_logins(prepared)
        notes = yield from _step(Step.LOGIN, "SELECT 1 through both URLs", logging_in)
        if writing_out is not None:
            both = "SELECT 1 through both URLs, the data written to the disk"
            yield from _step(Step.LOGIN, both, result(writing_out))
        self._finish(prepared)
        return notes

    def _begin(self, function: Callable[[], T]) -> Future[T]:
        """Call it in a thread, which `_end` waits for."""
        future = begin(function)
        self._work.append(future)
        return future

    def _prepare(self) -> Beats[_Prepared]:
        """Find the programs, make new data if there is none, stop what is not as wanted."""
        layout = self._layout
        if find.supervisor(layout).pid is None:
            self._line = Line(layout)  # a Python: it starts beside what follows
        config = yield from self._find_programs()
        # Before anything is stopped: moved to a taken port, it goes on where it is.
        wanted = {self._spec.port, self._spec.pool_port}
        ports.require_free(self._spec, *sorted(wanted - find.held_ports(layout)))
        self._is_new = not layout.initialised.exists()
        # Making them is mostly an import, copying is mostly the disk's: together they take no
        # longer than the copy alone.
        certifying = self._begin(partial(_certify, config))
        new = (yield from data.make(config, self._owner)) if self._is_new else None
        config = replace(config, certificates=(yield from result(certifying)))
        if self._is_new:
            yield from self._supervise(config)
        elif not servers.are_as_wanted(config, self._owner):
            yield from self._supervise(config)
            yield from result(self._begin(partial(servers.stop_what_differs, config)))
        return _Prepared(config, new)

    def _find_programs(self) -> Beats[Config]:
        """What would be started, its certificates not yet looked at."""
        found = binaries.postgres(self._spec.major, data=find.data_major(self._layout))
        postgres = yield from copies.postgres(found, self._owner)
        asking = self._begin(partial(binaries.has_tls, postgres))
        pooler = yield from copies.pooler(binaries.pooler(), self._owner)
        running = find.pooler(self._layout).pid
        files = limits.open_files(running, limits.MANY_FILES)
        has_tls = yield from result(asking)
        return Config(self._spec, self._layout, postgres, pooler, has_tls, files)

    def _supervise(self, config: Config) -> Beats[None]:
        """Have a supervisor that knows this configuration take the place of any other."""
        self._takes_over = True
        self._line = self._line or Line(self._layout)
        with supervision.held_pipes(self._layout):
            yield from result(self._begin(partial(stop.end_supervisor, self._layout)))
            yield from self._line.take(supervision.told(config, self._owner))

    def _start_postgres(self, config: Config) -> Beats[None]:
        """Start Postgres if it does not run, and wait until it lets clients in."""
        seen = find.postmaster(self._layout)
        launch = self._ensure(config, "postgres", seen, servers.start_postgres)
        patience = Patience(self._spec, self._layout, launch)
        while not find.postmaster(self._layout).ready:
            self._require_alive()
            yield from patience.wait()

    def _start_pooler(self, config: Config) -> None:
        """Start PgBouncer if it does not run; the first login need not wait for it."""
        self._ensure(config, "pgbouncer", find.pooler(self._layout), servers.start_pooler)

    def _ensure(
        self,
        config: Config,
        part: str,
        seen: Sighting,
        start_it: Callable[[Config, Owner, Line], Launch],
    ) -> Launch:
        if seen.pid is not None:
            launch = servers.already(self._layout, part, seen.pid)
            if self._line is not None:
                self._line.adopt(part, seen.pid)
        elif self._line is not None:
            self._layout.starting.touch()
            launch = start_it(config, self._owner, self._line)
            self._started.append(launch)
        else:
            raise Vanished
        self._watched.append(launch)
        return launch

    def _wait_for_logins(self, prepared: _Prepared) -> Beats[tuple[str, ...]]:
        """Wait until both URLs work; returns what was made anew for that, in words."""
        deadline = time.monotonic() + PATIENCE
        logging_in = self._begin(partial(self._log_in, prepared))
        for _ in result(logging_in):
            self._require_alive()
            for launch in self._started:
                if failure.lost_its_port(self._layout, launch):
                    raise failure.of_server(self._spec, self._layout, launch)
            if time.monotonic() > deadline:
                raise failure.timed_out(self._spec, self._layout, self._watched[-1])
            yield
        return logging_in.result()

    def _log_in(self, prepared: _Prepared) -> tuple[str, ...]:
        login = Login(
            self._spec,
            first_password=prepared.new.template.password if prepared.new else None,
            looks_up_everywhere=prepared.config.looks_up_everywhere,
        )
        ran = all(launch.part != "pgbouncer" for launch in self._started)
        done = login.until_set_up(self._given_up)
        if done is not None:
            done = login.until_ready(done, self._given_up, pooler_ran=ran)
        return done.notes if done is not None else ()

    def _require_alive(self) -> None:
        """Raise StartFailed (or PortInUse) when a server has ended."""
        for launch in self._watched:
            if not processes.is_running(launch.pid):
                if launch not in self._started:
                    raise Vanished
                if self._line is not None:
                    self._line.flush()
                raise failure.of_server(self._spec, self._layout, launch)

    def _finish(self, prepared: _Prepared) -> None:
        """Everything works: make it last."""
        if prepared.new is not None:
            data.keep(prepared.new, prepared.config, self._owner)
        if self._line is not None:
            stop.stop_reaper(self._layout)
            parts = [launch.part for launch in self._watched]
            if self._spec.reaper is not None:
                launch = servers.start_reaper(prepared.config, self._owner, self._line)
                self._started.append(launch)
                parts.append(launch.part)
            self._line.guard(parts)
        self._is_ready = True

    def _end(self) -> None:
        """Unless it is ready: no new process, no new data."""
        from concurrent.futures import wait

        self._given_up.set()
        wait(self._work)
        if not self._is_ready:
            for launch in reversed(self._started):
                stop.take_back(launch.part, launch.pid, gently=not self._is_new)
            if self._is_new:
                stop.destroy(self._layout)
        if self._line is not None:
            self._line.hang_up()
        if self._started:
            self._layout.starting.unlink(missing_ok=True)
        if self._takes_over and not self._is_ready and not self._is_new:
            # What ran before goes on as it did, and what failed is not tried again.
            stop.end_supervisor(self._layout)
            with suppress(StartFailed, OSError):
                supervision.mend(self._layout, what_died=False)


def _certify(config: Config) -> Certificates | None:
    if config.wants_certificates:
        return certificates.ensure(config.spec.name)
    certificates.remove(config.spec.name)  # a build with TLS ran here before
    return None


def _step(step: Step, detail: str, beats: Beats[T]) -> Generator[Progress, None, T]:
    """The step at its beginning and at each beat of its work."""
    progress = Progress(step=step, detail=detail)
    yield progress
    return (yield from told(progress, beats))
