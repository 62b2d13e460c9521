"""What the dashboard's threads tell its widgets."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message

from devdb.engines.vitals import Health
from devdb.errors import DevdbError
from devdb.model import LogLine, Progress
from devdb.temporary import TemporaryDatabase
from devdb.workspace.instances import Instance
from devdb.workspace.up import Ready


class Stopping(Message):
    """A restart stops what runs."""


@dataclass
class Stepped(Message):
    """The start has got this far."""

    progress: Progress


@dataclass
class Started(Message):
    """The instance is ready."""

    ready: Ready


@dataclass
class Failed(Message):
    """What was begun ended in an error."""

    error: DevdbError


@dataclass
class Cancelled(Message):
    """The start was cancelled and what it had made is undone, or it was too late for that."""

    words: str
    """How the instance is now."""


@dataclass
class Looked(Message):
    """How the instance is at this moment."""

    instance: Instance
    health: Health | None
    """None: nobody was asked, because not both servers run."""
    last_words: tuple[LogLine, ...] = ()
    """The last log lines of the servers that are down."""
    temporaries: tuple[TemporaryDatabase, ...] | None = None
    """None: they cannot be asked for."""


@dataclass
class Done(Message):
    """What a key asked for was done; the gist first."""

    lines: tuple[str, ...]


@dataclass
class NotDone(Message):
    """What a key asked for could not be done."""

    error: DevdbError


@dataclass
class ClientChosen(Message):
    """From now on the URLs are spelled for this client."""

    name: str


class Stopped(Message):
    """The instance was stopped."""


@dataclass
class Copied(Message):
    """An attempt to copy is over."""

    text: str
    tool: str | None
    """The tool that confirmed it; None: there is none, or none did."""


class Logged(Message):
    """Log lines have come and wait to be taken."""
