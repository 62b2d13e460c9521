"""Where devdb keeps things on this system."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import platformdirs


def data_home() -> Path:
    """The directory of all instances of this user; not made by asking.

    `DEVDB_DATA_DIR` overrides. Root gets a system directory: the unprivileged user its native
    servers run as cannot reach into root's home.
    """
    if override := os.environ.get("DEVDB_DATA_DIR"):
        return Path(override).absolute()
    if _is_root():
        return _system("/var/lib/devdb", platformdirs.site_data_dir("devdb", appauthor=False))
    return Path(platformdirs.user_data_dir("devdb", appauthor=False))


def cache_home() -> Path:
    """The directory of what can be made again: templates, binaries; `DEVDB_CACHE_DIR` overrides."""
    if override := os.environ.get("DEVDB_CACHE_DIR"):
        return Path(override).absolute()
    if _is_root():
        return _system("/var/cache/devdb", platformdirs.site_cache_dir("devdb", appauthor=False))
    return Path(platformdirs.user_cache_dir("devdb", appauthor=False))


def instances_home() -> Path:
    """The directory that has one directory an instance in it."""
    return data_home() / "instances"


def instance_dir(name: str) -> Path:
    """The directory of one instance: its marker, and the data where the engine is native."""
    return instances_home() / name


def lock_path(name: str) -> Path:
    """The lock that is held while an instance is started, stopped or removed."""
    return data_home() / "locks" / f"{name}.lock"


def as_text(path: Path) -> str:
    """The path as UTF-8 text, the same in every locale; bytes that are none are surrogates."""
    return os.fsencode(path).decode("utf-8", "surrogateescape")


def from_text(text: str) -> Path:
    """The path that `as_text` was given."""
    return Path(os.fsdecode(text.encode("utf-8", "surrogateescape")))


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _system(linux: str, elsewhere: str) -> Path:
    return Path(linux) if sys.platform.startswith("linux") else Path(elsewhere)
