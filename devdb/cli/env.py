"""`devdb env`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from devdb import envfile
from devdb.cli import options
from devdb.cli.here import Here, look_around
from devdb.envfile import Written
from devdb.errors import ExitCode
from devdb.model import Endpoint
from devdb.output import envelope, streams
from devdb.workspace import environment
from devdb.workspace.environment import Variables, tls_of, variables

app = options.new_app()

_EXAMPLES = """\b
Examples:
  devdb env                      DATABASE_URL (pooled) and DIRECT_URL (direct) into .env
  devdb env --preset auto        the variables that this project's framework reads
  devdb env --file .env.local    another file; give --file again for more
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
    preset: options.Preset = None,
    tls: options.Tls = None,
    only_print: Annotated[
        bool, typer.Option("--print", help="Print the lines; write nothing.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would change.")] = False,
    json: options.Json = False,
) -> int:
    """Write the URLs to .env; every other byte of the file stays as it is."""
    here = look_around(name, preset=preset)
    spec = here.instance()
    how = tls_of(spec, tls, spec.direct, spec.pooled)
    chosen = variables(spec.direct, spec.pooled, here.settings, here.project, tls=how)
    _say(chosen)
    if not (only_print or dry_run) and (news := environment.ensure_shadow(spec, chosen)):
        streams.narrate(news)
    written = []
    if not only_print:
        wanted = files or [Path(".env")]
        written = [_write(chosen, file, here, dry_run=dry_run) for file in wanted]
    if json:
        streams.data(envelope.ok("env", _record(chosen, written)))
    elif only_print:
        for key, value in chosen.values.items():
            streams.data(f"{key}={value}")
    elif dry_run:
        streams.data("".join(each.diff for each in written).rstrip("\n"))
    return ExitCode.OK


def write(
    direct: Endpoint,
    pooled: Endpoint,
    file: Path,
    here: Here,
    *,
    comment: str | None = None,
    quiet: bool = False,
) -> None:
    """Write the URLs to a file, with a comment above them; raises DevdbError."""
    chosen = variables(direct, pooled, here.settings, here.project)
    _write(chosen, file, here, comment=comment, quiet=quiet)


def _say(chosen: Variables) -> None:
    if chosen.origin is not None:
        streams.narrate(chosen.origin)
    for note in chosen.notes:
        streams.narrate(f"note: {note}")


def _write(
    chosen: Variables,
    file: Path,
    here: Here,
    *,
    dry_run: bool = False,
    comment: str | None = None,
    quiet: bool = False,
) -> Written:
    """Write the file, and say what was written."""
    written = environment.write(
        chosen,
        here.directory / file,
        here.project,
        comments=dict.fromkeys(chosen.values, comment) if comment else {},
        dry_run=dry_run,
    )
    if not quiet:
        _say_written(written, dry_run=dry_run)
    return written


def _say_written(written: Written, *, dry_run: bool) -> None:
    if written.link is not None:
        streams.narrate(f"note: {written.link} is a symbolic link to {written.path}")
    for change in written.changes:
        old = f" (was {change.old})" if change.old else ""
        places = f" in {change.places} places" if change.places > 1 else ""
        would = "would be " if dry_run and written.changed else ""
        streams.narrate(f"{written.path}: {change.key} {would}{change.action}{places}{old}")
    if written.readable_by_others:
        streams.narrate(f"warning: others can read {written.path}; chmod 600 {written.path}")
    if envfile.ignored_by_git(written.path) is False:
        name = written.path.name
        streams.narrate(f"warning: git does not ignore {written.path}; echo {name} >> .gitignore")


def _record(chosen: Variables, written: Sequence[Written]) -> dict[str, Any]:
    return {
        "preset": chosen.preset.name,
        "saw": list(chosen.saw or ()),
        "variables": chosen.values,
        "notes": list(chosen.notes),
        "files": [
            {
                "path": str(each.path),
                "created": each.created,
                "changed": each.changed,
                "changes": [
                    {"key": change.key, "action": change.action.value} for change in each.changes
                ],
            }
            for each in written
        ],
    }
