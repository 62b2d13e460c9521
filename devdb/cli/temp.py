"""`devdb temp`: databases that throw themselves away."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from devdb import urls
from devdb.cli import options, temp_life
from devdb.cli.grammar import App
from devdb.cli.here import Here, look_around
from devdb.databases import TemporaryDatabase
from devdb.errors import ExitCode
from devdb.model import Spec
from devdb.output import envelope, records, streams
from devdb.output.narration import tell_of_seed
from devdb.wording import span
from devdb.workspace.temp import make, opened

app = App()

_EXAMPLES = """\b
Examples:
  devdb temp                          a database for 24 hours; prints its URL
  psql "$(devdb temp -q --ttl 1h)"
  devdb temp --from main --env .env   a copy of main, and .env points at it
  devdb temp --seed shop.dump.gz      what pg_dump made, in any format; or SQL
  pg_dump "$PRODUCTION" | devdb temp --seed -
  devdb temp ls
  devdb temp claim temp_calm_owl --as shop2
"""


for _command in (temp_life.ls, temp_life.claim, temp_life.extend, temp_life.drop):
    app.command()(_command)


@app.callback(invoke_without_command=True, epilog=_EXAMPLES)
@options.with_settings
def temp(
    context: typer.Context,
    name: options.Name = None,
    ttl: Annotated[str, temp_life.ttl_option("24h")] = "24h",
    pooled: Annotated[bool, typer.Option("--pooled", help="Print the pooled URL.")] = False,
    source: Annotated[str | None, options.source("Copy this database of the instance.")] = None,
    seed: Annotated[
        str | None, options.seed("Fill it from SQL or a dump, packed or not; - is stdin.")
    ] = None,
    called: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="Its name, else a new one.", show_default=False),
    ] = None,
    env: Annotated[
        Path | None,
        typer.Option(
            "--env",
            metavar="FILE",
            help="Write its URLs there, like `env`.",
            show_default=False,
            callback=options.a_file,
        ),
    ] = None,
    *,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the URL to the clipboard.")] = False,
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="Say nothing on stderr, but of a new instance.")
    ] = False,
    json: options.Json = False,
    **settings: Any,
) -> int:
    """Make a database that throws itself away; print its URL.

    It is dropped when its time is over, whether devdb runs or not.
    """
    context.obj = name
    if context.invoked_subcommand is not None:
        return ExitCode.OK
    lifetime = temp_life.lifetime(ttl)
    here = look_around(name, quiet=quiet, **settings)
    with opened(seed) as content:
        spec, made = make(
            here.settings,
            here.project,
            partial(here.bring_up, quiet=quiet),
            ttl=lifetime,
            source=source,
            seed=content,
            name=called,
        )
    url = urls.url(made.pooled if pooled else made.direct)
    if env is not None:
        _write_env(spec, made, env, here, quiet=quiet)
    if json:
        streams.data(envelope.ok("temp", records.temporary(spec, made)))
    else:
        streams.data(url)
    if copy:
        from devdb.cli.connect import copy_to_clipboard

        copy_to_clipboard(url, quiet=quiet)
    if not quiet and made.loaded is not None:
        tell_of_seed(made.loaded, made.name, spec)
    if not quiet and made.left is not None:
        left = span(made.left.total_seconds())
        streams.narrate(f"'{made.name}' in '{spec.name}' lives for {left}")
        streams.narrate(f"keep it: devdb temp claim {made.name}")
    return ExitCode.OK


def _write_env(spec: Spec, made: TemporaryDatabase, file: Path, here: Here, *, quiet: bool) -> None:
    from devdb.cli.env import write_temporary

    assert made.expires is not None
    until = made.expires.strftime("%Y-%m-%d %H:%M:%S UTC")
    comment = f"temporary, until {until}; keep it: devdb temp claim {made.name}"
    write_temporary(spec, made, file, here, comment=comment, quiet=quiet)
