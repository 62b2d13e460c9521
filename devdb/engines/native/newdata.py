"""A new data directory: taken or copied from a prepared one, and in the end made to last."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from devdb import marker
from devdb.engines.native import failure, spares, template
from devdb.engines.native.commands import Beats, CommandFailed, copy_tree
from devdb.engines.native.config import Config
from devdb.engines.native.owner import Owner
from devdb.engines.native.template import Template


@dataclass(frozen=True, slots=True)
class NewData:
    """What was made, and out of what."""

    template: Template
    is_written_out: bool
    """Whether it is on the disk for good."""


def make(config: Config, owner: Owner) -> Beats[NewData]:
    """Make the instance's directories, out of a spare or by copying. Raises DevdbError, OSError."""
    layout = config.layout
    prepared = yield from template.prepared(config.postgres, owner)
    marker.make_private_directory(layout.root)
    layout.starting.touch()
    taken = spares.take(prepared, layout.data, owner)
    if not taken:
        try:
            yield from copy_tree(prepared.data, layout.data)
        except CommandFailed as error:
            raise failure.of_copy(error, layout) from error
    layout.run.mkdir(mode=0o700)
    owner.give(layout.run)
    layout.etc.mkdir(mode=0o711)
    layout.log.mkdir(mode=0o700)
    return NewData(prepared, taken)


def keep(new: NewData, config: Config, owner: Owner) -> None:
    """The instance works: mark the data as whole, and provide for the next instance."""
    layout = config.layout
    _touch_for_good(layout.initialised)
    if not new.is_written_out:
        template.write_out(layout.data, config.postgres, owner)
    # Whoever makes one instance may never make another.
    if not new.template.is_new:
        spares.refill(new.template, config.postgres, owner, used_in=layout.data)


def _touch_for_good(path: Path) -> None:
    """Make the file so that a power cut does not take it back: data without it is discarded."""
    for place, flags in ((path, os.O_WRONLY | os.O_CREAT), (path.parent, os.O_RDONLY)):
        descriptor = os.open(place, flags, 0o600)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
