"""`devdb up`."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from devdb import urls
from devdb.cli import options
from devdb.cli.cancel import cancellable
from devdb.cli.here import Here, look_around
from devdb.config import Settings, slug
from devdb.errors import NeedsConsent
from devdb.model import Progress, Spec, Step
from devdb.output import envelope, records, streams
from devdb.output.narration import Narrator
from devdb.workspace import cancelling, names, staleness
from devdb.workspace.names import Gone
from devdb.workspace.up import Outcome, Ready
from devdb.workspace.up import up as run_up

app = options.new_app()

_EXAMPLES = """\b
Examples:
  devdb up                       open the dashboard
  devdb up -d                    print the direct and the pooled URL, and return
  devdb up -d --env .env         the same, and write both to .env
  devdb up -n pg16 --pg 16       a second instance, with Postgres 16
  devdb up --preset digitalocean listen where it does, if free: 25060 and 25061
"""


@app.command(epilog=_EXAMPLES)
@options.with_settings
def up(
    name: options.Name = None,
    detach: Annotated[
        bool, typer.Option("-d", "--detach", help="Print the two URLs; no dashboard.")
    ] = False,
    *,
    env: Annotated[
        Path | None,
        typer.Option(
            "--env",
            metavar="FILE",
            help="Write the URLs there when ready.",
            show_default=False,
            callback=options.a_file,
        ),
    ] = None,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take over one whose marker is lost.")
    ] = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="Where its data is gone: a new, empty one.")
    ] = False,
    json: options.Json = False,
    **settings: Any,
) -> int:
    """Start this project's instance, or attach to it, and open the dashboard.

    Off a terminal, on a dumb one, or with -d: print the direct and the pooled URL, one a line,
    and return.
    """
    here = look_around(name, **settings)
    chosen = resolve(here)
    dashboard = streams.full_screen() and not (detach or json)
    consent = {option for option, given in (("anew", anew), ("adopt", adopt)) if given}
    if dashboard and env is None:
        return _dashboard(here, chosen, consent)
    ready = start(here.settings, here.project, chosen, consent=consent)
    if env is not None:
        from devdb.cli.env import write

        write(ready.instance.spec, env, here)
    if dashboard:
        return _dashboard(here, chosen)
    for finding in staleness.stale(ready.instance.spec, here.directory, running=True):
        streams.warn(finding)
    if json:
        streams.data(envelope.ok("up", _record(ready)))
    else:
        streams.data(urls.url(ready.instance.spec.direct))
        streams.data(urls.url(ready.instance.spec.pooled))
    return 0


def bring_up(here: Here, spec: Spec | None, *, quiet: bool = False) -> Spec:
    """The instance, running: made if there is none (`spec` is None), else started as it is.

    As it is: the settings of the directory we are in may speak of another instance.
    """
    if spec is None:
        return start(here.settings, here.project, resolve(here), quiet=quiet).instance.spec
    project = spec.project or here.project
    return start(Settings(), project, spec.name, quiet=quiet).instance.spec


def start(
    settings: Settings,
    project: Path,
    name: str,
    *,
    quiet: bool = False,
    consent: Collection[str] = (),
) -> Ready:
    """Run `up` to its end, narrated on stderr; a signal cancels and undoes it.

    On a terminal it asks what `up` wants consent to.
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
    narrator = Narrator(quiet=quiet)
    ready: Ready | None = None
    items = None
    try:
        stream = run_up(settings, project, name, consent=consent)
        with cancellable(stream, is_last_chance=_is_ready) as items:
            for item in items:
                if isinstance(item, Ready):
                    ready = item
                else:
                    narrator.take(item)
            narrator.close()
            assert ready is not None, "the last item of up is a Ready"
            if items.cancelled and cancelling.take_back(ready):
                raise KeyboardInterrupt
            if not quiet or items.cancelled:
                _say(ready)
    except KeyboardInterrupt:
        narrator.close()
        cut = "; its undoing was cut short" if items is not None and items.cut_short else ""
        streams.narrate(f"cancelled the start of {cancelling.standing(name)}{cut}")
        raise
    finally:
        narrator.close()
    return ready


def _is_ready(item: Progress | Ready) -> bool:
    """From READY on the instance is whole, whoever stops looking."""
    return isinstance(item, Ready) or item.step == Step.READY


def _dashboard(here: Here, name: str, consent: Collection[str] = ()) -> int:
    from devdb import tui

    return tui.run(here.settings, here.project, name, consent)


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


def _say(ready: Ready) -> None:
    """What came of it, where the data is, how to stop."""
    spec, server = ready.instance.spec, ready.instance.server
    assert server is not None
    versions = ", ".join(
        f"{title} {server.part(part).version}"
        for title, part in (("Postgres", "postgres"), ("PgBouncer", "pgbouncer"))
        if server.part(part).version
    )
    words = {
        Outcome.CREATED: "created",
        Outcome.STARTED: "started",
        Outcome.ATTACHED: "attached to",
    }
    done = streams.paint(words[ready.outcome], "green", stream=sys.stderr)
    streams.narrate(f"{done} '{spec.name}': {versions}, {server.pool_mode} pooling")
    for change in ready.changes:
        streams.narrate(f"changed: {change}")
    for note in (*ready.notes, *server.notes):
        streams.narrate(f"note: {note}")
    streams.narrate(f"data: {server.location}")
    streams.narrate(f"stop: devdb down {spec.name}   delete: devdb rm {spec.name}")


def _record(ready: Ready) -> dict[str, Any]:
    return {
        "outcome": ready.outcome.value,
        "reason": ready.reason,
        "changes": list(ready.changes),
        "notes": list(ready.notes),
        "instance": records.instance(ready.instance),
    }
