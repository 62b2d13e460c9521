"""What the dashboard's threads tell its widgets."""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content
from textual.message import Message

from devdb.engines.vitals import Health
from devdb.errors import DevdbError
from devdb.model import LogLine, Progress, Spec
from devdb.monitor.look import NOTHING, Look
from devdb.workspace.databases import Database
from devdb.workspace.instances import Instance
from devdb.workspace.staleness import Held
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
    look: Look = NOTHING
    """What goes on in them."""
    last_words: tuple[LogLine, ...] = ()
    """The last log lines of the servers that are down."""
    databases: tuple[Database, ...] | None = None
    """None: they cannot be asked for."""
    env: Held | None = None
    """What `.env` says of it; None: nobody has looked."""
    moved: Spec | None = None
    """The instance by its marker, where that has got other ports or another password elsewhere."""


@dataclass
class Begun(Message):
    """What a key asked for takes a while."""

    words: str


@dataclass
class Done(Message):
    """What a key asked for was done; the gist first."""

    lines: tuple[str | Content, ...]


@dataclass
class NotDone(Message):
    """What a key asked for could not be done."""

    error: DevdbError


@dataclass
class Served(Message):
    """The gateway runs, and answers there."""

    url: str


@dataclass
class ClientChosen(Message):
    """From now on the URLs are spelled for this client."""

    name: str


@dataclass
class Moved(Message):
    """The instance has other URLs than the dashboard shows: it is to be opened anew."""

    spec: Spec


@dataclass
class ShowInstances(Message):
    """All instances are to be listed, from the screen of this one."""

    name: str


class Stopped(Message):
    """The instance was stopped."""


class Logged(Message):
    """Log lines have come and wait to be taken."""
