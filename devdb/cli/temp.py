"""`devdb temp`: databases that throw themselves away."""

from __future__ import annotations

import contextlib
import fnmatch
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from devdb import temporary, urls
from devdb.cli import options
from devdb.cli.here import Here, look_around
from devdb.errors import EngineUnavailable, ExitCode, NotFound, UsageError
from devdb.model import Spec
from devdb.output import envelope, records, streams
from devdb.output.table import table
from devdb.output.words import size, span
from devdb.temporary import State, TemporaryDatabase

app = options.new_app()

T = TypeVar("T")

_EXAMPLES = """\b
Examples:
  devdb temp                              a database for 24 hours; prints its URL
  psql "$(devdb temp -q --ttl 1h)"
  devdb temp --from main --env .env       a copy of main, and .env points at it
  devdb temp ls
  devdb temp claim temp_calm_owl --as shop2
"""


def _ttl(default: str | None) -> Any:
    words = "How long: 90s, 30m, 36h, 7d." + (f"  [{default}]" if default else "")
    return typer.Option("--ttl", metavar="TIME", help=words, show_default=False)


@app.callback(invoke_without_command=True, epilog=_EXAMPLES)
def temp(
    context: typer.Context,
    name: options.Name = None,
    ttl: Annotated[str, _ttl("24h")] = "24h",
    pooled: Annotated[bool, typer.Option("--pooled", help="Print the pooled URL.")] = False,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="DB", help="Copy this database of the instance.", show_default=False
        ),
    ] = None,
    seed: Annotated[
        Path | None,
        typer.Option(
            "--seed",
            metavar="FILE",
            help="Fill it from a .sql, .sql.gz or .dump file.",
            show_default=False,
        ),
    ] = None,
    called: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="Its name, else a new one.", show_default=False),
    ] = None,
    env: Annotated[
        Path | None,
        typer.Option(
            "--env", metavar="FILE", help="Write its URLs there, like `env`.", show_default=False
        ),
    ] = None,
    preset: options.Preset = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the URL to the clipboard.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing on stderr.")] = False,
    json: options.Json = False,
) -> int:
    """Make a temporary database and print its URL; it is dropped when its time is over."""
    context.obj = name
    if context.invoked_subcommand is not None:
        return ExitCode.OK
    lifetime = temporary.parse_ttl(ttl)
    here = look_around(name, preset=preset)

    def make(spec: Spec) -> tuple[Spec, TemporaryDatabase]:
        psql = _psql(spec) if seed is not None else ()
        made = temporary.create(
            spec, ttl=lifetime, source=source, seed=seed, name=called, psql=psql
        )
        return spec, made

    spec, made = _on_running(here, make, quiet=quiet)
    url = urls.url(made.pooled if pooled else made.direct)
    if env is not None:
        _write_env(made, env, here, quiet=quiet)
    if json:
        streams.data(envelope.ok("temp", records.temporary(spec, made)))
    else:
        streams.data(url)
    if copy:
        from devdb.cli.connect import copy_to_clipboard

        copy_to_clipboard(url, quiet=quiet)
    if not quiet and made.left is not None:
        left = span(made.left.total_seconds())
        streams.narrate(f"'{made.name}' in '{spec.name}' lives for {left}")
        streams.narrate(f"keep it: devdb temp claim {made.name}")
    return ExitCode.OK


@app.command()
def ls(context: typer.Context, name: options.Name = None, json: options.Json = False) -> int:
    """List the temporary databases of an instance, claimed ones too."""
    spec = _existing(context, name)
    found = temporary.every(spec)
    if json:
        listed = [records.temporary(spec, each) for each in found]
        streams.data(envelope.ok("temp ls", {"databases": listed}))
        return ExitCode.OK
    if not found:
        streams.narrate(f"'{spec.name}' has no temporary database; devdb temp makes one")
        return ExitCode.OK
    headings = ("NAME", "STATE", "SIZE", "AGE", "LEFT", "SESSIONS")
    for line in table(headings, [_row(each) for each in found], width=streams.width()):
        streams.data(line)
    return ExitCode.OK


@app.command()
def claim(
    context: typer.Context,
    database: Annotated[str, typer.Argument(metavar="NAME", autocompletion=options.temporaries)],
    new_name: Annotated[
        str | None,
        typer.Option("--as", metavar="NEWNAME", help="Rename it too.", show_default=False),
    ] = None,
    name: options.Name = None,
    json: options.Json = False,
) -> int:
    """Make a temporary database permanent; prints its direct and its pooled URL."""
    spec = _existing(context, name)
    claimed = temporary.claim(spec, database, new_name)
    if json:
        streams.data(envelope.ok("temp claim", records.temporary(spec, claimed)))
    else:
        streams.data(urls.url(claimed.direct))
        streams.data(urls.url(claimed.pooled))
    streams.narrate(f"'{claimed.name}' is permanent now")
    return ExitCode.OK


