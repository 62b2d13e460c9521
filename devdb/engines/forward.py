"""The forwarder: the platform's own command that brings the ports of an instance to 127.0.0.1 here.

An instance that runs elsewhere has one. It is a shell in a session of its own that starts the
command again when that ends, for as long as its pid file names it. What it is and does stands in
its command line: nothing else remembers it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event

from devdb import marker, paths, processes
from devdb.engines import ports
from devdb.errors import DevdbError, StartFailed, TimedOut
from devdb.model import Part, PartState, Spec
from devdb.replacing import in_place_of

PART = "forwarder"
"""What it is called among the parts of an instance."""
PATIENCE, MENDING = 60.0, 5.0
"""Seconds that it may take in a start, and beside other work."""
_ENDED = "devdb: ended"
_LOOP = f"""\
pid=$1 log=$2 over=$3; shift 4
echo $$ > "$pid"
pause=1
while {{ read -r owner < "$pid"; }} 2> /dev/null && [ "$owner" = $$ ]; do
    began=$(date +%s)
    {{ "$@" 2>&1 > /dev/null; }} | dd bs=4096 count=200 of="$log" 2> /dev/null
    if [ -n "$over" ] && grep -qF -e "$over" "$log"; then rm -f "$pid"; exit; fi
    if [ $(($(date +%s) - began)) -ge 10 ]; then pause=1; fi
    echo "{_ENDED}" >> "$log"
    sleep $pause
    if [ $pause -lt 8 ]; then pause=$((pause * 2)); fi
