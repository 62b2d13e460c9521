"""Whether the data home outlasts the container that devdb is in."""

from __future__ import annotations

import os
import re
from pathlib import Path

from devdb import paths
from devdb.model import Finding, Level

_MOUNTS = Path("/proc/self/mountinfo")
_LAYERS = re.compile(r"^(?:\S+ ){4}/ .* - (?:overlay|aufs|fuse\.fuse-overlayfs) ", re.MULTILINE)
_ENGINES_FILES = re.compile(r"^(?:\S+ ){4}/etc/(?:hostname|hosts|resolv\.conf) ", re.MULTILINE)
"""An engine puts its own over the container's; a live system, which has layers too, does not."""


def warning() -> Finding | None:
    """That the data home goes with the container it is in; None where it does not.

    Nor in CI, where that is meant.
    """
    place = paths.data_home()
    if os.environ.get("CI") or not _is_in_container():
        return None
    there = next(each for each in (place, *place.parents) if each.exists())
    if there.stat().st_dev != Path("/").stat().st_dev:
        return None
    return Finding(
        level=Level.WARNING,
        subject="data",
        message=f"{place} is in this container's own layer: rebuilt, it has none of its instances",
        fix=f"mount a volume there, e.g. --mount source=devdb,target={place}",
    )


def _is_in_container() -> bool:
    try:
        mounts = _MOUNTS.read_text(errors="replace")
    except OSError:
        return False
    return bool(_LAYERS.search(mounts) and _ENGINES_FILES.search(mounts))
