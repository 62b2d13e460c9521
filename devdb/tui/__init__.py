"""The dashboard: what `devdb up` opens on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from devdb.config import Settings
from devdb.errors import ExitCode
from devdb.tui.app import DevdbApp
from devdb.tui.ending import Unfinished, leaving_at_signals

__all__ = ["DevdbApp", "run"]


def run(settings: Settings, project: Path, name: str | None, consent: Collection[str] = ()) -> int:
    """Start or attach to the instance, show it until the user leaves; returns the exit code.

    `name` is a resolved one, None for the list of all instances; `consent` as in `workspace.up`.
    What is left to say is said on stderr, after the screen is gone. Raises the DevdbError that the
    dashboard was left with, and the exception it broke off with.
    """
    unfinished = Unfinished()
    with _on_the_terminal():
        return shown(DevdbApp(settings, project, name, unfinished, consent), unfinished)


def shown(app: DevdbApp, unfinished: Unfinished) -> int:
    """Run the app to its end; what it returns and raises: see `run`."""
    app.wear()
    with leaving_at_signals(app, unfinished):
        ending = app.run()
    if app.bug is not None:
        raise app.bug
    if ending is None:
        return app.return_code or ExitCode.FAILURE
    if ending.error is not None:
        raise ending.error
    others = [
        f"'{name}', started here too, was not stopped: devdb down {name} stops it."
        for name in app.started_here
        if name not in ending.told
    ]
    for words in (ending.words, *others):
        if words:
            sys.stderr.write(f"{words}\n")
    return ending.code


@contextmanager
def _on_the_terminal() -> Iterator[None]:
    """Have it drawn where one sees it: Textual draws on stderr, and that may be a file."""
    before = sys.__stderr__
    if before is None or not before.isatty():
        sys.__stderr__ = sys.__stdout__  # type: ignore[misc]
    try:
        yield
    finally:
        sys.__stderr__ = before  # type: ignore[misc]
