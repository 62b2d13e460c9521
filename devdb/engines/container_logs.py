"""What containers write, as engines print it with time stamps: read line by line, and followed."""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from devdb.engines.waiting import begin
from devdb.model import LogLine

_STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d) ")
_PIECE = 16384
"""Bytes of a line that engines keep as one; each piece of a longer line has a stamp."""
_HEARTBEAT = 0.25
_AHEAD = 10_000
"""Lines that are read before somebody takes them; the engine keeps the others meanwhile."""
_UNKNOWN = datetime.min.replace(tzinfo=UTC)


class Container(Protocol):
    """One whose log is read."""

    part: str

    def chunks(self) -> Iterable[bytes]:
        """What it writes, with time stamps, until it ends or this is closed."""

    def close(self) -> None:
        """End the reading; called by another thread."""


def log_line(part: str, line: bytes) -> LogLine:
    """The line without its time stamps: one at its head, one before each further piece."""
    moment = None
    pieces = []
    while found := _STAMP.match(line):
        if moment is None:
            moment = datetime.fromisoformat(found[0].decode().strip())
        rest = line[found.end() :]
        pieces.append(rest[:_PIECE])
        line = rest[_PIECE:]
    text = b"".join([*pieces, line]).decode(errors="replace")
    return LogLine(part=part, text=text.rstrip("\r"), moment=moment)


def lines_in(part: str, chunks: Iterable[bytes]) -> Iterator[LogLine]:
    """The lines of one container's log.

    Not by splitlines(): whoever may write to a log may write U+2028 to it.
    """
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (log_line(part, line) for line in lines)
    if rest:
        yield log_line(part, rest)


def in_order(lines: Iterable[LogLine]) -> list[LogLine]:
    """The lines of several, by their time stamps."""
    return sorted(lines, key=lambda line: line.moment or _UNKNOWN)


def follow(containers: Sequence[Container]) -> Generator[LogLine | None, None, None]:
    """Their lines as they come, until all have ended or it is closed; then it closes them.

    None now and then while nothing comes. Raises what kept one from being read.
    """
    arrivals: queue.Queue[LogLine | Exception | None] = queue.Queue(_AHEAD)
    closed = threading.Event()
    for container in containers:
        begin(partial(_read, container, arrivals, closed))
    left = len(containers)
    try:
        while left:
            try:
                arrival = arrivals.get(timeout=_HEARTBEAT)
            except queue.Empty:
                yield None
                continue
            if isinstance(arrival, LogLine):
                yield arrival
            elif arrival is None:
                left -= 1
            else:
                raise arrival
    finally:
        closed.set()
        for container in containers:
            container.close()


def _read(
    container: Container,
    arrivals: queue.Queue[LogLine | Exception | None],
    closed: threading.Event,
) -> None:
    """Put its lines there, then why there are no more of them; None: it has ended."""

    def put(arrival: LogLine | Exception | None) -> None:
        """Wait for room, as long as there is somebody who makes it."""
        while not closed.is_set():
            with suppress(queue.Full):
                arrivals.put(arrival, timeout=_HEARTBEAT)
                break

    try:
        for line in lines_in(container.part, container.chunks()):
            put(line)
        put(None)
    except Exception as error:  # noqa: BLE001 - raised where the lines are read
        put(error)
