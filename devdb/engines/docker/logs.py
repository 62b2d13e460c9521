"""What the servers wrote, of all containers of an instance, in the order in which it came."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from devdb.engines.docker.background import begin
from devdb.engines.docker.survey import Found
from devdb.model import LogLine

if TYPE_CHECKING:
    from docker import APIClient

_END = object()
_HEARTBEAT = 0.25


def written(client: APIClient, found: Found, *, tail: int) -> Iterator[LogLine]:
    """The last `tail` lines of each server, by the engine's time stamps."""

    def read(container: str) -> bytes:
        return client.logs(container, tail=tail, timestamps=True)

    reading = {
        part: begin(partial(read, container["Id"])) for part, container in found.containers.items()
    }
    lines = [
        (*line.split(" ", 1), part)
        for part, text in reading.items()
        for line in text.result().decode(errors="replace").splitlines()
        if " " in line
    ]
    for _, text, part in sorted(lines, key=lambda line: line[0]):
        yield LogLine(part=part, text=text)


def followed(client: APIClient, found: Found, *, tail: int) -> Iterator[LogLine | None]:
    """The last `tail` lines, then what comes, until all servers have ended or it is closed.

    None now and then while nothing comes.
    """
    arrivals: queue.Queue[LogLine | object] = queue.Queue()
    streams = {
        part: client.logs(container["Id"], stream=True, follow=True, tail=tail)
        for part, container in found.containers.items()
    }
    for part, stream in streams.items():
        threading.Thread(target=_read, args=(part, stream, arrivals), daemon=True).start()
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
            else:
                open_streams -= 1
    finally:
        for stream in streams.values():
            stream.close()


def _read(part: str, stream: Iterator[bytes], arrivals: queue.Queue[LogLine | object]) -> None:
    rest = b""
    try:
        for chunk in stream:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                arrivals.put(LogLine(part=part, text=_text(line)))
    finally:
        if rest:
            arrivals.put(LogLine(part=part, text=_text(rest)))
        arrivals.put(_END)


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r")
