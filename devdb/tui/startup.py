"""A start, as the messages that tell of it; iterated by a thread, knows no widget."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from pathlib import Path

from textual.message import Message

from devdb import workspace
from devdb.config import Settings
from devdb.errors import DevdbError
from devdb.model import Spec, Step
from devdb.tui.messages import Cancelled, Failed, Started, Stepped, Stopping
from devdb.workspace import Outcome, Ready


def start(
    settings: Settings,
    project: Path,
    name: str,
    cancelled: threading.Event,
    *,
    restart: Spec | None = None,
) -> Iterator[Message]:
    """Bring the instance up, stopping that of `restart` first.

    The last message is Started, Failed or Cancelled. `cancelled` is looked at with each step.
    """
    try:
        if restart is not None:
            yield Stopping()
            workspace.down(restart)
        yield from _up(settings, project, name, cancelled)
    except DevdbError as error:
        yield Failed(error)


def _up(
    settings: Settings, project: Path, name: str, cancelled: threading.Event
) -> Iterator[Message]:
    stream = workspace.up(settings, project, name)
    assert isinstance(stream, Generator)
    for item in stream:
        if isinstance(item, Ready):
            stream.close()  # lets go of the instance's lock, which whoever comes next wants
            yield from _ready(item, cancelled)
            return
        yield Stepped(item)
        # At READY the instance is whole: closing there would leave it without its marker.
        if cancelled.is_set() and item.step != Step.READY:
            stream.close()
            yield Cancelled()
            return


def _ready(ready: Ready, cancelled: threading.Event) -> Iterator[Message]:
    if not cancelled.is_set():
        yield Started(ready)
        return
    if ready.outcome != Outcome.ATTACHED:
        workspace.down(ready.instance.spec)
    yield Cancelled()
