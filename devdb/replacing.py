"""Files are replaced whole or not at all: written beside their place, then moved there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def in_place_of(path: Path, *, durable: bool = False) -> Iterator[tuple[BinaryIO, Path]]:
    """A new file, 0600, that takes the place of `path` at the end of the block, and where it is.

    An exception in the block leaves `path` as it was. `durable`: it is on the disk before it takes
    that place. Until then its name is `.NAME-` and eight hex digits. Raises OSError.
    """
    temporary = path.with_name(f".{path.name}-{os.urandom(4).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file, temporary
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def rewrite(path: Path, content: bytes, status: os.stat_result | None, *, mode: int) -> None:
    """Give somebody's own file that content, on the disk when this returns.

    `status` is what the file has: owner and mode stay. None: there is none yet, and a new one gets
    `mode`. Raises OSError; then the file is as it was.
    """
    with in_place_of(path, durable=True) as (file, _):
        if hasattr(os, "fchown"):
            if status:
                _keep_owner(file.fileno(), status)
            os.fchmod(file.fileno(), stat.S_IMODE(status.st_mode) if status else mode)
        file.write(content)
    _sync_directory(path.parent)


def _keep_owner(descriptor: int, status: os.stat_result) -> None:
    mine = os.fstat(descriptor)
    if (mine.st_uid, mine.st_gid) != (status.st_uid, status.st_gid):
        os.fchown(descriptor, status.st_uid, status.st_gid)


def _sync_directory(directory: Path) -> None:
    """Make the rename survive a power cut, where directories can be synced at all."""
    if os.name != "posix":
        return
    with suppress(OSError):  # the new file is in place by now
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
