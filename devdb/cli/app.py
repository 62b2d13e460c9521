"""The commands by name; the module of one is imported when it is run, or all for the help."""

from __future__ import annotations

import importlib
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from devdb import __version__, wording
from devdb.errors import UsageError
from devdb.output import streams

SECTIONS = {
    "Start and stop": {"up": "up", "down": "down", "rm": "down"},
    "Look": {"ls": "look", "status": "look", "logs": "look", "doctor": "doctor"},
    "Throw away": {"temp": "temp"},
    "Connect": {"url": "connect", "env": "env", "psql": "connect"},
}
"""Each command and the module in `devdb.cli` that has it."""

_MODULES = {name: module for section in SECTIONS.values() for name, module in section.items()}

_EXAMPLES = """\b
Examples:
  devdb up                 start this project's instance and open the dashboard
  psql "$(devdb url)"      connect to it
  devdb env                write DATABASE_URL and DIRECT_URL to .env
  devdb temp --ttl 1h      a database that throws itself away; prints its URL
  devdb down               stop it; the data stays
"""


class Commands(TyperGroup):
    """A group that knows its commands' names before it has their code."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the base class' signature
        """The names, in the order of the help."""
        return list(_MODULES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """The command of that name; None when there is none."""
        if cmd_name not in _MODULES:
            return None
        module = importlib.import_module(f"devdb.cli.{_MODULES[cmd_name]}")
        found: Any = typer.main.get_command(module.app)
        return getattr(found, "commands", {}).get(cmd_name, found)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As the base class does, with our words for a name that is none."""
        name = args[0]
        if name not in _MODULES and not ctx.resilient_parsing:
            near = wording.nearest(name, _MODULES) or "--help"
            raise UsageError(f"There is no command '{name}'.", f"devdb {near}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The commands under their sections."""
        for section, modules in SECTIONS.items():
            commands = [(name, self.get_command(ctx, name)) for name in modules]
            limit = formatter.width - 12
            with formatter.section(section):
                formatter.write_dl([(name, c.get_short_help_str(limit)) for name, c in commands])


_app = typer.Typer(
    cls=Commands,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_EXAMPLES,
)


@_app.callback(invoke_without_command=True)
def devdb(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """A real Postgres behind a real PgBouncer for every project, in one command."""
    if version:
        streams.data(f"devdb {__version__}")
    elif context.invoked_subcommand is None:
        streams.data(context.get_help())


def command() -> Any:
    """The whole of it, ready to be run."""
    return typer.main.get_command(_app)
