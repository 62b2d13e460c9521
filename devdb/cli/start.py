"""Starting an instance for whichever command needs one: narrated, and undone at a signal."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path

from devdb import urls
from devdb.cli.here import Here
from devdb.cli.signals import Noted
from devdb.config import Settings, slug
from devdb.engines.remedy import Remedy
from devdb.errors import NeedsConsent
from devdb.model import SERVERS, PartState, Spec
from devdb.output import streams
from devdb.output.narration import Narrator
from devdb.workspace import cancelling, fix, names, up
from devdb.workspace.names import Gone
from devdb.workspace.up import Outcome, Ready

_DONE = {
    Outcome.CREATED: "created",
    Outcome.STARTED: "started",
    Outcome.ATTACHED: "attached to",
}


def bring_up(here: Here, spec: Spec | None, *, quiet: bool = False) -> Spec:
    """The instance, running: that of the Spec as it is, else the project's, made if there is none.

    That one was made is said even when `quiet`: it stays, which nobody asked for in so many words.
    """
    if spec is None:
        ready = start(here.settings, here.project, resolve(here), quiet=quiet)
    else:
        ready = start(*up.as_it_is(spec, here.project), quiet=quiet)
    if quiet and ready.outcome == Outcome.CREATED:
        streams.narrate(names.made_instance(ready.instance.spec))
    return ready.instance.spec


def resolve(here: Here) -> str:
    """The name, once a project that vanished has been adopted or not."""
    try:
        name = names.resolve(here.settings.name, here.project)
        if here.settings.name is None and not names.is_own(name, here.project):
            own = slug(here.project.name)
            streams.narrate(
                f"'{name}' is the only instance of {here.project}; one beside it: devdb up -n {own}"
            )
        return name
    except Gone as gone:
        question = f"Take it over for {here.project}?"
        if streams.interactive() and streams.confirmed([gone.message], question):
            return gone.name
        raise


def start(
    settings: Settings,
    project: Path,
    name: str,
    *,
    quiet: bool = False,
    consent: Collection[str] = (),
) -> Ready:
    """Run `up` to its end, narrated on stderr; a signal cancels and undoes it.

    On a terminal it asks what `up` wants consent to. Raises KeyboardInterrupt when cancelled.
    """
    while True:
        try:
            return _start(settings, project, name, quiet=quiet, consent=consent)
        except NeedsConsent as asked:
            if not streams.interactive() or not streams.confirmed([asked.message], asked.question):
                raise
            consent = {*consent, asked.option}


def _start(
    settings: Settings, project: Path, name: str, *, quiet: bool, consent: Collection[str]
) -> Ready:
    narrator, signals = Narrator(quiet=quiet), Noted()
    ready: Ready | None = None
    try:
        run = cancelling.cancellable(up.up(settings, project, name, consent=consent), signals.came)
        with signals, closing(run):
            for item in run:
                if isinstance(item, Ready):
                    ready = item
                else:
                    narrator.take(item)
            narrator.close()
            assert ready is not None, "the last item of up is a Ready"
            if not quiet or signals.came():
                _tell(ready)
    except KeyboardInterrupt:
        narrator.close()
        cut = "; its undoing was cut short" if signals.insisted() else ""
        streams.narrate(f"cancelled the start of {cancelling.standing(name)}{cut}")
        raise
    finally:
        narrator.close()
    return ready


def get(remedies: Sequence[Remedy]) -> Sequence[str]:
    """Get them, narrated; returns what came of each. A signal cancels it: KeyboardInterrupt."""
    narrator, signals, came = Narrator(), Noted(), tuple[str, ...]()
    try:
        with signals, closing(fix.get(remedies)) as run:
            for item in run:
                narrator.take(item)
                came = item.notes
                if signals.came():
                    raise KeyboardInterrupt
    finally:
        narrator.close()
    return came


def _tell(ready: Ready) -> None:
    """What came of it, where the data is, how to stop."""
    spec, server = ready.instance.spec, ready.instance.server
    assert server is not None
    versions = ", ".join(
        f"{part.title} {part.version}" for part in map(server.part, SERVERS) if part.version
    )
    done = streams.paint(_DONE[ready.outcome], "green", stream=sys.stderr)
    streams.narrate(f"{done} '{spec.name}': {versions}, {server.pool_mode} pooling")
    for change in ready.changes:
        streams.narrate(f"changed: {change}")
    for note in (*ready.notes, *server.notes):
        streams.narrate(f"note: {note}")
    if ready.instance.gateway is not None and ready.instance.gateway.state == PartState.RUNNING:
        streams.narrate(f"http: {urls.http(spec)}")
    streams.narrate(f"data: {server.location}")
    streams.narrate(f"stop: devdb down {spec.name}   delete: devdb rm {spec.name}")
