"""The key `s`: psql in the dashboard's own terminal."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence

from devdb.errors import DevdbError
from devdb.model import Endpoint
from devdb.psql import environment


def into(argv: Sequence[str], endpoint: Endpoint) -> list[str]:
    """The command that opens psql on an instance, as that role and in that database.

    A conninfo, as psql would take a name with `=` in it for one.
    """
    name = endpoint.database.replace("\\", r"\\").replace("'", r"\'")
    return [*argv, "-U", endpoint.user, "-d", f"dbname='{name}'"]


def run(argv: Sequence[str], password: str) -> None:
    """Run it on the terminal until it ends; raises DevdbError."""
    # Ctrl-C goes to the whole foreground group, and here it is psql's alone. Not SIG_IGN:
    # that would be inherited, and psql could not be interrupted at all.
    before = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        code = subprocess.call(argv, env=environment(password))
        if code != 0:
            # Otherwise the dashboard would cover up what psql said.
            input(f"psql ended with {code}; Enter goes back to the dashboard. ")
    except EOFError:
        return
    except OSError as error:
        raise DevdbError(
            f"{argv[0]} cannot be run: {error.strerror or error}.", "devdb doctor"
        ) from error
    finally:
        signal.signal(signal.SIGINT, before)
