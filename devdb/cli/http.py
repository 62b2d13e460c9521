"""`devdb http`."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from devdb import marker, paths, urls
from devdb.cli import options
from devdb.cli.grammar import App
from devdb.cli.here import look_around
from devdb.errors import ExitCode
from devdb.model import Spec
from devdb.output import streams
from devdb.workspace import gateway

if TYPE_CHECKING:
    from devdb.gateway.createdb import Offer

app = App()

_EXAMPLES = """\b
Examples:
  devdb http         until Ctrl-C; in a Procfile  http: devdb http
  devdb up --http    the same in the background, while the instance runs
"""


@app.command(epilog=_EXAMPLES)
@options.with_settings
def http(
    name: options.Name = None,
    *,
    create_db: Annotated[
        bool,
        typer.Option("--create-db", help="Make databases for npx create-db: for anybody here."),
    ] = False,
    **settings: Any,
) -> int:
    """Serve the HTTP URL, for serverless drivers.

    In the foreground. It prints the URL as soon as it answers there, and outlives devdb down: then
    it says that the instance is down. It ends at Ctrl-C, and when the instance is deleted.
    """
    import asyncio

    here = look_around(name, **settings)
    chosen = here.instance().name
    with ExitStack() as lock:
        lock.enter_context(marker.locked(chosen, timeout=gateway.LOCK_SECONDS))
        spec, took = gateway.take_over(chosen, here.settings)
        target, user = gateway.to_serve(spec), gateway.user()
        who = paths.user(user[0] if user else os.geteuid())
        # The last imports: as whom root goes on, these files may not be readable.
        from devdb.gateway.server import serve

        offer = _offer(spec, target.port, who) if create_db else None

        def ready() -> None:
            lock.close()
            if took:
                streams.narrate("took the place of the gateway in the background")
            whose = f" as {who}" if user else ""
            streams.narrate(f"serving '{spec.name}'{whose}; Ctrl-C ends it")
            streams.data(str(urls.http(spec)))

        is_gone = asyncio.run(serve(target, user=user, offer=offer, ready=ready))
        why = f", because '{spec.name}' was deleted" if is_gone else ""
        streams.narrate(f"ended{why}")
    return ExitCode.OK


def _offer(spec: Spec, port: int, who: str) -> Offer:
    """What makes databases for whoever asks, and all of it in memory; says what that means."""
    from devdb.workspace import createdb

    offer = createdb.offer(spec)
    offer.prepare()
    for line in createdb.terms(spec, port=port, user=who):
        streams.narrate(line)
    return offer
