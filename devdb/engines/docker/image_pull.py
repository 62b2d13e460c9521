"""Getting an image: the engine's stream of events, layer by layer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from devdb.engines.docker.client import explanation
from devdb.engines.docker.image import NO_IMAGE_HINT
from devdb.engines.waiting import HEARTBEAT
from devdb.errors import EngineUnavailable
from devdb.model import Progress, Step

if TYPE_CHECKING:
    from docker import APIClient

Event = dict[str, Any]


def pull(client: APIClient, reference: str) -> Generator[Progress, None, None]:
    """Get the image; closing the iterator cancels.

    Raises EngineUnavailable when it cannot be had.
    """
    events: queue.Queue[Event | Exception | None] = queue.Queue()
    given_up = threading.Event()
    reader = threading.Thread(target=_read, args=(client, reference, events, given_up), daemon=True)
    reader.start()
    progress = Progress(step=Step.PULL, detail=f"getting {reference}")
    yield progress
    try:
        while True:
            try:
                event = events.get(timeout=HEARTBEAT)
            except queue.Empty:
                yield progress
                continue
            if event is None:
                return
            _raise_if_failed(reference, event)
            progress = _progress(reference, event, progress)
            yield progress
    finally:
        given_up.set()


def _read(
    client: APIClient,
    reference: str,
    events: queue.Queue[Event | Exception | None],
    given_up: threading.Event,
) -> None:
    import requests
    from docker.errors import DockerException

    try:
        stream = client.pull(reference, stream=True, decode=True)
        for event in stream:
            if given_up.is_set():
                stream.close()  # the engine stops when nobody listens
                return
            events.put(event)
        events.put(None)
    except (DockerException, requests.RequestException, OSError) as error:
        events.put(error)


def _progress(reference: str, event: Event | Exception, last: Progress) -> Progress:
    assert isinstance(event, dict)
    sizes = event.get("progressDetail") or {}
    layer = event.get("id")
    if layer is None or "total" not in sizes:
        return last
    status = str(event.get("status", "")).lower()
    return Progress(
        step=Step.PULL,
        detail=f"getting {reference}: {status}",
        layer=layer,
        done=sizes.get("current", 0),
        total=sizes["total"],
    )


def _raise_if_failed(reference: str, event: Event | Exception) -> None:
    if isinstance(event, Exception):
        said = explanation(event)
    elif "error" in event:  # the stream does not raise: the HTTP status was 200 long ago
        said = " ".join(str(event["error"]).split()).rstrip(".")
    else:
        return
    raise EngineUnavailable(
        f"The engine has no image {reference} and cannot pull it: {said}.",
        NO_IMAGE_HINT,
    )
