"""The bytes of a seed, from wherever they come and out of whatever they are packed in."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable, Iterator
from typing import IO, Any

from devdb.databases.seeding.content import Packing

_BLOCK = 1 << 20
_PACKED_BLOCK = 1 << 16
"""What comes out of one may be a thousand times as much."""

File = IO[bytes]


class Damaged(Exception):
    """It cannot be read to its end; the text says why: `its gzip data is cut off`."""


class Reader:
    """Bytes that can be looked at before they are read."""

    def __init__(self, blocks: Iterator[bytes], *, file: File | None = None) -> None:
        """`file`: where all of it can be had again from, by its descriptor."""
        self._blocks = blocks
        self._kept: list[bytes] = []
        self.file = file
        self.remarks: list[str] = []
        """What was odd, and no reason to stop."""

    def peek(self, size: int) -> bytes:
        """The next bytes, as many as that, or all that are left."""
        kept = b"".join(self._filled(size))
        self._kept = [kept] if kept else []
        return kept[:size]

    def read(self, size: int) -> bytes:
        """As many bytes as that; fewer only at the end. Raises Damaged, OSError."""
        found = b"".join(self._filled(size))
        self._kept = [found[size:]] if len(found) > size else []
        return found[:size] if len(found) > size else found

    def _filled(self, size: int) -> list[bytes]:
        have = sum(map(len, self._kept))
        while have < size and (block := next(self._blocks, b"")):
            self._kept.append(block)
            have += len(block)
        return self._kept

    def blocks(self) -> Iterator[bytes]:
        """All that is left."""
        while block := self.read(_BLOCK):
            yield block


def plain(file: File) -> Reader:
    """What is in the file from where it is now."""
    return Reader(iter(lambda: file.read(_BLOCK), b""), file=file if _is_regular(file) else None)


def unpacked(packed: Reader, packing: Packing) -> Reader:
    """What is packed in it, one stream after the other if there are several."""
    reader = Reader(iter(()))
    reader.remarks = packed.remarks
    reader._blocks = _unpack(packed, packing)
    return reader


def recoded(text: Reader, encoding: str) -> Reader:
    """The same text in UTF-8."""

    def blocks() -> Iterator[bytes]:
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            for block in text.blocks():
                if told := decoder.decode(block).encode():
                    yield told
            yield decoder.decode(b"", final=True).encode()
        except UnicodeError:
            raise Damaged(f"it begins as {encoding.upper()} and is not") from None

    return Reader(blocks())


def _is_regular(file: File) -> bool:
    import os
    import stat

    try:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except (OSError, ValueError):
        return False


def _unpack(packed: Reader, packing: Packing) -> Iterator[bytes]:
    new, failures = _decompressor(packing)
    block = packed.read(_PACKED_BLOCK)
    while block:
        stream = new()
        try:
            while not stream.eof:
                if told := stream.decompress(block):
                    yield told
                if not stream.eof and not (block := packed.read(_PACKED_BLOCK)):
                    raise Damaged(f"its {packing} data is cut off")
        except failures as error:
            raise Damaged(f"its {packing} data is damaged ({error})") from None
        block = stream.unused_data or packed.read(_PACKED_BLOCK)
        if not block.strip(b"\0"):  # what fills up the last block of a tape
            block = b"" if not packed.peek(1) else block.lstrip(b"\0") or packed.read(_PACKED_BLOCK)
        if block and not _begins(block + packed.peek(16)[: max(0, 16 - len(block))], packing):
            packed.remarks.append(f"what follows its {packing} data was left alone")
            return


def _begins(block: bytes, packing: Packing) -> bool:
    from devdb.databases.seeding import content

    return content.packing(block) == packing


def _decompressor(packing: Packing) -> tuple[Callable[[], Any], tuple[type[Exception], ...]]:
    """What unpacks one stream, and what it raises; imported where they are used."""
    if packing == Packing.GZIP:
        import zlib

        return lambda: zlib.decompressobj(wbits=zlib.MAX_WBITS | 16), (zlib.error,)
    if packing == Packing.BZIP2:
        import bz2

        return bz2.BZ2Decompressor, (OSError, EOFError)
    if packing == Packing.XZ:
        import lzma

        return lzma.LZMADecompressor, (lzma.LZMAError, EOFError)
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd.ZstdDecompressor, (zstd.ZstdError, EOFError)
