"""The options that several commands have, and what the shell completes them with."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from devdb.config.table import SETTINGS
from devdb.errors import DevdbError, UsageError
from devdb.masking import visible
from devdb.model import Spec


def names(incomplete: str = "") -> list[tuple[str, str]]:
    """The instances there are, with their projects; nothing when they cannot be read."""
    from devdb import marker

    try:
        specs = marker.every()
    except (DevdbError, OSError):
        return []
    return [
        (spec.name, visible(str(spec.project or "")))
        for spec in specs
        if spec.name.startswith(incomplete)
    ]


def clients(incomplete: str = "") -> list[tuple[str, str]]:
    """The clients of `--for`, with who they are."""
    from devdb.urls.clients import CLIENTS

    found = CLIENTS.values()
    return [(each.name, each.used_by) for each in found if each.name.startswith(incomplete)]


def presets(incomplete: str = "") -> list[tuple[str, str]]:
    """The presets of `env`, with whose they are."""
    from devdb.urls.presets import AUTO, PRESETS

    known = {AUTO: "what the project's files ask for"}
    known |= {each.name: each.used_by for each in PRESETS.values()}
    return [(name, words) for name, words in known.items() if name.startswith(incomplete)]


def temporaries(ctx: typer.Context, incomplete: str = "") -> list[str]:
    """The temporary databases of the instance that is meant; nothing when it cannot be asked."""
    from devdb import databases

    try:
        found = databases.every(_meant(ctx))
    except (DevdbError, OSError):
        return []
    return [each.name for each in found if each.name.startswith(incomplete)]


def databases(ctx: typer.Context, incomplete: str = "") -> list[str]:
    """All databases of the instance that is meant; nothing when it cannot be asked."""
    from devdb import postgres

    try:
        found = postgres.databases(_meant(ctx).direct)
    except (DevdbError, OSError):
        return []
    return [name for name, _ in found or () if name.startswith(incomplete)]


def _meant(context: Any) -> Spec:
    """The instance that the words so far mean: `-n` may stand behind `temp` or its command."""
    from devdb.cli.here import look_around

    around = [each for each in (context, context.parent) if each is not None]
    name = next(filter(None, (each.params.get("name") for each in around)), None)
    return look_around(name, quiet=True).instance()


def a_file(path: Path | None) -> Path | None:
    """The file of `--env`, which `-` is none of; raises UsageError."""
    if path == Path("-"):
        raise UsageError("--env: - is no file.", "Lines for a pipe: devdb env --file -")
    return path


_WORDS: dict[str, Any] = {"name": names, "preset": presets, "client": clients}
"""What completes a setting that takes more than its own choices."""


def source(words: str) -> Any:
    """The option `--from`, with that help."""
    return typer.Option(
        "--from", metavar="DB", help=words, autocompletion=databases, show_default=False
    )


def seed(words: str) -> Any:
    """The option `--seed`, with that help."""
    return typer.Option("--seed", metavar="FILE", help=words, show_default=False)


def of(name: str) -> Any:
    """The option of a setting, whose value is text here: the settings say who gave a wrong one."""
    setting = SETTINGS[name]
    words = (lambda: list(setting.choices)) if setting.choices else _WORDS.get(name)
    option = f"{setting.option}/--no-{setting.key}" if setting.is_flag else setting.option
    return typer.Option(
        *filter(None, (setting.letter, option)),
        metavar=setting.metavar or None,
        help=f"{setting.help}  [{setting.default}]" if setting.default else setting.help,
        autocompletion=words,
        show_default=False,
    )


def with_settings(command: Callable[..., int]) -> Callable[..., int]:
    """The command, with the options of its settings where its `*` is.

    It gets them in its `**`, which is all it has to know of them. Typer reads a signature.
    """
    signature = inspect.signature(command, eval_str=True)
    own = [each for each in signature.parameters.values() if each.kind != each.VAR_KEYWORD]
    settings = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[(bool if setting.is_flag else str) | None, of(name)],
        )
        for name, setting in SETTINGS.items()
        if command.__name__ in setting.commands
    ]
    parameters = sorted([*settings, *own], key=attrgetter("kind"))
    cast(Any, command).__signature__ = signature.replace(parameters=parameters)
    return command


Name = Annotated[str | None, of("name")]
Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME...]",
        help="Instances; globs work ('shop-*').",
        autocompletion=names,
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Report as JSON on stdout.")]
Force = Annotated[bool, typer.Option("-f", "--force", help="Do not ask.")]
Tls = Annotated[
    str | None,
    typer.Option(
        "--tls",
        metavar="[require|verify-full]",
        help="Ask for TLS in that client's way; alone: require.",
        autocompletion=lambda: ["require", "verify-full"],
        show_default=False,
    ),
]
Client = Annotated[str | None, of("client")]
