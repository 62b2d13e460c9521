"""The servers' log files, as their supervisor writes and rotates them: read and followed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from devdb.engines.native.layout import Layout
from devdb.model import LogLine

OLDER = 2
"""Files that are kept besides the one that is written; see `supervisor`."""
PARTS = ("postgres", "pgbouncer", "reaper")
_POLL = 0.1
_CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Position:
    """A place in what a server wrote; it stays right when the file is put aside."""

    file: int = 0
    """The inode; 0: before all there is."""
    offset: int = 0


def path(layout: Layout, part: str) -> Path:
    """The log file that is written now."""
    return layout.log / f"{part}.log"


def _paths(layout: Layout, part: str) -> list[Path]:
    """All of a server's log files that may be there, the newest first."""
    newest = path(layout, part)
    return [newest, *(newest.with_name(f"{newest.name}.{n}") for n in range(1, OLDER + 1))]


def end(layout: Layout, part: str) -> Position:
    """Where what will be written next begins."""
    try:
        status = path(layout, part).stat()
    except FileNotFoundError:
        return Position()
    return Position(status.st_ino, status.st_size)


def since(layout: Layout, part: str, position: Position) -> list[str]:
    """The lines written after that; of a flood those that are kept."""
    texts: list[bytes] = []
    for file in _opened(layout, part):
        with file:
            is_first = os.fstat(file.fileno()).st_ino == position.file
            file.seek(position.offset if is_first else 0)
            texts.insert(0, file.read())
        if is_first:
            break
    return _lines(b"".join(texts))


def _lines(text: bytes) -> list[str]:
    """Not splitlines(): whoever may write to a log may write U+2028 to it."""
    return text.decode(errors="replace").removesuffix("\n").split("\n") if text else []


def _opened(layout: Layout, part: str) -> Iterator[BinaryIO]:
    """Each of a server's log files, the newest first, though they move meanwhile."""
    seen: set[int] = set()
    for each in _paths(layout, part):
        with suppress(FileNotFoundError):
            file = each.open("rb")
            inode = os.fstat(file.fileno()).st_ino
            if inode in seen:
                file.close()
                continue
            seen.add(inode)
            yield file


def read(layout: Layout, *, tail: int, follow: bool) -> Iterator[LogLine | None]:
    """The last `tail` lines of each server, then, with `follow`, what comes; None: nothing."""
    followers = []
    for part in PARTS:
        follower = _Follower(layout, part)
        followers.append(follower)
        for line in follower.last(tail):
            yield LogLine(part=part, text=line)
    if follow:
        yield None
    try:
        while follow:
            quiet = True
            for follower in followers:
                for line in follower.more():
                    quiet = False
                    yield LogLine(part=follower.part, text=line)
            if quiet:
                yield None
                time.sleep(_POLL)
    finally:
        for follower in followers:
            follower.close()


class _Follower:
    """Reads one server's log: its end, then what comes, over the change from file to file."""

    def __init__(self, layout: Layout, part: str) -> None:
        self.part = part
        self._layout = layout
        self._file: BinaryIO | None = None
        self._rest = b""

    def last(self, count: int) -> list[str]:
        """The last lines, from as many files as it takes; stands at the end then."""
        text = b""
        for file in _opened(self._layout, self.part):
            if self._file is None:
                self._file = file
            text = _end_of(file, count - text.count(b"\n")) + text
            if file is not self._file:
                file.close()
            if text.count(b"\n") > count:
                break
        return _lines(text)[-count:] if count else []

    def more(self) -> list[str]:
        """The lines that came since."""
        # Looked for before reading: what is written to a file once it was put aside is nothing.
        newer = self._newer()
        chunk = self._file.read(_CHUNK) if self._file else b""
        if not chunk and newer is not None:
            self.close()
            self._file = newer
            chunk = newer.read(_CHUNK)
        elif newer is not None:
            newer.close()
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [line.decode(errors="replace") for line in lines]

    def _newer(self) -> BinaryIO | None:
        """The file that follows the one that is read; None while there is none."""
        mine = os.fstat(self._file.fileno()).st_ino if self._file else 0
        if mine and mine == end(self._layout, self.part).file:
            return None
        newer: BinaryIO | None = None
        for file in _opened(self._layout, self.part):
            if os.fstat(file.fileno()).st_ino == mine:
                file.close()
                break
            if newer is not None:
                newer.close()
            newer = file
            if not mine:
                break
        return newer

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
        self._file = None


def _end_of(file: BinaryIO, count: int) -> bytes:
    """So much of the end that it has more than `count` line ends, or all; leaves it at its end."""
    position = end = file.seek(0, 2)
    text = b""
    while position > 0 and text.count(b"\n") <= count:
        position = max(0, position - _CHUNK)
        file.seek(position)
        text = file.read(end - position)
    file.seek(end)
    return text