@app.command()
def extend(
    context: typer.Context,
    database: Annotated[str, typer.Argument(metavar="NAME", autocompletion=options.temporaries)],
    ttl: Annotated[str, _ttl(None)],
    name: options.Name = None,
    json: options.Json = False,
) -> int:
    """Let a temporary database live for --ttl from now on."""
    lifetime = temporary.parse_ttl(ttl)
    spec = _existing(context, name)
    extended = temporary.extend(spec, database, lifetime)
    if json:
        streams.data(envelope.ok("temp extend", records.temporary(spec, extended)))
    streams.narrate(f"'{extended.name}' lives for {span(lifetime.total_seconds())} from now on")
    return ExitCode.OK


@app.command()
def drop(
    context: typer.Context,
    databases: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME...]",
            help="Globs work ('temp_*').",
            autocompletion=options.temporaries,
            show_default=False,
        ),
    ] = None,
    expired: Annotated[bool, typer.Option("--expired", help="Those that have expired.")] = False,
    every: Annotated[bool, typer.Option("--all", help="All but the claimed ones.")] = False,
    claimed: Annotated[bool, typer.Option("--claimed", help="Claimed ones too.")] = False,
    force: options.Force = False,
    name: options.Name = None,
    json: options.Json = False,
) -> int:
    """Drop temporary databases now."""
    if [bool(databases), expired, every].count(True) != 1:
        raise UsageError("drop wants names, --expired or --all.", "devdb temp ls")
    spec = _existing(context, name)
    if expired:
        dropped = temporary.reap(spec)
    else:
        chosen = _chosen(temporary.every(spec), databases or ["*"], spec, claimed=claimed)
        permanent = [each for each in chosen if each.state == State.CLAIMED]
        if permanent and claimed and not force:
            _ask(permanent)
        names = [each.name for each in chosen]
        dropped = temporary.drop(spec, names, claimed=claimed) if names else []
    if json:
        streams.data(envelope.ok("temp drop", {"dropped": dropped}))
    for each in dropped:
        streams.narrate(f"dropped '{each}'")
    if not dropped:
        streams.narrate("nothing to drop")
    return ExitCode.OK


def _existing(context: typer.Context, name: str | None) -> Spec:
    return look_around(name or context.obj).instance()


def _on_running(here: Here, act: Callable[[Spec], T], *, quiet: bool) -> T:
    """Do it with the instance; one that is stopped or not yet made is started first.

    Trying is cheaper than asking whether it runs: an instance mostly does.
    """
    from devdb import marker
    from devdb.workspace.names import Gone, resolve

    spec = None
    with contextlib.suppress(Gone, EngineUnavailable):
        spec = marker.load(resolve(here.settings.name, here.project))
        if spec is not None:
            return act(spec)
    from devdb.cli.start import bring_up

    return act(bring_up(here, spec, quiet=quiet))


def _psql(spec: Spec) -> list[str]:
    from devdb import workspace

    return workspace.psql_argv(spec)


def _write_env(made: TemporaryDatabase, file: Path, here: Here, *, quiet: bool) -> None:
    from devdb.cli.env import write

    assert made.expires is not None
    until = made.expires.strftime("%Y-%m-%d %H:%M:%S UTC")
    comment = f"temporary, until {until}; keep it: devdb temp claim {made.name}"
    write(made.direct, made.pooled, file, here, comment=comment, quiet=quiet)


def _row(one: TemporaryDatabase) -> tuple[str, ...]:
    return (
        one.name,
        one.state.value,
        size(one.size),
        span(one.age.total_seconds()),
        span(one.left.total_seconds()) if one.left is not None else "",
        str(one.sessions),
    )


def _chosen(
    found: Sequence[TemporaryDatabase], patterns: Sequence[str], spec: Spec, *, claimed: bool
) -> list[TemporaryDatabase]:
    """Those that match; claimed ones only if wanted or named in full."""
    chosen: dict[str, TemporaryDatabase] = {}
    for pattern in patterns:
        hits = [each for each in found if fnmatch.fnmatchcase(each.name, pattern)]
        if not hits and pattern != "*":
            raise NotFound(
                f"There is no temporary database '{pattern}' in '{spec.name}'.",
                f"devdb temp ls -n {spec.name}",
            )
        wanted = (each for each in hits if claimed or each.name == pattern or not _kept(each))
        chosen |= {each.name: each for each in wanted}
    return list(chosen.values())


def _kept(one: TemporaryDatabase) -> bool:
    return one.state == State.CLAIMED


def _ask(permanent: Sequence[TemporaryDatabase]) -> None:
    words = [f"'{each.name}' ({size(each.size)}), which is claimed" for each in permanent]
    if not streams.interactive():
        raise UsageError(
            f"This drops {', '.join(words)}, and nobody can be asked here.", "Give --force too."
        )
    if not streams.confirmed(words, "Drop?"):
        raise UsageError("Nothing was dropped.", "Answer y, or give --force.")
