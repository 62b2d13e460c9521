"""The forwarder: the platform's own command that brings the ports of an instance to 127.0.0.1 here.

An instance that runs elsewhere has one. It is a shell in a session of its own that starts the
command again when that ends, for as long as its pid file names it. What it is and does stands in
its command line: nothing else remembers it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from devdb import listeners, marker, paths, processes
from devdb.engines import ports
from devdb.errors import DevdbError, StartFailed
from devdb.model import Part, PartState, Spec

PART = "forwarder"
"""What it is called among the parts of an instance."""
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

    def bring(self, spec: Spec, command: Sequence[str], *, over: str = "", given_up: Event) -> None:
        """Have the command run, and run again; returns when it listens at both ports.

        One that does so already, by the same command, is left alone. `over`: what the command says
        when there is nothing to bring any more, so that it need not be tried again.

        Raises PortInUse where a port here is somebody else's, StartFailed with the command's own
        words where it ends, and DevdbError where nothing can be written.
        """
        wanted = self._argv((spec.port, spec.pool_port), command, over)
        if self._argv_of_running() == wanted and self._listens():
            return
        self.end()
        ports.require_free(spec, spec.port, spec.pool_port)
        try:
            marker.make_private_directory(self._pid_file.parent)
            self._log.unlink(missing_ok=True)
            # All of the environment: a key agent, a proxy or a cloud's profile may be in it.
            pid = processes.spawn(wanted, cwd=Path("/"), log=Path(os.devnull), env=dict(os.environ))
        except OSError as error:
            directory = self._pid_file.parent
            raise DevdbError(
                f"Cannot start the forwarder of '{self.name}' in {directory}: {error.strerror}.",
                paths.way_out(error, directory),
            ) from error
        while not self._listens() and not given_up.is_set():
            said, has_ended = self._said()
            if has_ended or not processes.is_running(pid):
                self.end()
                ports.require_free(spec, spec.port, spec.pool_port)
                raise StartFailed(
                    f"The ports of '{self.name}' cannot be brought here: {said}.",
                    f"`{command[0]}` said that; devdb doctor",
                )
            time.sleep(_POLL)

    def part(self) -> Part:
        """How it is, as a part of an instance that runs."""
        pid = self._running()
        if pid is None:
            detail = "not running; `devdb up` brings it back"
            return Part(name=PART, state=PartState.DEAD, detail=detail)
        if self._listens():
            return Part(name=PART, state=PartState.RUNNING, detail=f"pid {pid}")
        said, _ = self._said()
        tries = f"pid {pid}, trying again" + (f": {said}" if said else "")
        return Part(name=PART, state=PartState.DEAD, detail=tries)

    def is_running(self) -> bool:
        """Whether it is there, whether or not it gets through."""
        return self._running() is not None

    def end(self) -> None:
        """End it, so that the ports are free; no error where there is none. Raises DevdbError."""
        pid = self._running()
        if pid is not None and processes.end([pid], _SIGNALS, is_there=self._is_it, group=True):
            raise DevdbError(
                f"The forwarder of '{self.name}' (pid {pid}) does not end.", f"kill -9 -- -{pid}"
            )
        for file in (self._pid_file, self._log):
            file.unlink(missing_ok=True)
        with suppress(OSError):  # it has a marker, or an engine's data, in it
            self._pid_file.parent.rmdir()

    @property
    def _pid_file(self) -> Path:
        return paths.instance_dir(self.name) / f"{PART}.pid"

    @property
    def _log(self) -> Path:
        return paths.instance_dir(self.name) / f"{PART}.log"

    def _argv(self, numbers: tuple[int, ...], command: Sequence[str], over: str) -> list[str]:
        its = ",".join(map(str, numbers))
        return [*_FIRST, str(self._pid_file), str(self._log), over, its, *command]

    def _is_it(self, pid: int) -> bool:
        return processes.words(pid)[1:5] == [*_FIRST[1:], str(self._pid_file)]

    def _running(self) -> int | None:
        pid = processes.read_pid(self._pid_file)
        return pid if pid is not None and self._is_it(pid) else None

    def _argv_of_running(self) -> list[str]:
        pid = self._running()
        return processes.words(pid) if pid is not None else []

    def _listens(self) -> bool:
        """Whether all of its ports are listened at, by a process that it started."""
        argv, pid = self._argv_of_running(), self._running()
        numbers = [int(each) for each in argv[7].split(",")] if pid is not None else []
        return bool(numbers) and all(self._is_its(listeners.pid(port), pid) for port in numbers)

    def _is_its(self, listener: int | None, pid: int | None) -> bool:
        try:
            return listener is not None and os.getpgid(listener) == pid
        except ProcessLookupError:
            return False

    def _said(self) -> tuple[str, bool]:
        """What the last try said, on one line, and whether it has ended."""
        try:
            lines = self._log.read_text(errors="replace").splitlines()
        except OSError:
            return "", False
        said = [line.strip().rstrip(".") for line in lines if line.strip() and line != _ENDED]
        return "; ".join(said[-3:]), _ENDED in lines
