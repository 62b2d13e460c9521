"""A file's content replaced whole or not at all, its mode and its owner kept."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path


def replace(target: Path, content: bytes, status: os.stat_result | None, *, mode: int) -> None:
    """Make that the file's content; `status` is the file's own, None where there is none yet.

    A new one gets `mode`. Raises OSError; then the file is as it was.
    """
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if hasattr(os, "fchown"):
                if status:
                    _keep_owner(file.fileno(), status)
                os.fchmod(file.fileno(), stat.S_IMODE(status.st_mode) if status else mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(target.parent)


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
