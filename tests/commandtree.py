"""All commands of the command line as typer has them, groups and the whole of it among them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer

from devdb.cli.app import command


@dataclass(frozen=True)
class Typed:
    """A command, and the words that it is typed with."""

    words: tuple[str, ...]
    command: Any

    @property
    def path(self) -> str:
        """E.g. `devdb temp claim`."""
        return " ".join(("devdb", *self.words))

    @property
    def options(self) -> list[Any]:
        """Its options, but for the help's."""
        return [each for each in self.command.params if each.param_type_name == "option"]

    @property
    def arguments(self) -> list[Any]:
        return [each for each in self.command.params if each.param_type_name == "argument"]

    @property
    def is_group(self) -> bool:
        return hasattr(self.command, "list_commands")


def tree(found: Any = None, words: tuple[str, ...] = ()) -> Iterator[Typed]:
    """The command, and all that are below it and shown."""
    found = found or command()
    yield Typed(words, found)
    if hasattr(found, "list_commands"):
        context = typer.Context(found)
        for name in found.list_commands(context):
            yield from tree(found.get_command(context, name), (*words, name))


TREE = tuple(tree())
LEAVES = tuple(each for each in TREE if not each.is_group)
GROUPS = tuple(each for each in TREE if each.is_group)
