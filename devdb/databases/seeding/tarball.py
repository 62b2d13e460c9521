"""Whether a tar is there to its end: pg_restore up to 15 reads on for ever where it is cut off."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterable, Iterator

from devdb.databases.seeding.unpacking import Damaged, File

_BLOCK = tarfile.BLOCKSIZE


def check(file: File) -> None:
    """Raises Damaged where the file ends before its tar does; looks at its headers only."""
    at, end = 0, os.fstat(file.fileno()).st_size
    while at <= end:
        file.seek(at)
        length = _length(file.read(_BLOCK))
        if length is None:
            return
        at += _BLOCK + length
    raise _cut_off()


def checked(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same blocks; raises Damaged where they end before the tar does."""
    header, left, ended = b"", 0, False
    for block in blocks:
        yield block
        at = 0
        while at < len(block) and not ended:
            if left:
                step = min(left, len(block) - at)
                left -= step
            else:
                step = min(_BLOCK - len(header), len(block) - at)
                header += block[at : at + step]
                if len(header) == _BLOCK:
                    length = _length(header)
                    header, left, ended = b"", length or 0, length is None
            at += step
    if not ended:
        raise _cut_off()


def _length(header: bytes) -> int | None:
    """The bytes of the member that the header announces, in whole blocks; None at the end."""
    if len(header) == _BLOCK and not header.strip(b"\0"):
        return None
    try:
        size = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape").size
    except tarfile.HeaderError:
        raise _cut_off() from None
    return -(-size // _BLOCK) * _BLOCK


def _cut_off() -> Damaged:
    return Damaged("its tar data is cut off")
