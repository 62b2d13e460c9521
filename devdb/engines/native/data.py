"""A new data directory: a copy of a prepared one, made now or beforehand, and made to last.

Copying is most of what a new instance costs, and on a busy disk all of it. A spare copy is on the
disk for good before anybody takes it, which one made in a hurry is not.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from devdb import marker, processes
from devdb.engines.native import failure, template
from devdb.engines.native.binaries import Postgres
from devdb.engines.native.commands import CommandFailed, copy_tree
from devdb.engines.native.config import Config
from devdb.engines.native.layout import Layout
from devdb.engines.native.owner import Owner
from devdb.engines.native.template import Template
from devdb.engines.waiting import Beats
from devdb.replacing import sync_directory, sync_tree

_ABANDONED = 300.0
"""Seconds after which a spare that is still being made has lost its maker."""

# $1 the template, $2 where spares are, $3 the new one's name, $4 initdb. The directory that is
# built in is the lock as well.
_FILL = """
mkdir "$2/.filling" || exit 0
cp -pR "$1" "$2/.filling/data" &&
    "$4" --sync-only -D "$2/.filling/data" &&
    mv "$2/.filling/data" "$2/$3"
rm -rf "$2/.filling"
"""


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
    taken = _take_spare(prepared, layout.data, owner)
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
    if not layout.etc.is_dir():
        layout.etc.mkdir()
        layout.etc.chmod(0o711)
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
        _refill_spares(new.template, config.postgres, owner, used_in=layout.data)


def _take_spare(prepared: Template, target: Path, owner: Owner) -> bool:
    """Make a spare the data directory `target`; False when there is none that can be had."""
    for spare in sorted(_spares(prepared).glob("spare-*")):
        status = spare.lstat() if spare.exists() else None
        if status is None or not stat.S_ISDIR(status.st_mode) or status.st_uid != owner.uid:
            continue
        try:
            spare.rename(target)
        except OSError:
            continue  # another start was faster, or the cache is on another file system
        return True
    return False


def _refill_spares(prepared: Template, postgres: Postgres, owner: Owner, *, used_in: Path) -> None:
    """Have the next spare made by a process nobody waits for, where it will be of use.

    Of use means: there is none, and `used_in` is on the same file system. That it cannot be
    made is no loss.
    """
    home = _spares(prepared)
    with contextlib.suppress(OSError):
        if home.parent.stat().st_dev != used_in.stat().st_dev:
            return
        if not home.is_dir():
            home.mkdir(mode=0o700)
            owner.give(home)
        if any(home.glob("spare-*")):
            return
        filling = home / ".filling"
        if filling.is_dir() and time.time() - filling.stat().st_mtime > _ABANDONED:
            shutil.rmtree(filling)
        name = f"spare-{secrets.token_hex(4)}"
        arguments = [prepared.data, home, name, postgres.program("initdb")]
        processes.spawn(
            ["nice", "/bin/sh", "-c", _FILL, "devdb-spare", *map(str, arguments)],
            cwd=home,
            log=Path(os.devnull),
            env=template.environment(postgres),
            credentials=owner.credentials,
        )


def _spares(prepared: Template) -> Path:
    return prepared.data.parent / "spares"
