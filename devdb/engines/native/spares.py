"""Copies of a template that were made beforehand: a new instance then only takes one.

Copying is most of what a new instance costs, and on a busy disk all of it. A spare is on the
disk for good before anybody takes it, which a copy made in a hurry is not.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import time
from pathlib import Path

from devdb.engines.native import processes
from devdb.engines.native.binaries import Postgres
from devdb.engines.native.owner import Owner
from devdb.engines.native.template import Template, environment

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


def take(template: Template, target: Path, owner: Owner) -> bool:
    """Make a spare the data directory `target`; False when there is none that can be had."""
    for spare in sorted(_home(template).glob("spare-*")):
        status = spare.lstat() if spare.exists() else None
        if status is None or not stat.S_ISDIR(status.st_mode) or status.st_uid != owner.uid:
            continue
        try:
            spare.rename(target)
        except OSError:
            continue  # another start was faster, or the cache is on another file system
        return True
    return False


def refill(template: Template, postgres: Postgres, owner: Owner, *, used_in: Path) -> None:
    """Have the next spare made by a process nobody waits for, where it will be of use.

    Of use means: there is none, and `used_in` is on the same file system. That it cannot be
    made is no loss.
    """
    home = _home(template)
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
        arguments = [template.data, home, name, postgres.program("initdb")]
        processes.spawn(
            ["nice", "/bin/sh", "-c", _FILL, "devdb-spare", *map(str, arguments)],
            owner=owner,
            cwd=home,
            log=Path(os.devnull),
            env=environment(postgres),
        )


def _home(template: Template) -> Path:
    return template.data.parent / "spares"