done
"""
"""Its log has what the last try said, and no more than 200 lines of that: a client that comes again
and again would fill a disk. Who says more gets a broken pipe."""
_FIRST = ["/bin/sh", "-c", _LOOP, f"devdb-{PART}"]
_SIGNALS = ((signal.SIGTERM, 2.0), (signal.SIGKILL, 2.0))
_POLL = 0.02


@dataclass(frozen=True, slots=True)
class Forwarder:
    """That of an instance, by its name; it may run or not."""

    name: str

    def bring(
        self,
        spec: Spec,
        command: Sequence[str],
        *,
        over: str = "",
        given_up: Event,
        patience: float = PATIENCE,
    ) -> None:
        """Have the command run, and run again; returns when it listens at both ports.

        One that does so already, by the same command, is left alone. `over`: what the command says
        when there is nothing to bring any more, so that it need not be tried again. `patience` is
        in seconds; a command that takes longer goes on trying.

        Raises PortInUse where a port here is somebody else's, StartFailed with the command's own
        words where it ends, TimedOut where it neither ends nor listens, and DevdbError where
        nothing can be written.
        """
        wanted = self._argv((spec.port, spec.pool_port), command, over)
        there = self._running()
        if there is not None and there[1] == wanted and self._listens(*there):
            return
        self.end()
        ports.require_free(spec, spec.port, spec.pool_port)
        try:
            marker.make_private_directory(self._directory)
            self._log.unlink(missing_ok=True)
            # All of the environment: a key agent, a proxy or a cloud's profile may be in it.
            pid = processes.spawn(
                wanted, cwd=self._directory, log=Path(os.devnull), env=dict(os.environ)
            )
            # It does so itself, but later: who ends it at this moment has to find it. Whole: it
            # goes on only where it reads its own number.
            with in_place_of(self._pid_file) as (file, _):
                file.write(b"%d\n" % pid)
        except OSError as error:
            raise DevdbError(
                f"Cannot start the forwarder in {self._directory}: {error.strerror or error}.",
                paths.way_out(error, self._directory),
            ) from error
        deadline = time.monotonic() + patience
        while not self._listens(pid, wanted) and not given_up.is_set():
            said, has_ended = self._said()
            if time.monotonic() > deadline:
                raise TimedOut(
                    f"The ports of '{self.name}' are not here after {patience:g} s: "
                    f"{said or 'no word yet'}.",
                    f"`{command[0]}` goes on trying; devdb status -n {self.name}",
                )
            if has_ended or not processes.is_running(pid):
                self.end()
                ports.require_free(spec, spec.port, spec.pool_port)
                raise StartFailed(
                    f"The ports of '{self.name}' cannot be brought here: {said}.",
                    f"`{command[0]}` said that; devdb doctor",
                )
            time.sleep(_POLL)

    def mend(self, bring: Callable[[Spec], None]) -> None:
        """Have it brought back, unless it runs, or another devdb is at it.

        One that does not get through goes on trying by itself.
        """
        if self.is_running():
            return
        with suppress(TimedOut), marker.locked(self.name, timeout=0):
            spec = marker.load(self.name)
            if spec is not None:
                bring(spec)

    def require_free(self, spec: Spec) -> None:
        """Raise PortInUse where a port here is neither free nor its own."""
        there = self._running()
        for port in (spec.port, spec.pool_port):
            if there is None or port not in _listened_at(there[0]):
                ports.require_free(spec, port)

    def part(self) -> Part:
        """How it is, as a part of an instance that runs."""
        there = self._running()
        if there is None:
            detail = "not running; `devdb up` brings it back"
            return Part(name=PART, state=PartState.DEAD, detail=detail)
        pid = there[0]
        if self._listens(*there):
            return Part(name=PART, state=PartState.RUNNING, detail=f"pid {pid}")
        said, _ = self._said()
        tries = f"pid {pid}, trying again" + (f": {said}" if said else "")
        return Part(name=PART, state=PartState.DEAD, detail=tries)

    def is_running(self) -> bool:
        """Whether it is there, whether or not it gets through."""
        return self._running() is not None

    def end(self) -> None:
        """End it, so that the ports are free; no error where there is none. Raises DevdbError."""
        is_one = partial(self._is_one, leader=processes.read_pid(self._pid_file))
        while there := self._all(is_one):  # again: what was being started is not among the first
            if left := processes.end(there, _SIGNALS, is_there=is_one):
                raise DevdbError(
                    f"The forwarder of '{self.name}' does not end.",
                    f"kill -9 {' '.join(map(str, left))}",
                )
        for file in (self._pid_file, self._log):
            file.unlink(missing_ok=True)
        with suppress(OSError):  # it has a marker, or an engine's data, in it
            self._directory.rmdir()

    @property
    def _directory(self) -> Path:
        return paths.instance_dir(self.name)

    @property
    def _pid_file(self) -> Path:
        return self._directory / f"{PART}.pid"

    @property
    def _log(self) -> Path:
        return self._directory / f"{PART}.log"

    def _argv(self, numbers: tuple[int, ...], command: Sequence[str], over: str) -> list[str]:
        its = ",".join(map(str, numbers))
        return [*_FIRST, str(self._pid_file), str(self._log), over, its, *command]

    def _running(self) -> tuple[int, list[str]] | None:
        """Its pid and its command line; None where it does not run."""
        pid = processes.read_pid(self._pid_file)
        argv = processes.words(pid) if pid is not None else []
        is_it = argv[1:5] == [*_FIRST[1:], str(self._pid_file)]
        return (pid, argv) if pid is not None and is_it else None

    def _all(self, is_one: Callable[[int], bool]) -> list[int]:
        """The pids of all that it started and of itself; it may have been killed by now."""
        import psutil

        return [*filter(is_one, psutil.pids())] if self._pid_file.exists() else []

    def _is_one(self, pid: int, leader: int | None) -> bool:
        try:
            is_in = os.getsid(pid) == leader
        except OSError:
            return False
        return is_in and processes.working_directory(pid) == str(self._directory.resolve())

    def _listens(self, pid: int, argv: Sequence[str]) -> bool:
        """Whether all of its ports are listened at, by a process that it started."""
        return {int(port) for port in argv[7].split(",")} <= _listened_at(pid)

    def _said(self) -> tuple[str, bool]:
        """What the last try said, on one line, and whether it has ended."""
        try:
            lines = self._log.read_text(errors="replace").splitlines()
        except OSError:
            return "", False
        said = [line.strip().rstrip(".") for line in lines if line.strip() and line != _ENDED]
        return "; ".join(said[-3:]), _ENDED in lines


def _listened_at(leader: int) -> set[int]:
    """The ports that the processes of that group listen at.

    Theirs alone are looked at: to find the owner of a port takes all that every process has open.
    """
    import psutil

    found: set[int] = set()
    for pid in psutil.pids():
        with suppress(OSError, psutil.Error):
            if os.getpgid(pid) == leader:
                connections = psutil.Process(pid).net_connections("tcp")
                found.update(c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN)
    return found
