"""What a dashboard is opened on: an instance, and the settings of the project that it is of."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from devdb import config
from devdb.config import Settings
from devdb.model import Spec

_ABOUT_ONESELF = ("DEVDB_CLIENT", "DEVDB_PRESET")


@dataclass(frozen=True, slots=True)
class Target:
    """An instance, the project that it is looked at from, and the settings that hold there."""

    settings: Settings
    project: Path
    name: str
    directory: Path
    """Where the key `e` writes."""


def at_home(spec: Spec, project: Path) -> Target:
    """That instance as `devdb up` has it in its own project; in `project` where it has none.

    Raises UsageError for a devdb.toml that cannot be right.
    """
    home = spec.project
    if home is None or not home.is_dir():
        return Target(Settings(), home or project, spec.name, Path.cwd())
    # Of this shell's variables those about oneself: ports and the like are about its own project.
    own = {key: os.environ[key] for key in _ABOUT_ONESELF if key in os.environ}
    return Target(config.load(home, {"name": spec.name}, own), home, spec.name, home)
