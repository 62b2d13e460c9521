"""What the servers wrote, of all containers of an instance's pod, in the order in which it came."""

from __future__ import annotations

import queue
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import IO

from devdb.engines.kubernetes import find
from devdb.engines.kubernetes.find import Found
from devdb.engines.kubernetes.kubectl import Kubectl
from devdb.model import LogLine

_HEARTBEAT = 0.25
_AHEAD = 10_000
"""Lines that are read before somebody takes them; the cluster keeps the others meanwhile."""
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+)Z ")
"""In nanoseconds."""
_PIECE = 16 << 10
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
            if arrival := _stamped(self._part, line.rstrip(b"\r\n")):
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


def texts(printed: str) -> list[str]:
    """The lines that a container wrote, of those that were printed with time stamps."""
    lines = (_stamped("", line.encode()) for line in printed.split("\n"))
    return [line.text for line in lines if line is not None]


def _stamped(part: str, line: bytes) -> LogLine | None:
    """The line without its time stamp; None for what a node says of its own, such as that a log
    is gone.

    A line of more than 16 KiB is kept in pieces, each of which is printed with a time stamp.
    """
    found = _STAMP.match(line)
    if found is None:
        return None
    moment = datetime.fromisoformat(f"{found[1].decode()[:26]}+00:00")
    pieces = []
    while found is not None:
        pieces.append(line[found.end() :][:_PIECE])
        line = line[found.end() + _PIECE :]
        found = _STAMP.match(line)
    return LogLine(
        part=part, text=(b"".join(pieces) + line).decode(errors="replace"), moment=moment
    )
