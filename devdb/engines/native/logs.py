"""The servers' log files: read, followed, and kept from growing without end."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from devdb.engines.native.layout import Layout
from devdb.model import LogLine

PARTS = ("postgres", "pgbouncer", "reaper")
KEPT = 5_000_000
"""Bytes of a log file; a longer one is put aside (as `.1`) when its server starts."""
_POLL = 0.1
_CHUNK = 65536


def path(layout: Layout, part: str) -> Path:
    """The log file of that server."""
    return layout.log / f"{part}.log"


def size(layout: Layout, part: str) -> int:
    """Bytes in the log file, 0 when there is none."""
    try:
        return path(layout, part).stat().st_size
    except FileNotFoundError:
        return 0


def rotate(layout: Layout, part: str) -> None:
    """Put a long log file aside; only while its server does not run."""
    if size(layout, part) > KEPT:
        current = path(layout, part)
        current.replace(current.with_suffix(".log.1"))


def since(layout: Layout, part: str, offset: int) -> list[str]:
    """The lines written after that byte."""
    try:
        with path(layout, part).open("rb") as file:
            file.seek(offset)
            return _lines(file.read())
    except FileNotFoundError:
        return []


def read(layout: Layout, *, tail: int, follow: bool) -> Iterator[LogLine | None]:
    """The last `tail` lines of each server, then, with `follow`, what comes; None: nothing."""
    with ExitStack() as stack:
        files: dict[str, BinaryIO] = {}
        for part in PARTS:
            try:
                files[part] = stack.enter_context(path(layout, part).open("rb"))
            except FileNotFoundError:
                continue
            for line in _last(files[part], tail):
                yield LogLine(part=part, text=line)
        if follow:
            yield from _follow(layout, files, stack)


def _last(file: BinaryIO, count: int) -> list[str]:
    """The last lines of the file, read backwards; leaves it at its end."""
    position = file.seek(0, 2)
    end = position
    text = b""
    while position > 0 and text.count(b"\n") <= count:
        position = max(0, position - _CHUNK)
        file.seek(position)
        text = file.read(end - position)
    file.seek(end)
    return _lines(text)[-count:] if count else []


def _lines(text: bytes) -> list[str]:
    """Not splitlines(): whoever may write to a log may write U+2028 to it."""
    return text.decode(errors="replace").removesuffix("\n").split("\n") if text else []


def _follow(
    layout: Layout, files: dict[str, BinaryIO], stack: ExitStack
) -> Iterator[LogLine | None]:
    rests: dict[str, bytes] = {}
    while True:
        quiet = True
        for part in PARTS:
            if _moved(layout, part, files.get(part)):
                files[part] = stack.enter_context(path(layout, part).open("rb"))
            if part in files and (chunk := files[part].read(_CHUNK)):
                quiet = False
                *lines, rests[part] = (rests.get(part, b"") + chunk).split(b"\n")
                for line in lines:
                    yield LogLine(part=part, text=line.decode(errors="replace"))
        if quiet:
            yield None
            time.sleep(_POLL)


def _moved(layout: Layout, part: str, file: BinaryIO | None) -> bool:
    """Whether another file is there under that name than the one that is read."""

    try:
        now = path(layout, part).stat()
    except FileNotFoundError:
        return False
    return file is None or os.fstat(file.fileno()).st_ino != now.st_ino
