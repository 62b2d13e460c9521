"""The commands by name; the module of one is imported when it is run, or all for the help."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from devdb import __version__
from devdb.cli import shells
from devdb.cli.grammar import App, Group
from devdb.output import streams

SECTIONS = {
    "Start and stop": {"up": "up", "down": "down", "rm": "down"},
    "Look": {"ui": "ui", "ls": "look", "status": "look", "logs": "look", "doctor": "doctor"},
    "Throw away": {"temp": "temp"},
    "Connect": {
        "url": "connect",
        "env": "env",
        "run": "run",
        "psql": "connect",
        "sql": "sql",
        "http": "http",
    },
}
"""Each command and the module in `devdb.cli` that has it."""

_MODULES = {name: module for section in SECTIONS.values() for name, module in section.items()}

_EXAMPLES = """\b
Examples:
  devdb up               start this project's instance and open the dashboard
  psql "$(devdb url)"    connect to it
  devdb env              write DATABASE_URL and DIRECT_URL to .env
  devdb temp --ttl 1h    a database that throws itself away; prints its URL
  devdb down             stop it; the data stays
"""


class Commands(Group):
    """A group that knows its commands' names before it has their code."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the base class' signature
        """The names, in the order of the help."""
        return list(_MODULES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name; None when there is none."""
        if cmd_name not in _MODULES:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module(f"devdb.cli.{_MODULES[cmd_name]}")
        found: Any = typer.main.get_command(module.app)
        return getattr(found, "commands", {}).get(cmd_name, found)

    def sections(self, ctx: Any) -> Mapping[str, Sequence[str]]:  # noqa: ARG002
        """The names, in sections."""
        return {title: list(names) for title, names in SECTIONS.items()}


_app = App(cls=Commands, epilog=_EXAMPLES)


@_app.callback(invoke_without_command=True)
def devdb(
    context: typer.Context,
    print_version: Annotated[
        bool, typer.Option("-V", "--version", help="Print the version.")
    ] = False,
    show: Annotated[str | None, shells.option("--show-completion", "Print")] = None,
    install: Annotated[str | None, shells.option("--install-completion", "Install")] = None,
) -> None:
    """A real Postgres behind a real PgBouncer for every project, in one command."""
    if print_version:
        version()
    elif show is not None:
        streams.data(shells.script(show, "--show-completion"))
    elif install is not None:
        streams.narrate(shells.install(install, "--install-completion"))
    elif context.invoked_subcommand is None:
        streams.data(context.get_help())


@_app.command(hidden=True)
def version() -> None:
    """Print the version."""
    streams.data(f"devdb {__version__}")


def command() -> Any:
    """The whole of it, ready to be run."""
    if shells.VARIABLE in os.environ:
        shells.prepare()
    return typer.main.get_command(_app)
