"""What the servers wrote, of all containers of an instance, in the order in which it came."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from devdb.engines.docker.find import Found
from devdb.engines.stamped import log_line
from devdb.engines.waiting import begin
from devdb.model import LogLine

if TYPE_CHECKING:
    from docker import APIClient
    from docker.types.daemon import CancellableStream

Arrival = LogLine | Exception | None
"""A line, why there are no more of a container, or that they have ended."""
_HEARTBEAT = 0.25
_AHEAD = 10_000
"""Lines that are read before somebody takes them; the engine keeps the others meanwhile."""


def written(client: APIClient, found: Found, *, tail: int) -> Iterator[LogLine]:
    """The last `tail` lines of each server, by the engine's time stamps."""

    def read(container: str) -> bytes:
        return client.logs(container, tail=tail, timestamps=True)

    reading = {
        part: begin(partial(read, container["Id"])) for part, container in found.containers.items()
    }
    lines = [
        log_line(part, line)
        for part, text in reading.items()
        # Not splitlines(): whoever may write to a log may write U+2028 to it.
        for line in text.result().split(b"\n")
        if line
    ]
    yield from sorted(lines, key=lambda line: line.moment or _UNKNOWN)


_UNKNOWN = datetime.min.replace(tzinfo=UTC)


def followed(client: APIClient, found: Found, *, tail: int) -> Iterator[LogLine | None]:
    """The last `tail` lines, then what comes, until all servers have ended or it is closed.

    None now and then while nothing comes. The client is one that gives up waiting soon; it is
    closed in the end.
    """
    arrivals: queue.Queue[Arrival] = queue.Queue(_AHEAD)
    ask = partial(client.logs, stream=True, follow=True, tail=tail, timestamps=True)
    streams = [
        _ContainerLog(part, partial(ask, container["Id"]))
        for part, container in found.containers.items()
    ]
    for stream in streams:
        threading.Thread(target=stream.read, args=(arrivals,), daemon=True).start()
    open_streams = len(streams)
    try:
        while open_streams:
            try:
                arrival = arrivals.get(timeout=_HEARTBEAT)
            except queue.Empty:
                yield None
                continue
            if isinstance(arrival, LogLine):
                yield arrival
            elif arrival is None:
                open_streams -= 1
            else:
                raise arrival
    finally:
        for stream in streams:
            stream.close()
        client.close()


class _ContainerLog:
    """What one container writes, read in a thread of its own."""

    def __init__(self, part: str, ask: Callable[[], CancellableStream[bytes]]) -> None:
        self._part = part
        self._ask = ask
        self._answer: CancellableStream[bytes] | None = None
        self._is_closed = False

    def read(self, arrivals: queue.Queue[Arrival]) -> None:
        """Put its lines there until it ends, or why it cannot be read."""
        from docker.errors import NotFound

        rest = b""
        end: Exception | None = None
        try:
            for chunk in self._opened():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._put(arrivals, log_line(self._part, line))
        except NotFound:
            pass  # removed meanwhile: there is no more to come
        except Exception as error:  # noqa: BLE001 - raised where the lines are read
            end = error
        if rest:
            self._put(arrivals, log_line(self._part, rest))
        self._put(arrivals, end)

    def _put(self, arrivals: queue.Queue[Arrival], arrival: Arrival) -> None:
        """Wait for room, as long as there is somebody who makes it."""
        while not self._is_closed:
            with suppress(queue.Full):
                arrivals.put(arrival, timeout=_HEARTBEAT)
                break

    def _opened(self) -> Iterable[bytes]:
        import requests

        # Podman does not begin to answer before there is a line.
        while not self._is_closed:
            with suppress(requests.ReadTimeout):
                self._answer = self._ask()
                break
        return self._answer if self._answer and not self._is_closed else ()

    def close(self) -> None:
        """End the reading."""
        self._is_closed = True
        if self._answer is not None:
            self._answer.close()
