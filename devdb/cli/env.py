"""`devdb env`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from devdb.cli import options
from devdb.cli.grammar import App
from devdb.cli.here import Here, look_around
from devdb.envfile import Written
from devdb.errors import ExitCode
from devdb.model import Spec
from devdb.output import envelope, records, streams
from devdb.wording import env_change
from devdb.workspace import environment
from devdb.workspace.environment import Variables, tls_of, variables
from devdb.workspace.unwritten import left_over

if TYPE_CHECKING:
    from devdb.databases import TemporaryDatabase

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
            help="A variable that is to be pooled, direct, http, shadow, test, host, port, "
            "pool-port, user, password or database.",
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
    chosen = _choose(
        here,
        spec,
        wanted[:1],
        more=more,
        tls=how,
        gated=partial(_gated, spec, here, keep=not dry_run),
    )
    _tell_why(chosen)
    wanted = [] if only_print else wanted
    if not dry_run:
        _tell_news(spec, chosen, databases=bool(wanted))
    written = [_write(chosen, file, here, spec, dry_run=dry_run) for file in wanted]
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
    chosen = _choose(here, spec, [file])
    _tell_why(chosen)
    _tell_news(spec, chosen, databases=True)
    _write(chosen, file, here, spec)


def write_temporary(
    spec: Spec, made: TemporaryDatabase, file: Path, here: Here, *, comment: str, quiet: bool
) -> None:
    """The same of a temporary database, with a comment above each; raises DevdbError."""
    chosen = _choose(here, spec, [file], made=made)
    if not quiet:
        _tell_why(chosen)
        _tell_news(spec, chosen, databases=False)
    _write(chosen, file, here, spec, made=made, comment=comment, quiet=quiet)


def _choose(
    here: Here,
    spec: Spec,
    files: list[Path],
    *,
    made: TemporaryDatabase | None = None,
    gated: Callable[[], Spec] | None = None,
    **rest: Any,
) -> Variables:
    file = here.directory / files[0] if files else None
    whose = made or spec
    return variables(
        whose.direct,
        whose.pooled,
        here.settings,
        here.project,
        gated=gated or partial(_gated, spec, here),
        directory=here.directory,
        file=file,
        **rest,
    )


def _gated(spec: Spec, here: Here, *, keep: bool = True) -> Spec:
    from devdb.workspace.gateway import port_of  # 30 ms that mostly nobody needs

    return port_of(spec, here.settings, keep=keep)


def _tell_news(spec: Spec, chosen: Variables, *, databases: bool) -> None:
    """Of what the variables lead to: databases are made, where they are wanted."""
    made = environment.ensure_databases(spec, chosen) if databases else []
    for news in (*made, *environment.gateway_news(spec, chosen)):
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
    spec: Spec,
    *,
    made: TemporaryDatabase | None = None,
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
        whose = made or spec
        for left in left_over(
            chosen, written.path, whose.direct, whose.pooled, http=spec.http_port, name=name
        ):
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
