"""Files are replaced whole or not at all, and on the disk, where that is wanted, when they are.

A power cut keeps what was synced, and of the rest any part: a name without its content as well.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def in_place_of(path: Path, *, durable: bool = False) -> Iterator[tuple[BinaryIO, Path]]:
    """A new file, 0600, that takes the place of `path` at the end of the block, and where it is.

    An exception in the block leaves `path` as it was. `durable`: it is on the disk before it takes
    that place, and in that place after it. Until then its name is `.NAME-` and eight hex digits.
    Raises OSError.
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
    if durable:
        with suppress(OSError):  # the new file is in place by now
            sync_directory(path.parent)


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


def _keep_owner(descriptor: int, status: os.stat_result) -> None:
    mine = os.fstat(descriptor)
    if (mine.st_uid, mine.st_gid) != (status.st_uid, status.st_gid):
        os.fchown(descriptor, status.st_uid, status.st_gid)


def sync_directory(directory: Path) -> None:
    """Make the names in it survive a power cut, where directories can be synced at all.

    Raises OSError.
    """
    if os.name == "posix":
        _sync(directory)


def sync_tree(directory: Path) -> None:
    """Make all that is in the directory survive a power cut. Raises OSError.

    On Linux by one call for its whole file system: 0.03 s for a new data directory, where syncing
    its thousand files takes 0.2 s (`initdb --sync-method=syncfs` does the same).
    """
    if not _sync_file_system(directory):
        for place, _, names in os.walk(directory, topdown=False, onerror=_raise):
            files = [path for name in names if (path := Path(place, name)).is_file()]
            for path in (*files, Path(place)):
                _sync(path)


def _sync_file_system(directory: Path) -> bool:
    """Whether there is a call that does it; Python's own has `sync`, for all file systems."""
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        if library.syncfs(descriptor) == 0:
            return True
        error = ctypes.get_errno()
    except AttributeError:  # a C library without it
        return False
    finally:
        os.close(descriptor)
    if error in (errno.ENOSYS, errno.EOPNOTSUPP):
        return False
    raise OSError(error, os.strerror(error), str(directory))


def _raise(error: OSError) -> None:
    raise error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
