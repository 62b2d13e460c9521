"""`devdb up`."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from devdb import urls
from devdb.cli import options
from devdb.cli.grammar import App
from devdb.cli.here import Here, look_around
from devdb.cli.start import resolve, start
from devdb.errors import UsageError
from devdb.output import envelope, records, streams
from devdb.workspace import staleness
from devdb.workspace.staleness import Held
from devdb.workspace.up import Outcome, Ready

app = App()

_TAB = "DEVDB_TAB"
"""Set for the processes that `--web` starts: each is this command again, for one tab."""

_EXAMPLES = """\b
Examples:
  devdb up                        open the dashboard
  devdb up -d                     print both URLs, and return
  devdb up -d --env .env          the same, and write both to .env
  devdb up --http                 the HTTP URL too, for serverless drivers
  devdb up -n pg16 --pg 16        a second instance, with Postgres 16
  devdb up --preset digitalocean  listen where it does, if free: 25060, 25061
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
    fix: Annotated[
        bool, typer.Option("--fix", help="Get programs that are missing, or too old.")
    ] = False,
    web: Annotated[
        bool, typer.Option("--web", help="Serve the dashboard to a browser of this machine.")
    ] = False,
    json: options.Json = False,
    **settings: Any,
) -> int:
    """Start this project's instance and open the dashboard.

    Or attach to it, where it runs already. Off a terminal, on a dumb one, or with -d: print the
    direct and the pooled URL, one a line, and return. With --web: print the dashboard's address,
    and serve it until Ctrl-C.
    """
    if web:
        _refuse_beside_web(detach=detach, json=json)
    here = look_around(name, **settings)
    chosen = resolve(here)
    if web and os.environ.pop(_TAB, ""):
        from devdb.tui.web import show

        return show(here.settings, here.project, chosen)
    dashboard = streams.full_screen() and not (detach or json or web)
    consent = {
        option for option, given in (("anew", anew), ("adopt", adopt), ("fix", fix)) if given
    }
    if dashboard and env is None:
        return _dashboard(here, chosen, consent)
    ready = start(here.settings, here.project, chosen, consent=consent)
    if ready.failed is not None:
        raise ready.failed
    if env is not None:
        from devdb.cli.env import write

        write(ready.instance.spec, env, here)
    if dashboard:
        return _dashboard(here, chosen)
    if web:
        return _serve(ready)
    _tell_of_env(staleness.held(ready.instance.spec, here.directory, running=True))
    if json:
        streams.data(envelope.ok("up", records.started(ready)))
    else:
        streams.data(urls.url(ready.instance.spec.direct))
        streams.data(urls.url(ready.instance.spec.pooled))
    return 0


def _tell_of_env(held: Held) -> None:
    """What `.env` leads to, and the command that mends it where that is wrong."""
    if not held.stale:
        streams.narrate(f"env: {held.sentence}")
    for finding, sentence in zip(held.stale, held.sentences, strict=False):
        streams.narrate(f"warning: {sentence}; {finding.fix}")


def _dashboard(here: Here, name: str, consent: Collection[str] = ()) -> int:
    from devdb import tui

    return tui.run(here.settings, here.project, name, consent)


def _refuse_beside_web(**others: bool) -> None:
    """Raises UsageError, and DevdbError where it cannot be served."""
    from devdb.tui import web

    for option, given in others.items():
        if given:
            raise UsageError(
                f"--web serves until it is ended, and --{option} returns.", "Give one of the two."
            )
    web.require()


def _serve(ready: Ready) -> int:
    from devdb.tui import web

    # -P: not whatever lies in this directory under the name of a module.
    tab = [sys.executable, "-P", "-m", "devdb", *sys.argv[1:]]
    spec = ready.instance.spec
    return web.serve(
        spec,
        owned=ready.outcome != Outcome.ATTACHED,
        tab=tab,
        environment=web.environment(os.environ) | {_TAB: "1", "DEVDB_NAME": spec.name},
        publish=streams.data,
        narrate=streams.narrate,
    )
