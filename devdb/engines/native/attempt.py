"""How an instance is started: what is there is looked at first, what is missing is made.

A half-made fresh start is recognised by the file `initialised` not being there, one that is at
work (or was killed) by the file `starting`: nothing is remembered anywhere else.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

from devdb import certificates
from devdb.certificates import Certificates
from devdb.config import allowed
from devdb.engines import ports
from devdb.engines.login import Login
from devdb.engines.native import (
    binaries,
    copies,
    data,
    failure,
    find,
    owner,
    processes,
    servers,
    stop,
    supervision,
)
from devdb.engines.native.commands import Beats, beside, meanwhile
from devdb.engines.native.config import Config
from devdb.engines.native.data import NewData
from devdb.engines.native.find import Seen
from devdb.engines.native.layout import Layout
from devdb.engines.native.owner import Owner
from devdb.engines.native.patience import PATIENCE, Patience
from devdb.engines.native.servers import Launch
from devdb.engines.native.supervision import Supervisor
from devdb.engines.refusal import LetsNobodyIn, data_gone
from devdb.errors import DataGone, DevdbError, StartFailed
from devdb.model import Progress, Spec, Step


def start(spec: Spec) -> Iterator[Progress]:
    """Start the instance; idempotent; the last step is READY. Raises DevdbError.

    Closed or failed before that, what it began is undone: servers that it started are stopped,
    and data that it made is deleted. Data that was there is never touched.
    """
    allowed.check(spec.settings, contained=False)
    while True:
        attempt = _Attempt(spec)
        try:
            yield from attempt.run()
            break
        except _Vanished:
            continue  # it was dying when it was looked at: look again
        except LetsNobodyIn:
            attempt.leave()
            raise
        except OSError as error:
            raise failure.of_system(error, attempt.layout) from error
        finally:
            attempt.end()
    yield Progress(step=Step.READY, server=find.look(attempt.layout), notes=attempt.notes)


class _Vanished(Exception):
    """A server that ran before this start has ended meanwhile."""


class _Attempt:
    """One start, and what it has done so far."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.layout = Layout.of(spec.name)
        self.cancelled = threading.Event()
        self.new: NewData | None = None
        self.watch: list[Launch] = []
        """The servers that must not end meanwhile."""
        self.started: list[Launch] = []
        """The servers that this start started."""
        self.fresh = False
        """Whether the data is this start's own."""
        self.supervisor: Supervisor | None = None
        """Who starts the servers; None while those that run need no other than theirs."""
        self.takes_over = False
        """Whether it has taken the place of another one, or was about to."""
        self.ready = False
        self.notes: tuple[str, ...] = ()
        """What was gone and is made anew, in words."""

    def run(self) -> Iterator[Progress]:
        """All the steps but the last."""
        yield from _told(Step.PREPARE, "programs and data directory", self.prepare())
        # The disk and the servers' first steps wait for one another little.
        with meanwhile(self._write_out) as writing_out:
            yield from _told(Step.POSTGRES, f"port {self.spec.port}", self.start_postgres())
            yield from _told(Step.PGBOUNCER, f"port {self.spec.pool_port}", self.start_pooler())
            yield from _told(Step.LOGIN, "SELECT 1 through both URLs", self.wait_for_logins())
            if self.new is not None:
                both = "SELECT 1 through both URLs, the data written to the disk"
                yield from _told(Step.LOGIN, both, writing_out)
        self.finish()

    def leave(self) -> None:
        """Have `end` leave a server running that is to be mended; not new data, which goes."""
        self.ready = not self.fresh

    def end(self) -> None:
        """Unless it is ready: no new process, no new data."""
        self.cancelled.set()
        if not self.ready:
            for launch in reversed(self.started):
                stop.take_back(launch.part, launch.pid, gently=not self.fresh)
            if self.fresh:
                stop.destroy(self.layout)
        if self.supervisor is not None:
            self.supervisor.hang_up()
        if self.started:
            self.layout.starting.unlink(missing_ok=True)
        if self.takes_over and not self.ready and not self.fresh:
            # What ran before goes on as it did, and what failed is not tried again.
            stop.end_supervisor(self.layout)
            with suppress(StartFailed, OSError):
                supervision.mend(self.layout, what_died=False)

    def prepare(self) -> Beats[None]:
        """Find the programs, clear away what is stale, make new data if there is none."""
        layout = self.layout
        self.owner = owner.choose(layout.data)
        if obstacle := self.owner.obstacle(layout.root):
            raise DevdbError(
                f"{self.owner.name}, whom root's servers run as, cannot pass {obstacle}.",
                "Set DEVDB_DATA_DIR to a directory it can reach, e.g. /var/lib/devdb.",
            )
        if self.spec.has_data:
            self._require_data()
            data.make_directories(layout, self.owner)
        yield from self._clear_away()
        if find.supervisor(layout).pid is None:
            self.supervisor = Supervisor(layout)  # a Python: it starts beside what follows
        self.config = yield from self._find_programs()
        # Before anything is stopped: moved to a taken port, it goes on where it is.
        wanted = {self.spec.port, self.spec.pool_port}
        ports.require_free(self.spec, *sorted(wanted - find.held_ports(layout)))
        if not layout.initialised.exists():
            self.fresh = True
            # Making them is mostly an import, copying is mostly the disk's: together they take
            # no longer than the copy alone.
            with meanwhile(self._certify) as certifying:
                self.new = yield from data.make(self.config, self.owner)
                self.config = replace(self.config, certificates=(yield from certifying))
            yield from self._supervise()
            return
        certified = yield from beside(self._certify)
        self.config = replace(self.config, certificates=certified)
        if not servers.are_as_wanted(self.config, self.owner):
            yield from self._supervise()
            yield from beside(lambda: servers.stop_what_differs(self.config))

    def _require_data(self) -> None:
        """Raise DataGone where it was ready once, and its data is not there, or not whole."""
        layout = self.layout
        if not find.has_data(layout):
            raise data_gone(self.spec, str(layout.data))
        if not layout.initialised.exists():
            raise DataGone(
                f"The data of '{layout.name}' in {layout.data} is not whole, or was put back.",
                f"Where it is whole: touch {layout.initialised}; else: "
                f"devdb up -n {layout.name} --anew",
                "Delete what is there, and make a new, empty one in its place?",
            )

    def _supervise(self) -> Beats[None]:
        """Have a supervisor that knows this configuration take the place of any other."""
        self.takes_over = True
        self.supervisor = self.supervisor or Supervisor(self.layout)
        with supervision.held_pipes(self.layout):
            yield from beside(lambda: stop.end_supervisor(self.layout))
            yield from self.supervisor.take(supervision.told(self.config, self.owner))

    def _find_programs(self) -> Beats[Config]:
        """What would be started, its certificates not yet looked at."""
        found = binaries.postgres(self.spec.major, data=find.data_major(self.layout))
        postgres = yield from copies.postgres(found, self.owner)
        with meanwhile(lambda: binaries.has_tls(postgres)) as asking:
            pooler = yield from copies.pooler(binaries.pooler(), self.owner)
            running = find.pooler(self.layout).pid
            files = processes.file_limit(running, processes.MANY_FILES)
            return Config(self.spec, self.layout, postgres, pooler, (yield from asking), files)

    def _certify(self) -> Certificates | None:
        if self.config.wants_certificates:
            return certificates.ensure(self.spec.name)
        certificates.remove(self.spec.name)  # a build with TLS ran here before
        return None

    def _write_out(self) -> None:
        if self.new is not None:
            data.write_out(self.new, self.config)

    def _clear_away(self) -> Beats[None]:
        """End and remove what a killed start or a killed server left."""
        layout = self.layout
        if not layout.root.is_dir():
            # Servers may have outlived their directory, when that was removed under them.
            if any(ports.is_taken(port) for port in (self.spec.port, self.spec.pool_port)):
                yield from beside(lambda: stop.end_leftovers(layout, patience=0))
            return
        if not (layout.initialised.exists() and find.has_data(layout)):
            yield from beside(lambda: stop.destroy(layout))
        elif layout.starting.exists():
            yield from beside(lambda: stop.stop(layout))
        elif find.postmaster(layout).stale:
            # Backends of a killed postmaster notice soon; until then the data is not free.
            yield from beside(lambda: stop.end_backends(layout))

    def start_postgres(self) -> Beats[None]:
        """Start Postgres if it does not run, and wait until it lets clients in."""
        launch = self._ensure("postgres", find.postmaster(self.layout), servers.start_postgres)
        patience = Patience(self.spec, launch, self.layout)
        while not find.postmaster(self.layout).ready:
            self._require_alive()
            yield from patience.wait()

    def start_pooler(self) -> Beats[None]:
        """Start PgBouncer if it does not run; the first login need not wait for it."""
        self._ensure("pgbouncer", find.pooler(self.layout), servers.start_pooler)
        yield

    def _ensure(
        self, part: str, seen: Seen, start_it: Callable[[Config, Owner, Supervisor], Launch]
    ) -> Launch:
        if seen.pid is not None:
            launch = servers.already(self.layout, part, seen.pid)
            if self.supervisor is not None:
                self.supervisor.adopt(part, seen.pid)
        elif self.supervisor is not None:
            self.layout.starting.touch()
            launch = start_it(self.config, self.owner, self.supervisor)
            self.started.append(launch)
        else:
            raise _Vanished
        self.watch.append(launch)
        return launch

    def wait_for_logins(self) -> Beats[None]:
        """Wait until both URLs work."""
        deadline = time.monotonic() + PATIENCE
        for _ in beside(self._log_in, abandon=self.cancelled.set):
            self._require_alive()
            for launch in self.started:
                if failure.lost_its_port(self.layout, launch.part, launch.begin):
                    raise failure.of_server(self.spec, self.layout, launch.part, launch.begin)
            if time.monotonic() > deadline:
                late = self.watch[-1]
                raise failure.timed_out(self.spec, self.layout, late.part, PATIENCE, late.begin)
            yield

    def _log_in(self) -> None:
        login = Login(
            self.spec,
            first_password=self.new.template.password if self.new else None,
            looks_up_everywhere=self.config.looks_up_everywhere,
        )
        ran = all(launch.part != "pgbouncer" for launch in self.started)
        done = login.until_set_up(self.cancelled)
        if done is not None:
            done = login.until_ready(done, self.cancelled, pooler_ran=ran)
        self.notes = done.notes if done else ()

    def _require_alive(self) -> None:
        """Raise StartFailed (or PortInUse) when a server has ended."""
        for launch in self.watch:
            if not processes.is_running(launch.pid):
                if launch not in self.started:
                    raise _Vanished
                if self.supervisor is not None:
                    self.supervisor.flush()
                raise failure.of_server(self.spec, self.layout, launch.part, launch.begin)

    def finish(self) -> None:
        """Everything works: make it last."""
        if self.new is not None:
            data.keep(self.new, self.config, self.owner)
        if self.supervisor is not None:
            stop.stop_reaper(self.layout)
            parts = [launch.part for launch in self.watch]
            if self.spec.reaper is not None:
                launch = servers.start_reaper(self.config, self.owner, self.supervisor)
                self.started.append(launch)
                parts.append(launch.part)
            self.supervisor.guard(parts)
        self.ready = True


def _told(step: Step, detail: str, beats: Beats[None]) -> Iterator[Progress]:
    """The step at its beginning and at each beat of its work."""
    yield Progress(step=step, detail=detail)
    for _ in beats:
        yield Progress(step=step, detail=detail)
