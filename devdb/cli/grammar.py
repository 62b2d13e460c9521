"""The classes that every command and group of devdb is of: how the words behind them are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from devdb.cli import aliases, complaints
from devdb.output import streams

SUMMARY = 60
"""Characters of the first sentence of a command's help: the lists have room for so many."""

DETECTED = "detected"
"""The shell whose name nobody typed."""

_ALONE = {"--tls": "require", "--show-completion": DETECTED, "--install-completion": DETECTED}
"""The options that may stand without a value, and the value that they have then."""

_F = TypeVar("_F", bound=Callable[..., Any])


def summary(command: Any) -> str:
    """What a command does, in a line."""
    return str(command.get_short_help_str(SUMMARY))


class Command(TyperCommand):
    """A command whose complaints about its words are ours."""

    allow_extra_args = True  # for ours to be the complaint about them

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As the base class does; raises UsageError."""
        with complaints.ours(ctx):
            rest = super().parse_args(ctx, _with_values(self, _no_options_last(self, args)))
        if rest and not ctx.resilient_parsing:
            raise complaints.too_many(ctx, rest[0])
        return rest


class Group(TyperGroup):
    """Commands by their names and by what other tools call them, and `help`."""

    def sections(self, ctx: Any) -> Mapping[str, Sequence[str]]:
        """The names that the help lists, each below its heading."""
        return {"Commands": self.list_commands(ctx)}

    def meanings(self, ctx: Any) -> dict[str, str]:
        """Every word that a command of the group may be typed as, and the command's name."""
        return aliases.meanings([*self.list_commands(ctx), *self.commands])

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As the base class does; raises UsageError."""
        with complaints.ours(ctx):
            return super().parse_args(ctx, _with_values(self, args))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The name, the command and what is left; raises UsageError for a word that is none."""
        word, *rest = args
        if word == aliases.HELP:
            return self._help(ctx, [each for each in rest if not each.startswith("-")])
        meanings = self.meanings(ctx)
        if word not in meanings and not ctx.resilient_parsing:
            raise complaints.no_command(ctx.command_path, word, meanings)
        return super().resolve_command(ctx, [meanings.get(word, word), *rest])

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The commands under their sections."""
        for section, names in self.sections(ctx).items():
            with formatter.section(section):
                formatter.write_dl([(name, summary(self.get_command(ctx, name))) for name in names])

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """What may come next, with summaries that are not cut."""
        found: list[Any] = super().shell_complete(ctx, incomplete)
        for item in found:
            if (command := self.get_command(ctx, item.value)) is not None:
                item.help = summary(command)
        return found

    def _help(self, ctx: Any, words: list[str]) -> Any:
        """`help NAME ...` as `NAME ... --help`; alone it is the group's own."""
        if not words:
            if not ctx.resilient_parsing:
                streams.data(ctx.get_help())
                ctx.exit()
            return None, None, []
        first, *more = words
        name = self.meanings(ctx).get(first)
        is_group = name is not None and isinstance(self.get_command(ctx, name), Group)
        return self.resolve_command(
            ctx, [first, aliases.HELP, *more] if is_group and more else [first, "--help"]
        )


class App(typer.Typer):
    """The commands of one module, or the whole of them."""

    def __init__(self, cls: type[Group] = Group, **rest: Any) -> None:
        super().__init__(
            cls=cls,
            add_completion=False,  # ours needs no variable of its environment: `shells`
            rich_markup_mode=None,
            pretty_exceptions_enable=False,
            context_settings={"help_option_names": ["-h", "--help"]},
            **rest,
        )

    def command(self, *args: Any, **rest: Any) -> Callable[[_F], _F]:
        """As the base class has it, of our class."""
        made: Callable[[_F], _F] = super().command(*args, cls=Command, **rest)
        return made


_NO_OPTION = re.compile(r"--[^=\s]*\s")
"""How a word begins that looks like an option and is none: SQL with a comment in front."""


def _no_options_last(command: Any, args: list[str]) -> list[str]:
    """The words, with those that can be no option where none are looked for, at the end."""
    if not command.allow_interspersed_args:
        return args
    end = args.index("--") if "--" in args else len(args)
    others = [word for word in args[:end] if _NO_OPTION.match(word)]
    if not others:
        return args
    return [*(word for word in args[:end] if word not in others), "--", *others, *args[end + 1 :]]


def _with_values(command: Any, args: list[str]) -> list[str]:
    """The words, with a value behind each option that may stand alone and does."""
    alone = _ALONE.keys() & {flag for each in command.params for flag in each.opts}
    if not alone:
        return args
    found: list[str] = []
    left = list(args)
    while left and left[0] != "--":
        word = left.pop(0)
        found.append(word)
        if word in alone and (not left or left[0].startswith("-")):
            found.append(_ALONE[word])
        elif word in alone:
            found.append(left.pop(0))
        elif not word.startswith("-") and not command.allow_interspersed_args:
            break  # a command, and what comes now is for that one
    return found + left
