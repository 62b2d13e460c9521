"""`devdb down` and `devdb rm`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated, Any

import typer

from devdb.cli import options
from devdb.cli.grammar import App
from devdb.cli.here import existing, look_around
from devdb.config import slug
from devdb.errors import DevdbError, ExitCode, MarkerLost, NotFound, UsageError
from devdb.marker import Damaged
from devdb.model import SHARED_ENGINES, Spec
from devdb.output import envelope, records, streams
from devdb.wording import size
from devdb.workspace import down, instances
from devdb.workspace.down import Removal

app = App()

_DOWN_EXAMPLES = """\b
Examples:
  devdb down               stop this project's instance
  devdb down 'shop-*'      stop several
  devdb down --all         stop all of them
"""
_RM_EXAMPLES = """\b
Examples:
  devdb rm shop            says what goes, and asks
  devdb rm -f 'test-*'     does not ask
  devdb rm shop --keep-data    only forgets it here
"""


@app.command("down", epilog=_DOWN_EXAMPLES)
def stop(
    names: options.Names = None,
    every: Annotated[bool, typer.Option("--all", help="All instances.")] = False,
    name: options.Name = None,
    json: options.Json = False,
) -> int:
    """Stop instances; their data stays."""
    if every and (names or name):
        raise UsageError("--all and names do not go together.", "devdb down --all")
    specs: Sequence[Spec] = []
    if every:
        with suppress(NotFound):
            specs = instances.matching(["*"])
    else:
        specs = _meant(names, name)
    results: list[dict[str, Any]] = []

    def stop_one(spec: Spec) -> None:
        was_running = down.down(spec)
        results.append({"name": spec.name, "was_running": was_running})
        streams.narrate(
            f"stopped '{spec.name}'{_whose(spec)}; its data stays"
            if was_running
            else f"'{spec.name}' was not running"
        )

    failed = _each(specs, stop_one)
    if not specs:
        streams.narrate("there is no instance")
    if json:
        streams.data(_envelope("down", {"stopped": results}, failed))
    return ExitCode.FAILURE if failed else ExitCode.OK


@app.command("rm", epilog=_RM_EXAMPLES)
def delete(
    names: options.Names = None,
    force: options.Force = False,
    keep_data: Annotated[
        bool,
        typer.Option("--keep-data", help="Only forget them here; what runs elsewhere goes on."),
    ] = False,
    name: options.Name = None,
    json: options.Json = False,
) -> int:
    """Delete instances and their data, for ever."""
    if not names and name is None:
        raise UsageError("devdb rm wants NAME, the instance to delete.", "devdb rm NAME")
    specs = _meant(names, name)
    if keep_data:
        return _forget(specs, json=json)
    removals = _removals(specs)
    if not force:
        _ask_to_delete([_as_text(removal) for removal in removals], specs, json=json)
    results: list[dict[str, Any]] = []
    known = {(removal.spec.name, removal.spec.engine): removal for removal in removals}

    def delete_one(spec: Spec) -> None:
        removal = known.get((spec.name, spec.engine)) or down.removal(spec)
        down.remove(spec)
        results.append(records.removal(removal))
        streams.narrate(f"deleted {_as_text(removal)}")

    failed = _each(specs, delete_one)
    if json:
        streams.data(_envelope("rm", {"deleted": results}, failed))
    return ExitCode.FAILURE if failed else ExitCode.OK


def _forget(specs: Sequence[Spec], *, json: bool) -> int:
    results: list[dict[str, Any]] = []

    def forget_one(spec: Spec) -> None:
        if not spec.password:
            raise NotFound(
                f"'{spec.name}' has no marker: there is nothing to forget.",
                f"Delete it with its data: devdb rm {spec.name}",
            )
        down.forget(spec)
        results.append({"name": spec.name, "engine": spec.engine})
        again = f"devdb up -n {spec.name} --adopt"
        streams.narrate(f"forgot '{spec.name}'; its data stays where it is ({again})")

    failed = _each(specs, forget_one)
    if json:
        streams.data(_envelope("rm", {"deleted": [], "forgotten": results}, failed))
    return ExitCode.FAILURE if failed else ExitCode.OK


def _meant(names: Sequence[str] | None, name: str | None) -> Sequence[Spec]:
    """Those of the command line, else that of -n or of this project; with a marker or without."""
    if names:
        return instances.matching(names)
    try:
        return [existing(name)]
    except (MarkerLost, Damaged):
        here = look_around(name)
        return instances.matching([here.settings.name or slug(here.project.name)])


def _removals(specs: Sequence[Spec]) -> list[Removal]:
    """What each would delete; an engine that does not answer is told when it is its turn."""
    found = []
    for spec in specs:
        try:
            found.append(down.removal(spec))
        except DevdbError:
            if len(specs) == 1:
                raise
    return found


def _ask_to_delete(words: Sequence[str], specs: Sequence[Spec], *, json: bool) -> None:
    """Go on only after a yes; off a terminal nobody can say it."""
    again = f"devdb rm --force {' '.join(spec.name for spec in specs)}"
    if json or not streams.interactive():
        what = "; ".join(words)
        raise UsageError(f"This deletes data, and nobody can be asked here: {what}.", again)
    if not streams.confirmed(words, "Delete?"):
        raise DevdbError("Nothing was deleted.", again)


def _as_text(removal: Removal) -> str:
    """What goes, e.g. `'shop' (running): main (7.7 MB); 48 MB in /var/lib/...`."""
    which = "all its databases"
    if removal.databases is not None:
        listed = [_database(name, count, removal) for name, count in removal.databases]
        which = ", ".join(listed) or "no database"
    whole = f"{size(removal.size)} in " if removal.size is not None else ""
    where = f"; {whole}{removal.location}" if removal.location else ""
    return f"'{removal.spec.name}' ({removal.state}){_whose(removal.spec)}: {which}{where}"


def _whose(spec: Spec) -> str:
    return ", for whoever else uses it too" if spec.engine in SHARED_ENGINES else ""


def _database(name: str, count: int, removal: Removal) -> str:
    claimed = ", claimed" if name in removal.claimed else ""
    return f"{name} ({size(count)}{claimed})"


def _each(specs: Sequence[Spec], act: Callable[[Spec], None]) -> list[DevdbError]:
    """Do it to all, whatever becomes of one; a single one fails with its own exit code."""
    from devdb.cli.boundary import report

    failed = []
    for spec in specs:
        try:
            act(spec)
        except DevdbError as error:
            if len(specs) == 1:
                raise
            report(error, as_json=False)
            failed.append(error)
    return failed


def _envelope(command: str, data: dict[str, Any], failed: Sequence[DevdbError]) -> str:
    failures = [envelope.as_json(error) for error in failed]
    return envelope.ok(command, {**data, "failed": failures}, success=not failed)
