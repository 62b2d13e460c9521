"""`devdb temp ls`, `claim`, `extend` and `drop`: the rest of a temporary database's life."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

import typer

from devdb import databases, urls
from devdb.cli import options
from devdb.cli.here import look_around
from devdb.databases import Stage, TemporaryDatabase
from devdb.errors import ExitCode, NotFound, UsageError
from devdb.model import Spec
from devdb.output import envelope, records, streams
from devdb.output.table import table
from devdb.wording import did_you_mean, size, span


def ttl_option(default: str | None) -> Any:
    """The option `--ttl`."""
    words = "How long: 90s, 30m, 36h, 7d." + (f"  [{default}]" if default else "")
    return typer.Option("--ttl", metavar="TIME", help=words, show_default=False)


def lifetime(ttl: str) -> timedelta:
    """What `--ttl` says; raises UsageError."""
    try:
        return databases.parse_ttl(ttl)
    except UsageError as error:
        raise UsageError(f"--ttl: {error.message}", error.hint) from error


def ls(context: typer.Context, name: options.Name = None, json: options.Json = False) -> int:
    """List the databases that end, and those that were claimed."""
    spec = _existing(context, name)
    found = databases.every(spec)
    if json:
        listed = [records.temporary(spec, each) for each in found]
        streams.data(envelope.ok("temp ls", {"databases": listed}))
        return ExitCode.OK
    if not found:
        streams.narrate(f"'{spec.name}' has no temporary database; devdb temp makes one")
        return ExitCode.OK
    headings = ("NAME", "KIND", "STATE", "SIZE", "AGE", "LEFT", "SESSIONS")
    for line in table(headings, [_database_row(each) for each in found], width=streams.width()):
        streams.data(line)
    return ExitCode.OK


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
    """Make a temporary database permanent; print its URLs.

    The direct and the pooled one, a line each.
    """
    spec = _existing(context, name)
    claimed = databases.claim(spec, database, new_name)
    if json:
        streams.data(envelope.ok("temp claim", records.temporary(spec, claimed)))
    else:
        streams.data(urls.url(claimed.direct))
        streams.data(urls.url(claimed.pooled))
    streams.narrate(f"'{claimed.name}' is permanent now")
    return ExitCode.OK


def extend(
    context: typer.Context,
    database: Annotated[str, typer.Argument(metavar="NAME", autocompletion=options.temporaries)],
    ttl: Annotated[str, ttl_option(None)],
    name: options.Name = None,
    json: options.Json = False,
) -> int:
    """Let a temporary database live for --ttl from now on."""
    lives = lifetime(ttl)
    spec = _existing(context, name)
    extended = databases.extend(spec, database, lives)
    if json:
        streams.data(envelope.ok("temp extend", records.temporary(spec, extended)))
    streams.narrate(f"'{extended.name}' lives for {span(lives.total_seconds())} from now on")
    return ExitCode.OK


def drop(
    context: typer.Context,
    names: Annotated[
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
    if [bool(names), expired, every].count(True) != 1:
        raise UsageError("devdb temp drop wants NAME, --expired or --all.", "devdb temp ls")
    spec = _existing(context, name)
    if expired:
        dropped = databases.reap(spec)
    else:
        chosen = _chosen(databases.every(spec), names or ["*"], spec, claimed=claimed)
        permanent = [each for each in chosen if each.state == Stage.CLAIMED]
        if permanent and claimed and not force:
            _ask_to_drop(permanent)
        them = [each.name for each in chosen]
        dropped = databases.drop(spec, them, claimed=claimed) if them else []
    if json:
        streams.data(envelope.ok("temp drop", {"dropped": dropped}))
    for each in dropped:
        streams.narrate(f"dropped '{each}'")
    if not dropped:
        streams.narrate("nothing to drop")
    return ExitCode.OK


def _existing(context: typer.Context, name: str | None) -> Spec:
    from devdb.workspace.instances import mend

    spec = look_around(name or context.obj).instance()
    mend(spec)
    return spec


def _database_row(one: TemporaryDatabase) -> tuple[str, ...]:
    return (
        one.name,
        one.kind.value,
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
            meant = did_you_mean(pattern, [each.name for each in found])
            raise NotFound(
                f"There is no temporary database '{pattern}' in '{spec.name}'.",
                f"{meant}devdb temp ls -n {spec.name}",
            )
        wanted = (each for each in hits if claimed or each.name == pattern or not _kept(each))
        chosen |= {each.name: each for each in wanted}
    return list(chosen.values())


def _kept(one: TemporaryDatabase) -> bool:
    return one.state == Stage.CLAIMED


def _ask_to_drop(permanent: Sequence[TemporaryDatabase]) -> None:
    words = [f"'{each.name}' ({size(each.size)}), which is claimed" for each in permanent]
    if not streams.interactive():
        raise UsageError(
            f"This drops {', '.join(words)}, and nobody can be asked here.", "Give --force too."
        )
    if not streams.confirmed(words, "Drop?"):
        raise UsageError("Nothing was dropped.", "Answer y, or give --force.")
