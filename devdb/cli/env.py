"""`devdb env`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from devdb.cli import options
from devdb.cli.grammar import App
from devdb.cli.here import Here, look_around
from devdb.envfile import Written
from devdb.errors import ExitCode
from devdb.model import Endpoint, Spec
from devdb.output import envelope, records, streams
from devdb.wording import env_change
from devdb.workspace import environment
from devdb.workspace.environment import Variables, tls_of, variables
from devdb.workspace.unwritten import left_over

app = App()

_EXAMPLES = """\b
Examples:
  devdb env                      the pooled URL and the direct one into .env
  devdb env --preset auto        the variables of this project's framework
  devdb env --set MY_URL=pooled  of your own; [env] in devdb.toml keeps it
  devdb env --file .env.local    another file; give --file again for more
  devdb env --print              show the lines, write nothing; or --file -
  devdb env --dry-run            show what would change
"""
_STDOUT = Path("-")


@app.command(epilog=_EXAMPLES)
@options.with_settings
def env(
    name: options.Name = None,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--file", metavar="FILE", help="Instead of .env; - is stdout.", show_default=False
        ),
    ] = None,
    *,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=WHAT",
            help="A variable that is to be pooled, direct, shadow, test, host, port, pool-port, "
            "user, password or database.",
            show_default=False,
        ),
    ] = None,
    tls: options.Tls = None,
    only_print: Annotated[
        bool, typer.Option("--print", help="Print the lines; write nothing.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would change.")] = False,
    json: options.Json = False,
    **settings: Any,
) -> int:
    """Write the URLs to .env; the rest of it stays as it is.

    To the byte. A file that git would commit, or that others can read, is warned of.
    """
    here = look_around(name, **settings)
    spec = here.instance()
    how = tls_of(spec, tls, spec.direct, spec.pooled)
    wanted = [file for file in files or [Path(".env")] if file != _STDOUT]
    more = environment.wanted(sets or ())
    chosen = _choose(here, spec.direct, spec.pooled, wanted[:1], more=more, tls=how)
    _tell_why(chosen)
    wanted = [] if only_print else wanted
    if wanted and not dry_run:
        _make_databases(spec, chosen)
    written = [
        _write(chosen, file, here, spec.direct, spec.pooled, dry_run=dry_run) for file in wanted
    ]
    if json:
        streams.data(envelope.ok("env", records.variables(chosen, written)))
    elif only_print or _STDOUT in (files or ()):
        for key, value in chosen.values.items():
            streams.data(f"{key}={value}")
    elif dry_run:
        streams.data("".join(each.diff for each in written).rstrip("\n"))
    return ExitCode.OK


def write(spec: Spec, file: Path, here: Here) -> None:
    """Write the URLs of an instance to a file, as `devdb env` does; raises DevdbError."""
    chosen = _choose(here, spec.direct, spec.pooled, [file])
    _tell_why(chosen)
    _make_databases(spec, chosen)
    _write(chosen, file, here, spec.direct, spec.pooled)


def write_temporary(
    direct: Endpoint, pooled: Endpoint, file: Path, here: Here, *, comment: str, quiet: bool
) -> None:
    """The same of a temporary database, with a comment above each; raises DevdbError."""
    chosen = _choose(here, direct, pooled, [file])
    if not quiet:
        _tell_why(chosen)
    _write(chosen, file, here, direct, pooled, comment=comment, quiet=quiet)


def _choose(
    here: Here, direct: Endpoint, pooled: Endpoint, files: list[Path], **rest: Any
) -> Variables:
    file = here.directory / files[0] if files else None
    return variables(
        direct,
        pooled,
        here.settings,
        here.project,
        directory=here.directory,
        file=file,
        **rest,
    )


def _make_databases(spec: Spec, chosen: Variables) -> None:
    for news in environment.ensure_databases(spec, chosen):
        streams.narrate(news)


def _tell_why(chosen: Variables) -> None:
    if chosen.origin is not None:
        streams.narrate(chosen.origin)
    for note in chosen.notes:
        streams.narrate(f"note: {note}")


def _write(
    chosen: Variables,
    file: Path,
    here: Here,
    direct: Endpoint,
    pooled: Endpoint,
    *,
    dry_run: bool = False,
    comment: str | None = None,
    quiet: bool = False,
) -> Written:
    """Write the file, and say what was written, and what was not."""
    written = environment.write(
        chosen,
        here.directory / file,
        here.project,
        comments=dict.fromkeys(chosen.values, comment) if comment else {},
        dry_run=dry_run,
    )
    if not quiet:
        _tell_changes(written, dry_run=dry_run)
        name = here.settings.name if here.settings.source("name") == "--name" else None
        for left in left_over(chosen, written.path, direct, pooled, name=name):
            streams.narrate(f"note: {left}")
    return written


def _tell_changes(written: Written, *, dry_run: bool) -> None:
    if written.link is not None:
        streams.narrate(f"note: {written.link} is a symbolic link to {written.path}")
    for change in written.changes:
        would = "would be " if dry_run and written.changed else ""
        became = env_change(change.action, old=change.old, places=change.places)
        streams.narrate(f"{written.path}: {change.key} {would}{became}")
    for warning in environment.advice(written):
        streams.narrate(f"warning: {warning}")
