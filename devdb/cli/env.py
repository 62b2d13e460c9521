"""`devdb env`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from devdb import envfile, urls
from devdb.cli import options
from devdb.cli.here import Here, look_around
from devdb.errors import ExitCode
from devdb.model import Spec
from devdb.output import streams

app = options.new_app()

_EXAMPLES = """\b
Examples:
  devdb env                      DATABASE_URL (pooled) and DIRECT_URL (direct) into .env
  devdb env --file .env.local    another file; several --file are possible
  devdb env --print              show the lines, write nothing
  devdb env --dry-run            show what would change
"""


@app.command(epilog=_EXAMPLES)
def env(
    name: options.Name = None,
    files: Annotated[
        list[Path] | None,
        typer.Option("--file", metavar="FILE", help="Instead of .env.", show_default=False),
    ] = None,
    only_print: Annotated[
        bool, typer.Option("--print", help="Print the lines; write nothing.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would change.")] = False,
) -> int:
    """Write the URLs to .env; every other byte of the file stays as it is."""
    here = look_around(name)
    spec = here.instance()
    if only_print:
        for key, value in _values(spec).items():
            streams.data(f"{key}={value}")
        return ExitCode.OK
    for file in files or [Path(".env")]:
        write(spec, file, here, dry_run=dry_run)
    return ExitCode.OK


def write(spec: Spec, file: Path, here: Here, *, dry_run: bool = False) -> None:
    """Write the URLs to a file and say what was written; raises DevdbError."""
    written = envfile.write(
        here.directory / file, _values(spec), project=here.project, dry_run=dry_run
    )
    if dry_run:
        streams.narrate(f"{written.path} would {'change' if written.changed else 'not change'}")
        if written.diff:
            streams.data(written.diff.rstrip("\n"))
        return
    if written.link is not None:
        streams.narrate(f"note: {written.link} is a symbolic link to {written.path}")
    for change in written.changes:
        old = f" (was {change.old})" if change.old else ""
        streams.narrate(f"{written.path}: {change.key} {change.action}{old}")
    if written.readable_by_others:
        streams.narrate(f"warning: others can read {written.path}; chmod 600 {written.path}")
    if envfile.ignored_by_git(written.path) is False:
        streams.narrate(
            f"warning: git does not ignore {written.path}; echo {written.path.name} >> .gitignore"
        )


def _values(spec: Spec) -> dict[str, str]:
    return {"DATABASE_URL": urls.url(spec.pooled), "DIRECT_URL": urls.url(spec.direct)}
