"""Where a command was given, and which instance it therefore means."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from devdb import config
from devdb.errors import DevdbError
from devdb.model import Spec
from devdb.output import streams


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """The project a command was given in, and the settings that hold there."""

    directory: Path
    project: Path
    settings: config.Settings

    def instance(self) -> Spec:
        """The instance that a command other than `up` means; raises NotFound."""
        from devdb.workspace.names import resolve_existing

        return resolve_existing(self.settings.name, self.project)

    def bring_up(self, spec: Spec | None, *, quiet: bool = False) -> Spec:
        """As `start.bring_up`."""
        from devdb.cli.start import bring_up  # 20 ms that mostly nobody needs

        return bring_up(self, spec, quiet=quiet)


def look_around(name: str | None = None, *, quiet: bool = False, **options: object | None) -> Here:
    """Find the project and its settings; raises UsageError for what cannot be right.

    That the instance of another directory is meant is said, unless `quiet`.
    """
    from devdb.workspace.names import elsewhere, place

    try:
        directory = Path.cwd()
    except FileNotFoundError as error:
        raise DevdbError("The current directory is gone.", "cd to one that exists.") from error
    where = place(directory)
    settings = config.load(where.project, {"name": name, **options}, os.environ)
    if not quiet and (news := elsewhere(where, settings)):
        streams.narrate(news)
    return Here(directory=directory, project=where.project, settings=settings)


def existing(name: str | None) -> Spec:
    """The instance of that name or of this project; raises NotFound."""
    return look_around(name).instance()
