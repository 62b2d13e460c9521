"""What is wrong with the words of a command, in one wording for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer

from devdb import wording
from devdb.cli import aliases
from devdb.config import check_name
from devdb.errors import UsageError

WordsWereOff: type[Exception] = typer.BadParameter.__mro__[1]
"""What typer raises for all of it; by its version that is its own or click's."""


@contextmanager
def ours(context: Any) -> Iterator[None]:
    """Say what typer complains of while it reads the words of that command in ours."""
    try:
        yield
    except WordsWereOff as error:
        raise of(error, context) from error


def no_command(path: str, word: str, meanings: Mapping[str, str]) -> UsageError:
    """A word that is no command of the group; `meanings` are those that are one."""
    near = wording.meaning(word, {**meanings, aliases.HELP: "--help"}) or "--help"
    return UsageError(f"{path} has no command '{word}'.", f"{path} {near}")


def too_many(context: Any, word: str) -> UsageError:
    """A word more than the command takes; an instance's name, maybe."""
    path, params = context.command_path, context.command.params
    named = next((each for each in params if "--name" in each.opts), None)
    takes_words = any(each.param_type_name == "argument" for each in params)
    is_name = named is not None and not takes_words and _is_name(word)
    return UsageError(
        f"{path} does not take '{word}'.", f"{path} --name {word}" if is_name else f"{path} --help"
    )


def of(error: Exception, context: Any) -> UsageError:
    """Typer's complaint in our two lines."""
    found: Any = error
    path, help_of = context.command_path, f"{context.command_path} --help"
    if hasattr(found, "possibilities"):
        return _no_option(context, found.option_name)
    if hasattr(found, "option_name"):
        flag, param = found.option_name, _option(context, found.option_name)
        if param is None or param.is_flag:
            return UsageError(f"{path} {flag} takes no value.", f"{path} {flag}")
        return UsageError(f"{path} {flag} wants a value.", f"{path} {_typed(param, flag)}")
    if hasattr(found, "param_type") and found.param is not None:
        wanted = [_typed(each) for each in context.command.params if each.required]
        return UsageError(
            f"{path} wants {_typed(found.param)}.", " ".join((path, *dict.fromkeys(wanted)))
        )
    if (param := getattr(found, "param", None)) is not None:
        return UsageError(f"{_typed(param).split()[0]}: {found.message}", help_of)
    message = getattr(found, "format_message", found.__str__)()
    return UsageError(" ".join(message.split()), help_of)


_TELLING = len("--ab")


def _no_option(context: Any, flag: str) -> UsageError:
    """An option that is none here: one that is nearly it, or where it has to stand."""
    path = context.command_path
    flags = {each: param for param in context.command.get_params(context) for each in param.opts}
    near = wording.nearest(flag, flags) if len(flag) >= _TELLING else None
    way_out = f"{path} --help"
    if near is not None:
        way_out = f"{path} {_typed(flags[near], near)}"
    elif (behind := _behind_a_command(context, flag)) is not None:
        way_out = f"{path} COMMAND {_typed(behind, flag)}"
    return UsageError(f"{path} has no option '{flag}'.", way_out)


def _behind_a_command(context: Any, flag: str) -> Any:
    """The option of that name that the commands of a group have; None where none has."""
    group = context.command
    names = group.list_commands(context) if hasattr(group, "list_commands") else ()
    commands = (group.get_command(context, name) for name in names)
    return next((each for one in commands for each in one.params if flag in each.opts), None)


def _option(context: Any, flag: str) -> Any:
    return next((each for each in context.command.get_params(context) if flag in each.opts), None)


def _typed(param: Any, flag: str | None = None) -> str:
    """How a parameter is typed: `NAME`, `--ttl TIME`, `--json`."""
    if param.param_type_name == "argument":
        return str(param.metavar or param.name.upper())
    flag = flag or param.opts[-1]
    return flag if param.is_flag else f"{flag} {param.metavar or 'VALUE'}"


def _is_name(word: str) -> bool:
    try:
        check_name(word)
    except UsageError:
        return False
    return True
