"""What the servers wrote, of all containers of an instance's pod, in the order in which it came."""

from __future__ import annotations

import queue
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import IO

from devdb.engines.kubernetes import find
from devdb.engines.kubernetes.find import Found
from devdb.engines.kubernetes.kubectl import Kubectl
from devdb.engines.stamped import log_line
from devdb.model import LogLine

_HEARTBEAT = 0.25
_AHEAD = 10_000
"""Lines that are read before somebody takes them; the cluster keeps the others meanwhile."""
_UNKNOWN = datetime.min.replace(tzinfo=UTC)


def read(kubectl: Kubectl, found: Found, *, tail: int, follow: bool) -> Iterator[LogLine | None]:
    """The last `tail` lines of each server, by the cluster's time stamps, then what comes.

    None now and then while nothing comes. Of a pod that is gone the cluster keeps no lines.
    """
    if found.pod is None:
        return
    words = ["logs", found.pod["metadata"]["name"], "--timestamps", f"--tail={tail}"]
    words += ["--follow"] if follow else []
    arrivals: queue.Queue[LogLine | None] = queue.Queue(_AHEAD)
    streams = [
        _Stream(kubectl.argv(*words, "-c", part), part, arrivals)
        for part, status in find.statuses(found.pod).items()
        if "waiting" not in status["state"]
    ]
    try:
        lines = _arriving(arrivals, len(streams))
        if follow:
            yield from lines
        else:
            known = [line for line in lines if line is not None]
            yield from sorted(known, key=lambda line: line.moment or _UNKNOWN)
    finally:
        for stream in streams:
            stream.close()


def _arriving(arrivals: queue.Queue[LogLine | None], streams: int) -> Iterator[LogLine | None]:
    while streams:
        try:
            arrival = arrivals.get(timeout=_HEARTBEAT)
        except queue.Empty:
            yield None
            continue
        if arrival is None:
            streams -= 1
        else:
            yield arrival


class _Stream:
    """What one container writes, read in a thread of its own; None where it has ended."""

    def __init__(
        self, command: list[str], part: str, arrivals: queue.Queue[LogLine | None]
    ) -> None:
        self._part = part
        self._arrivals = arrivals
        self._is_closed = False
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        self._reader = threading.Thread(
            target=self._read, args=(self._process.stdout,), daemon=True
        )
        self._reader.start()

    def _read(self, stdout: IO[bytes]) -> None:
        # Not by universal newlines: whoever may write to a log may write others to it.
        for line in stdout:
            arrival = log_line(self._part, line.removesuffix(b"\n"))
            if arrival.moment is not None:  # else a node's own word: that a log is gone, say
                self._put(arrival)
        self._put(None)

    def _put(self, arrival: LogLine | None) -> None:
        """Wait for room, as long as there is somebody who makes it."""
        while not self._is_closed:
            with suppress(queue.Full):
                self._arrivals.put(arrival, timeout=_HEARTBEAT)
                break

    def close(self) -> None:
        self._is_closed = True
        self._process.kill()
        self._reader.join()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
