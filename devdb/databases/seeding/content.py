"""What a seed is, told by its first bytes; its name says nothing."""

from __future__ import annotations

import codecs
import re
from enum import StrEnum

HEAD = 64 * 1024
"""Bytes that `packing`, `kind` and `foreign` want to see, or as many as there are."""


class Kind(StrEnum):
    """What can be loaded, once it is unpacked."""

    PLAIN = "plain SQL"
    CUSTOM = "custom"
    TAR = "tar"
    """What pg_dump -Ft writes."""
    DIRECTORY = "directory"
    BUNDLE = "bundle"
    """A tar that somebody packed something else in: a directory-format dump, a file."""


class Packing(StrEnum):
    """What it can be packed in."""

    GZIP = "gzip"
    ZSTD = "zstd"
    BZIP2 = "bzip2"
    XZ = "xz"


_PACKINGS = (
    (b"\x1f\x8b", Packing.GZIP),
    (b"\x28\xb5\x2f\xfd", Packing.ZSTD),
    (b"BZh", Packing.BZIP2),
    (b"\xfd7zXZ\x00", Packing.XZ),
    (b"\x5d\x00\x00", Packing.XZ),  # .lzma, which xz reads too
)
_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
"""How a frame of zstd begins that holds no data: pzstd's files begin with one."""

_ARCHIVE = b"PGDMP"
# Both the tar and the directory format call themselves tar in there. In a tar, pg_dump's first
# member is this file, of an owner that nobody has (src/bin/pg_dump/pg_backup_tar.c).
_TOC = b"toc.dat\0"
_USER, _GROUP = (slice(108, 115), b"0004000"), (slice(116, 123), b"0002000")


def packing(head: bytes) -> Packing | None:
    """What it is packed in; None when it is not."""
    if _SKIPPABLE.match(head):
        return Packing.ZSTD
    return next((found for magic, found in _PACKINGS if head.startswith(magic)), None)


def kind(head: bytes) -> Kind:
    """What it is, unpacked; plain SQL where nothing says otherwise."""
    if head.startswith(_ARCHIVE):
        return Kind.CUSTOM
    if head[257:262] == b"ustar":
        theirs = all(head[where] == owner for where, owner in (_USER, _GROUP))
        return Kind.TAR if head.startswith(_TOC) and theirs else Kind.BUNDLE
    return Kind.PLAIN


def is_toc(head: bytes) -> bool:
    """Whether a file that begins so is a dump's table of contents."""
    return head.startswith(_ARCHIVE)


def encoding(head: bytes) -> str | None:
    """The codec of text that is not in an encoding of Postgres': UTF-16 or UTF-32."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # Without a mark: nearly every other byte of SQL is none.
    start = head[:256]
    for first, codec in ((1, "utf-16-le"), (0, "utf-16-be")):
        empty, others = start[first::2], start[1 - first :: 2]
        if len(empty) >= 4 and empty.count(0) > 0.8 * len(empty) and 0 not in others:
            return codec
    return None


_OTHERS = (
    (b"\x89PNG", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"GIF8", "a picture (GIF)"),
    (b"%PDF", "a PDF"),
    (b"\x7fELF", "a program"),
    (b"\xcf\xfa\xed\xfe", "a program"),
    (b"MZ\x90\x00", "a program of Windows"),
    (b"PGCOPY\n\xff\r\n\x00", "the binary data of a COPY, with no table to it"),
    (b"\xd0\xcf\x11\xe0", "an old document of Office"),
)
_PACKED_OTHERWISE = (
    (b"PK\x03\x04", "zip", "unzip -p {} | devdb temp --seed -"),
    (b"7z\xbc\xaf\x27\x1c", "7z", "7z x -so {} | devdb temp --seed -"),
    (b"Rar!", "rar", "unrar p -inul {} | devdb temp --seed -"),
    (b"\x04\x22\x4d\x18", "lz4", "lz4 -dc {} | devdb temp --seed -"),
    (b"\x1f\x9d", "compress (.Z)", "gzip -dc {} | devdb temp --seed -"),
    (b"LZIP", "lzip", "lzip -dc {} | devdb temp --seed -"),
    (b"age-encryption.org/", "age, encrypted", "age -d {} | devdb temp --seed -"),
    (b"-----BEGIN PGP MESSAGE", "PGP, encrypted", "gpg -d {} | devdb temp --seed -"),
)
_PGLOADER = "Bring it into Postgres with pgloader first: https://pgloader.io"
_TEXTS = (
    (
        rb"-- (?:MySQL|MariaDB) dump|/\*!\d{5,6} SET |\)\s*ENGINE\s*=\s*\w+"
        rb"|CREATE TABLE (?:IF NOT EXISTS )?`",
        "a dump of MySQL or MariaDB",
        _PGLOADER,
    ),
    (rb"\A\s*PRAGMA foreign_keys", "a dump of SQLite", _PGLOADER),
    (
        rb"(?im)^\s*SET ANSI_NULLS ON|^\s*USE \[\w+\]\s*$",
        "a script of SQL Server",
        "Postgres needs SQL of its own: convert it first.",
    ),
    (
        rb"(?i)\A\s*(?:<!doctype html|<html|<\?xml)",
        "a web page, not what it links to",
        "Download the file itself (on GitHub: Raw).",
    ),
    (
        rb"\Aversion https://git-lfs\.github\.com/",
        "a pointer of Git LFS, not the file",
        "Fetch the file itself: git lfs pull",
    ),
)


def foreign(head: bytes, name: str) -> tuple[str, str] | None:
    """Of plain text that is none of Postgres': what it is and what to do; None when it may be."""
    for magic, what in _OTHERS:
        if head.startswith(magic):
            return f"is {what}", _WANTED
    for magic, what, way in _PACKED_OTHERWISE:
        if head.startswith(magic):
            return f"is packed with {what}", f"Unpack it first: {way.format(name)}"
    if head.startswith(b"SQLite format 3\0"):
        return "is a database of SQLite", _PGLOADER
    for pattern, what, way in _TEXTS:
        if re.search(pattern, _without_literals(head)):
            return f"is {what}", way
    if b"\0" in head:
        return "is neither SQL nor an archive of pg_dump", _WANTED
    return None


_WANTED = "It can be SQL, or what pg_dump makes in any of its formats, packed or not."
_LITERALS = re.compile(rb"'[^']*'|\$\w*\$.*?\$\w*\$|^COPY .*?^\\\.$", re.DOTALL | re.MULTILINE)


def _without_literals(head: bytes) -> bytes:
    """What is said of another database inside of a text is no sign of it."""
    return _LITERALS.sub(b"''", head)
