"""The options that several commands have, and what the shell completes them with."""

from __future__ import annotations

import fnmatch
from typing import Annotated

import typer

from devdb.errors import DevdbError


def names(incomplete: str = "") -> list[tuple[str, str]]:
    """The instances there are, with their projects; nothing when they cannot be read."""
    from devdb import marker

    try:
        specs = marker.every()
    except (DevdbError, OSError):
        return []
    return [
        (spec.name, str(spec.project or ""))
        for spec in specs
        if fnmatch.fnmatchcase(spec.name, f"{incomplete}*")
    ]


def new_app() -> typer.Typer:
    """The commands of one module."""
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


Name = Annotated[
    str | None,
    typer.Option(
        "-n",
        "--name",
        metavar="NAME",
        help="The instance; else DEVDB_NAME, else this project's.",
        autocompletion=names,
        show_default=False,
    ),
]
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
