"""A new data directory: taken or copied from a prepared one, and made to last."""

from __future__ import annotations

import os
from dataclasses import dataclass

from devdb import marker
from devdb.engines.native import failure, spares, template
from devdb.engines.native.commands import Beats, CommandFailed, copy_tree
from devdb.engines.native.config import Config
from devdb.engines.native.layout import Layout
from devdb.engines.native.owner import Owner
from devdb.engines.native.template import Template
from devdb.replacing import sync_directory, sync_tree


@dataclass(frozen=True, slots=True)
class NewData:
    """What was made, and out of what."""

    template: Template
    is_spare: bool
    """Whether it was on the disk before it was taken."""


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
    make_directories(layout, owner)
    return NewData(prepared, taken)


def make_directories(layout: Layout, owner: Owner) -> None:
    """Make those beside the data that are not there. Raises OSError."""
    if not layout.run.is_dir():
        layout.run.mkdir(mode=0o700)
        owner.give(layout.run)
    layout.etc.mkdir(mode=0o711, exist_ok=True)
    layout.log.mkdir(mode=0o700, exist_ok=True)


def write_out(new: NewData, config: Config) -> None:
    """Have the copy on the disk when this returns; Postgres may be at work in it meanwhile.

    Postgres syncs what it changes itself, and its log before that, and takes all else for safe.
    """
    if not new.is_spare:
        sync_tree(config.layout.data)


def keep(new: NewData, config: Config, owner: Owner) -> None:
    """The instance works: mark the data as whole, and provide for the next instance.

    The data is on the disk by now: a power cut later finds it, and the mark.
    """
    layout = config.layout
    with layout.initialised.open("wb") as file:
        os.fsync(file.fileno())
    for directory in (layout.root, layout.root.parent):
        sync_directory(directory)
    # Whoever makes one instance may never make another.
    if not new.template.is_new:
        spares.refill(new.template, config.postgres, owner, used_in=layout.data)
