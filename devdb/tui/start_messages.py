"""A start, as the messages that tell of it; iterated by a thread, knows no widget."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from pathlib import Path

from textual.message import Message

from devdb.config import Settings
from devdb.errors import DevdbError
from devdb.model import Spec
from devdb.tui.messages import Cancelled, Failed, Started, Stepped, Stopping
from devdb.workspace import cancelling, down, up
from devdb.workspace.up import Ready


def start(
    settings: Settings,
    project: Path,
    name: str,
    cancelled: threading.Event,
    consent: Collection[str] = (),
    *,
    restart: Spec | None = None,
) -> Iterator[Message]:
    """Bring the instance up, stopping that of `restart` first.

    The last message is Started, Failed or Cancelled. `cancelled` is looked at with each step,
    `consent` is as in `up.up`.
    """
    try:
        if restart is not None:
            yield Stopping()
            down.down(restart)
        yield from _up(settings, project, name, cancelled, consent)
    except DevdbError as error:
        yield Failed(error)


def _up(
    settings: Settings,
    project: Path,
    name: str,
    cancelled: threading.Event,
    consent: Collection[str],
) -> Iterator[Message]:
    stream = up.up(settings, project, name, consent=consent)
    try:
        for item in cancelling.cancellable(stream, cancelled.is_set):
            if not isinstance(item, Ready):
                yield Stepped(item)
            elif cancelled.is_set():
                yield Cancelled(f"'{name}' runs on, as it did. devdb down {name} stops it.")
            else:
                yield Started(item)
    except KeyboardInterrupt:
        yield Cancelled(f"Cancelled the start of {cancelling.standing(name)}.")
