"""`devdb url` and `devdb psql`."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import PurePath
from textwrap import indent
from typing import Annotated, Any

import typer

from devdb import urls
from devdb.cli import options
from devdb.cli.grammar import App
from devdb.cli.here import Here, look_around
from devdb.errors import EngineUnavailable, ExitCode, NotFound, UsageError
from devdb.model import PartState, Spec
from devdb.output import envelope, streams
from devdb.psql import environment
from devdb.urls.serverless import SNIPPET

app = App()

_FILES = re.compile(
    r"^-\w*[foL]|^--(file|output|log-file)|\\(copy|ir?|o|w|gx?|lo_\w+|cd|!)\b", re.ASCII
)
"""An argument of psql that makes it read or write files."""

_LINES = "\n\n".join(f"\b\n{indent(part, '  ')}" for part in SNIPPET.strip().split("\n\n"))
_URL_EXAMPLES = f"""\b
Serverless drivers speak HTTP, told so by these lines (docs/serverless.md):

{_LINES}

\b
Examples:
  psql "$(devdb url)"
  devdb url --for sqlalchemy-asyncpg --pooled
  devdb url --for jdbc --tls verify-full      --tls alone: require
  DATABASE_URL="$(devdb url --pooled)" npm run dev
  devdb url --http            for serverless drivers
"""
_PSQL_EXAMPLES = """\b
Examples:
  devdb psql
  devdb psql -c 'select version()'
  devdb psql --pooled           through PgBouncer, as your app sees it
  devdb psql -- --help          what psql itself can do
"""


@app.command(epilog=_URL_EXAMPLES)
def url(
    name: options.Name = None,
    pooled: Annotated[bool, typer.Option("--pooled", help="The URL through PgBouncer.")] = False,
    client: options.Client = None,
    tls: options.Tls = None,
    http: Annotated[
        bool, typer.Option("--http", help="The HTTP URL, for serverless drivers.")
    ] = False,
    copy: Annotated[bool, typer.Option("--copy", help="Copy it to the clipboard too.")] = False,
    json: options.Json = False,
) -> int:
    """Print the direct URL, and nothing else.

    Through PgBouncer, of a URL's own `options=-c ...` only what it keeps apart for each client has
    an effect (timezone, datestyle, ...): it ignores the rest without a word. Make that the role's:
    devdb psql -c 'ALTER ROLE devdb SET name = value'
    """
    from devdb.engines import ports

    here = look_around(name)
    spec = here.instance()
    if http:
        given = {"--pooled": pooled, "--for": client is not None, "--tls": tls is not None}
        _refuse_beside_http(given)
        return _http(spec, copy=copy, json=json)
    endpoint = spec.pooled if pooled else spec.direct
    reader, text, notes = client or here.settings.client, urls.url(endpoint), tuple[str, ...]()
    if reader is not None or tls is not None:
        text, notes = _spelled(here, spec, client, pooled=pooled, tls=tls)
    if not json:
        streams.data(text)
    for note in notes:
        streams.narrate(f"note: {note}")
    if copy:
        copy_to_clipboard(text)
    running = ports.answers(spec)
    if json:
        found = {"name": spec.name, "client": reader, "url": text, "notes": list(notes)}
        streams.data(envelope.ok("url", {**found, "running": running}))
    if not running:
        streams.narrate(f"warning: '{spec.name}' is not running; devdb up -d -n {spec.name}")
    return ExitCode.OK


def _refuse_beside_http(given: Mapping[str, bool]) -> None:
    for option, is_given in given.items():
        if is_given:
            raise UsageError(
                f"--http and {option} do not go together.",
                "devdb url --http; whether direct or pooled is said by the port of DATABASE_URL",
            )


def _http(spec: Spec, *, copy: bool, json: bool) -> int:
    """The HTTP URL, by the same rules."""
    from devdb.workspace import gateway

    text, name = urls.http(spec), spec.name
    if text is None:
        raise NotFound(f"'{name}' has no HTTP URL yet.", f"devdb up -d --http -n {name}")
    if not json:
        streams.data(text)
    if copy:
        copy_to_clipboard(text)
    part = gateway.part(spec)
    is_on = part is not None and part.state == PartState.RUNNING
    if json:
        found: dict[str, Any] = {"name": name, "client": None, "url": text, "notes": []}
        streams.data(envelope.ok("url", {**found, "running": is_on}))
    if not is_on:
        streams.narrate(f"warning: the gateway of '{name}' is off; devdb up -d --http -n {name}")
    return ExitCode.OK


def _spelled(
    here: Here, spec: Spec, client: str | None, *, pooled: bool, tls: str | None
) -> tuple[str, tuple[str, ...]]:
    """The URL as the client reads it, by the option or the settings, and what is to be said."""
    from devdb.urls.clients import DEFAULT
    from devdb.urls.spelling import spelling
    from devdb.workspace.environment import named_client, tls_of

    endpoint = spec.pooled if pooled else spec.direct
    how = tls_of(spec, tls, endpoint)
    named = named_client(here.settings) if client is None else None
    reader = named.name if named else client or DEFAULT
    spelled = spelling(reader, endpoint, pooled=pooled, tls=how)
    if named is None or spelled == spelling(DEFAULT, endpoint, pooled=pooled, tls=how):
        return spelled.text, spelled.notes
    # Asked for nowhere in this command, and psql may be what it is for.
    source = here.settings.source("client")
    said = f"spelled for {named.name}, which {source} names; for psql: --for libpq"
    return spelled.text, (said, *spelled.notes)


def copy_to_clipboard(text: str, *, quiet: bool = False) -> None:
    """Copy it, and say truthfully what became of that; a failure is said even when quiet."""
    from devdb import clipboard
    from devdb.clipboard import Way

    copied = clipboard.copy(text)
    if copied.way is Way.TERMINAL and not streams.to_clipboard(text):
        copied = clipboard.not_copied()
    if not quiet or copied.way is Way.NOWHERE:
        streams.narrate(copied.words)


@app.command(
    epilog=_PSQL_EXAMPLES,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def psql(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- PSQL-ARGS...]", help="Passed on.", show_default=False),
    ] = None,
    name: options.Name = None,
    pooled: Annotated[bool, typer.Option("--pooled", help="Through PgBouncer.")] = False,
) -> int:
    """Open psql on an instance; start it first if it is stopped."""
    from devdb.cli import child
    from devdb.workspace import instances
    from devdb.workspace.instances import State

    here = look_around(name)
    spec = here.instance()
    if instances.find(spec).state != State.RUNNING:
        spec = here.bring_up(spec)
    asked = arguments or []
    argv = instances.psql_argv(spec, pooled=pooled, files=any(map(_FILES.search, asked)))
    path = shutil.which(argv[0])
    if path is None:
        raise EngineUnavailable(f"There is no {argv[0]}.", "devdb doctor")
    if PurePath(argv[0]).stem != "psql" and not asked and streams.interactive():
        streams.narrate("note: the container's psql; what it reads and writes are files there")
    child.become(path, [*argv, *asked], environment(spec.password, child.inherited()))
