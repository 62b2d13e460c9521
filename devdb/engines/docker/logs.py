"""What the servers wrote, of all containers of an instance, in the order in which it came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from devdb.engines.container_logs import follow, in_order, lines_in
from devdb.engines.docker.find import Found
from devdb.engines.waiting import begin
from devdb.model import LogLine

if TYPE_CHECKING:
    from docker import APIClient
    from docker.types.daemon import CancellableStream


def written(client: APIClient, found: Found, *, tail: int) -> Iterator[LogLine]:
    """The last `tail` lines of each server, by the engine's time stamps."""

    def read(container: str) -> bytes:
        return client.logs(container, tail=tail, timestamps=True)

    reading = {
        part: begin(partial(read, container["Id"])) for part, container in found.containers.items()
    }
    yield from in_order(
        line for part, text in reading.items() for line in lines_in(part, [text.result()])
    )


def followed(client: APIClient, found: Found, *, tail: int) -> Iterator[LogLine | None]:
    """The last `tail` lines, then what comes; see `container_logs.follow`.

    The client is one that gives up waiting soon; it is closed in the end.
    """
    containers = [
        _Container(client, part, container["Id"], tail)
        for part, container in found.containers.items()
    ]
    try:
        yield from follow(containers)
    finally:
        client.close()


class _Container:
    """One of the engine's, whose log is followed."""

    def __init__(self, client: APIClient, part: str, container: str, tail: int) -> None:
        self.part = part
        self._client = client
        self._id = container
        self._tail = tail
        self._answer: CancellableStream[bytes] | None = None
        self._is_closed = False

    def chunks(self) -> Iterable[bytes]:
        import requests
        from docker.errors import NotFound

        with suppress(NotFound):  # removed meanwhile: there is no more to come
            # Podman does not begin to answer before there is a line.
            while not self._is_closed and self._answer is None:
                with suppress(requests.ReadTimeout):
                    self._answer = self._client.logs(
                        self._id, stream=True, follow=True, tail=self._tail, timestamps=True
                    )
            if self._answer is not None and not self._is_closed:
                yield from self._answer

    def close(self) -> None:
        self._is_closed = True
        if self._answer is not None:
            self._answer.close()
