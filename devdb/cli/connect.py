"""`devdb url` and `devdb psql`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer

from devdb import urls
from devdb.cli import options
from devdb.cli.here import existing
from devdb.config import Settings
from devdb.errors import EngineUnavailable, ExitCode
from devdb.output import streams

app = options.new_app()

Pooled = Annotated[bool, typer.Option("--pooled", help="Through PgBouncer.")]

_URL_EXAMPLES = """\b
Examples:
  psql "$(devdb url)"
  DATABASE_URL="$(devdb url --pooled)" npm run dev
"""
_PSQL_EXAMPLES = """\b
Examples:
  devdb psql
  devdb psql -c 'select version()'
  devdb psql -- --help          what psql itself can do
"""


@app.command(epilog=_URL_EXAMPLES)
def url(
    name: options.Name = None,
    pooled: Pooled = False,
    copy: Annotated[bool, typer.Option("--copy", help="Copy it to the clipboard too.")] = False,
) -> int:
    """Print the direct URL, and nothing else."""
    from devdb.workspace.ports import reachable

    spec = existing(name)
    text = urls.url(spec.pooled if pooled else spec.direct)
    streams.data(text)
    if copy:
        _copy(text)
    if not reachable(spec):
        streams.narrate(f"warning: '{spec.name}' is not running; devdb up -d -n {spec.name}")
    return ExitCode.OK


def _copy(text: str) -> None:
    """Copy it, and say truthfully what became of that."""
    from devdb import clipboard

    if tool := clipboard.copy(text):
        streams.narrate(f"copied ({tool})")
    elif streams.to_clipboard(text):
        streams.narrate("sent to the terminal's clipboard; not every terminal takes it")
    else:
        streams.narrate("not copied: no clipboard here (wl-copy, xclip, xsel, pbcopy, clip.exe)")


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
) -> int:
    """Open psql on an instance; one that is stopped is started first."""
    from devdb import workspace

    spec = existing(name)
    if workspace.find(spec).state != workspace.State.RUNNING:
        from devdb.cli.start import start

        # As it is: the settings of the directory we are in may speak of another instance.
        start(Settings(), spec.project or Path.cwd(), spec.name)
    argv = [*workspace.psql_argv(spec), *(arguments or [])]
    if shutil.which(argv[0]) is None:
        raise EngineUnavailable(f"There is no {argv[0]}.", "devdb doctor")
    os.execvpe(argv[0], argv, {**os.environ, "PGPASSWORD": spec.password})  # noqa: S606
