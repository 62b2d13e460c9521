"""How many files another process may have open, where the system tells everybody: on Linux."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from pathlib import Path

UNLIMITED = 1_000_000
"""What `unlimited` is taken for: more than anything here asks for."""


def limit_of(pid: int) -> int | None:
    """The soft limit of that process; None where nobody tells."""
    with suppress(OSError):
        text = Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
        if found := re.search(r"^Max open files +(\w+)", text, re.MULTILINE):
            return int(found[1]) if found[1].isdecimal() else UNLIMITED
    return None


def lowest_limit(*names: str) -> int | None:
    """The lowest soft limit of the processes of these names; None where none is seen."""
    if not sys.platform.startswith("linux"):
        return None
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (place / "comm").read_text(encoding="utf-8").strip() in names:
                found.append(limit_of(int(place.name)))
    return min((limit for limit in found if limit is not None), default=None)
