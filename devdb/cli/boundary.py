"""The one place where errors become two lines (or JSON) and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import typer

from devdb import paths
from devdb.cli import aliases
from devdb.errors import DevdbError, ExitCode
from devdb.masking import masked
from devdb.output import envelope, streams

_OTHERS_WORDS = {*aliases.meanings(["psql", "run"])}
"""Commands that hand on what they do not know, and report nothing themselves."""


def main() -> NoReturn:
    """Run the command in `sys.argv` and end the process with its exit code."""
    streams.prepare()
    raise SystemExit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command; returns its exit code, whatever happens in it."""
    try:
        return _invoke(arguments)
    except DevdbError as error:
        return report(error, as_json=_wants_json(arguments))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except OSError as error:
        return report(_from_system(error), as_json=_wants_json(arguments))
    except Exception as error:  # noqa: BLE001 - a bug; the user gets two lines like for the rest
        return report(_bug(error), as_json=_wants_json(arguments))


def report(error: DevdbError, *, as_json: bool) -> int:
    """Say what happened and what to do; returns the exit code."""
    if as_json:
        streams.data(envelope.failed(error))
    else:
        streams.complain(error.message, error.hint)
    return error.exit_code


def _invoke(arguments: Sequence[str]) -> int:
    from devdb.cli.app import command

    try:
        result = command().main(list(arguments), prog_name="devdb", standalone_mode=False)
    except typer.Abort:
        return ExitCode.INTERRUPTED
    return result if isinstance(result, int) else ExitCode.OK


def _from_system(error: OSError) -> DevdbError:
    what = f"{error.filename}: " if error.filename else ""
    _trace(error)
    way_out = "Look at its owner and mode"
    if error.errno in paths.FULL:
        place = Path(os.fsdecode(error.filename or os.curdir)).absolute()
        way_out = f"Make room: {paths.room(place)}"
    return DevdbError(
        f"{what}{error.strerror or error}.", f"{way_out}; DEVDB_DEBUG=1 shows where it was."
    )


def _bug(error: Exception) -> DevdbError:
    _trace(error)
    words = " ".join(masked(str(error)).split())
    return DevdbError(
        f"This is a bug in devdb: {type(error).__name__}: {words}",
        "Run it again with DEVDB_DEBUG=1 and open an issue with what it prints.",
    )


def _trace(error: Exception) -> None:
    if not os.environ.get("DEVDB_DEBUG"):
        return
    import traceback

    for line in masked("".join(traceback.format_exception(error))).rstrip().split("\n"):
        streams.narrate(line)


def _wants_json(arguments: Sequence[str]) -> bool:
    if arguments and arguments[0] in _OTHERS_WORDS:
        return False
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in own
