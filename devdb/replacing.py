"""Files are replaced whole or not at all: written beside their place, then moved there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[tuple[BinaryIO, Path]]:
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
