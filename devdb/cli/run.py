"""`devdb run`: a command, with the URLs in its environment."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from devdb.cli import child, options
from devdb.cli.grammar import App
from devdb.cli.here import Here, look_around
from devdb.errors import DevdbError, ExitCode, UsageError
from devdb.model import Spec
from devdb.output import streams

if TYPE_CHECKING:
    from datetime import timedelta

    from devdb.databases import TemporaryDatabase

app = App()

_EXAMPLES = """\b
A database of its own belongs to a role that is no superuser: there CREATE
EXTENSION works for those that Postgres trusts (citext, pgcrypto, uuid-ossp).
Others: make them in main, where everything goes, and copy it: --from main.

\b
Examples:
  devdb run -- npm run dev
  devdb run --temp -- npm test          in an empty database, dropped after
  devdb run --from main -- npm test     in a copy of main
  devdb run --seed shop.sql --keep-failed -- npm test
  devdb run --for asyncpg -- env        what a command is given
"""


@app.command(epilog=_EXAMPLES, context_settings={"allow_interspersed_args": False})
@options.with_settings
def run(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[--] COMMAND...", help="What to run.", show_default=False),
    ] = None,
    name: options.Name = None,
    temp: Annotated[
        bool, typer.Option("--temp", help="In a database of its own, dropped after.")
    ] = False,
    source: Annotated[
        str | None, options.source("In a copy of this database, dropped after.")
    ] = None,
    seed: Annotated[
        str | None, options.seed("In one filled from SQL or a dump, dropped after; - is stdin.")
    ] = None,
    ttl: Annotated[
        str | None,
        typer.Option(
            "--ttl",
            metavar="TIME",
            help="How long that one lives if devdb is killed, or it is kept.  [24h]",
            show_default=False,
        ),
    ] = None,
    keep_failed: Annotated[
        bool, typer.Option("--keep-failed", help="Keep it when the command fails; print its URL.")
    ] = False,
    **settings: Any,
) -> int:
    """Run a command with the URLs in its environment.

    Under the names that `devdb env` writes, and above those that are there. A stopped instance is
    started first.
    """
    own = temp or source is not None or seed is not None
    if not own and (ttl is not None or keep_failed):
        given = "--ttl" if ttl is not None else "--keep-failed"
        raise UsageError(f"{given} is about a database of its own.", "Give --temp too.")
    if not words:
        raise UsageError("devdb run wants a command.", "E.g. devdb run -- npm run dev")
    path = child.program(words[0], child.inherited())
    here = look_around(name, **settings)
    if not own:
        _become(here, path, words)
    return _in_its_own(here, path, words, source, seed, ttl or "24h", keep_failed=keep_failed)


def _become(here: Here, path: str, words: list[str]) -> NoReturn:
    from devdb.workspace import run as use

    spec = use.instance(here.settings, here.project, here.bring_up)
    child.become(path, words, _environment(here, spec))


def _in_its_own(
    here: Here,
    path: str,
    words: list[str],
    source: str | None,
    seed: str | None,
    ttl: str,
    *,
    keep_failed: bool,
) -> int:
    """As a child, in a temporary database; its status."""
    from devdb.cli import temp_life
    from devdb.cli.signals import Ending
    from devdb.output.narration import tell_of_seed
    from devdb.workspace import run as use
    from devdb.workspace import temp

    lives = temp_life.lifetime(ttl)
    with contextlib.ExitStack() as stack:
        content = stack.enter_context(temp.opened(seed))
        ending = stack.enter_context(Ending())
        use.instance(here.settings, here.project, here.bring_up)
        spec, made = temp.make(
            here.settings, here.project, here.bring_up, ttl=lives, source=source, seed=content
        )
        status = 0
        try:
            if made.loaded is not None:
                tell_of_seed(made.loaded, made.name, spec, only_what_differs=True)
            environment = _environment(here, spec, made)
            with child.Waiting() as waiting, use.Living(spec, made.name, lives):
                try:
                    status = waiting.run(path, words, environment)
                finally:
                    ending.tidy()  # before those signals come that waited
        finally:
            ending.tidy()
            if status != ExitCode.OK and keep_failed:
                _keep(here, spec, made, lives)
            else:
                _drop(spec, made)
    return status


def _environment(here: Here, spec: Spec, made: TemporaryDatabase | None = None) -> dict[str, str]:
    """Devdb's own with the variables; what has to be known of them is said."""
    from devdb.urls.presets import AUTO
    from devdb.workspace import run as use

    chosen, news = use.variables(spec, here.settings, here.project, here.directory, made=made)
    if here.settings.preset == AUTO and chosen.origin is not None:
        streams.narrate(chosen.origin)
    for note in chosen.musts:
        streams.narrate(f"note: {note}")
    for each in news:
        streams.narrate(each)
    return {**child.inherited(), **chosen.values}


def _keep(here: Here, spec: Spec, made: TemporaryDatabase, ttl: timedelta) -> None:
    from devdb import databases, urls
    from devdb.wording import span

    where = f" -n {spec.name}" if here.settings.source("name") == "--name" else ""
    with contextlib.suppress(DevdbError):
        databases.extend(spec, made.name, ttl)
    streams.narrate(f"kept '{made.name}' for {span(ttl.total_seconds())}: {urls.url(made.direct)}")
    streams.narrate(
        f"for good: devdb temp claim {made.name}{where}   drop it: "
        f"devdb temp drop {made.name}{where}"
    )


def _drop(spec: Spec, made: TemporaryDatabase) -> None:
    """Unless somebody claimed it, or dropped it, meanwhile."""
    from devdb import databases
    from devdb.errors import NotFound

    try:
        databases.drop(spec, [made.name])
    except NotFound:
        pass
    except UsageError:
        streams.narrate(f"'{made.name}' was claimed meanwhile: it stays")
    except DevdbError as error:
        streams.narrate(f"warning: '{made.name}' is not dropped before it expires: {error.message}")
    except KeyboardInterrupt:
        streams.narrate(f"warning: '{made.name}' is not dropped before it expires")
        raise
