"""Lines of a container as engines print them, with time stamps."""

from __future__ import annotations

import re
from datetime import datetime

from devdb.model import LogLine

_STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d) ")
_PIECE = 16384
"""Bytes of a line that engines keep as one; each piece of a longer line has a stamp."""


def log_line(part: str, line: bytes) -> LogLine:
    """The line without its time stamps: one at its head, one before each further piece."""
    moment = None
    pieces = []
    while found := _STAMP.match(line):
        if moment is None:
            moment = datetime.fromisoformat(found[0].decode().strip())
        rest = line[found.end() :]
        pieces.append(rest[:_PIECE])
        line = rest[_PIECE:]
    text = b"".join([*pieces, line]).decode(errors="replace")
    return LogLine(part=part, text=text.rstrip("\r"), moment=moment)
