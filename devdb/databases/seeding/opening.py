"""Opening a seed: whether it can be one, and what it is, before anything is made for it."""

from __future__ import annotations

import shutil
import sys
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import cast

from devdb.databases.seeding import content, unpacking
from devdb.databases.seeding.content import Kind
from devdb.databases.seeding.unpacking import Damaged, File, Reader
from devdb.errors import DevdbError, UsageError

STDIN = "-"
_TOC = "toc.dat"
_DEEPEST = 4
"""Packings in packings."""
_NOTHING = (
    "What made it failed, as a pg_dump does that is older than its server: look at what that said."
)
_BACKUP = frozenset({"PG_VERSION", "backup_label", "pg_wal.tar", "backup_manifest"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """What a database can be filled from; read once, so it can be used once."""

    name: str
    """As messages call it."""
    kind: Kind
    """PLAIN, CUSTOM, TAR or DIRECTORY."""
    reader: Reader
    """What is in it, unpacked; nothing where it is a DIRECTORY."""
    path: Path | None = None
    """Of the file or the directory; None where it has none."""


@contextmanager
def opened(given: str | Path) -> Iterator[Seed]:
    """The seed in that file or directory, or, for `-`, in what is piped in.

    Raises UsageError when it cannot be one, with what it is instead.
    """
    with ExitStack() as stack:
        try:
            seed = _open(given, stack)
        except FileNotFoundError:
            raise UsageError(
                f"There is no file '{given}'.", "Give the path of one that is there."
            ) from None
        except (OSError, tarfile.TarError, Damaged) as error:
            raise unreadable(str(given), error) from None
        yield seed


def unreadable(name: str, error: Exception) -> DevdbError:
    """The error for a seed that cannot be read to its end, and why."""
    why = getattr(error, "strerror", None) or str(error)
    return DevdbError(
        f"'{name}' cannot be read: {why}.",
        "Take the dump anew, or download it anew; nothing is left of this.",
    )


def _open(given: str | Path, stack: ExitStack) -> Seed:
    path = Path(given)
    # What a shell makes of `<(...)` has a number for its name.
    name = str(path) if path.is_relative_to("/dev") else path.name or str(path)
    if str(given) == STDIN:
        return _look(_stdin(), None, "standard input", stack)
    if path.is_dir():
        return _directory(path, name)
    return _look(stack.enter_context(path.open("rb")), path, name, stack)


def _stdin() -> File:
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError(
            "The seed is what is piped in, and nothing is.", "pg_dump URL | devdb temp --seed -"
        )
    return sys.stdin.buffer


def _look(file: File, path: Path | None, name: str, stack: ExitStack) -> Seed:
    reader = unpacking.plain(file)
    if not reader.peek(1):
        raise UsageError(f"'{name}' is empty.", _NOTHING)
    return _unpack(reader, path, name, stack)


def _unpack(reader: Reader, path: Path | None, name: str, stack: ExitStack) -> Seed:
    for _ in range(_DEEPEST):
        head = reader.peek(content.HEAD)
        packing = content.packing(head)
        if packing is None:
            break
        reader = unpacking.unpacked(reader, packing)
        if not reader.peek(1):
            raise UsageError(f"'{name}' has nothing in it, unpacked.", _NOTHING)
    if encoding := content.encoding(head):
        reader = unpacking.recoded(reader, encoding)
        head = reader.peek(content.HEAD)
        if content.kind(head.lstrip(b"\xef\xbb\xbf")) is not Kind.PLAIN:
            raise UsageError(
                f"'{name}' was an archive of pg_dump, until a shell made text of it.",
                "PowerShell's > does: take the dump with `pg_dump -Fc -f FILE`.",
            )
    kind = content.kind(head)
    if kind is Kind.BUNDLE:
        return _bundle(reader, name, stack)
    if kind is Kind.PLAIN and (other := content.foreign(head, name)):
        what, way = other
        raise UsageError(f"'{name}' {what}.", way)
    return Seed(name=name, kind=kind, reader=reader, path=path)


def _directory(path: Path, name: str) -> Seed:
    toc = path / _TOC
    if not toc.is_file():
        raise UsageError(
            f"'{path}' is a directory, and no dump: there is no {_TOC} in it.",
            "Name the file in it, or what `pg_dump -Fd -f DIRECTORY` makes.",
        )
    with toc.open("rb") as file:
        if not content.is_toc(file.read(content.HEAD)):
            raise UsageError(f"The {_TOC} in '{path}' is that of no dump.", "Take the dump anew.")
    return Seed(name=name, kind=Kind.DIRECTORY, reader=Reader(iter(())), path=path)


def _bundle(reader: Reader, name: str, stack: ExitStack) -> Seed:
    """What somebody packed with tar: a directory-format dump, or a single file."""
    import tempfile

    root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="devdb-seed-")))
    files = []
    with tarfile.open(fileobj=cast(File, _Stream(reader)), mode="r|") as tar:
        for member in tar:
            inside = PurePosixPath(member.name)
            if not member.isreg() or inside.name.startswith("._") or ".." in inside.parts:
                continue
            if inside.name in _BACKUP:
                raise UsageError(
                    f"'{name}' is a copy of a server's files, and no dump.",
                    "Start a server on it, and take a dump of that with pg_dump.",
                )
            target = root.joinpath(*[part for part in inside.parts if part != "/"])
            target.parent.mkdir(parents=True, exist_ok=True)
            packed = tar.extractfile(member)
            assert packed is not None, "it is a regular file"
            with target.open("wb") as copy:
                shutil.copyfileobj(packed, copy, 1 << 20)
            files.append(target)
    tocs = [file for file in files if file.name == _TOC]
    if len(tocs) == 1:
        return _directory(tocs[0].parent, name)
    if len(files) == 1:
        file = stack.enter_context(files[0].open("rb"))
        return _look(file, None, f"{name}/{files[0].name}", stack)
    some = ", ".join(sorted(file.name for file in files)[:3]) or "nothing"
    raise UsageError(
        f"'{name}' is a tar with {len(files)} files in it ({some}...), and no dump of pg_dump's.",
        "Unpack it and name the file that is meant.",
    )


class _Stream:
    """As much of a file as tarfile needs to read a stream."""

    def __init__(self, reader: Reader) -> None:
        self.read = reader.read
