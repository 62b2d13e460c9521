"""Where devdb keeps things on this system."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

from devdb.errors import DevdbError

FULL = (errno.ENOSPC, errno.EDQUOT)
"""What the system says of a disk without room, or without inodes."""
_FEW_INODES = 50
"""So few that they are what was missing; a data directory takes a thousand."""


def data_home() -> Path:
    """The directory of all instances of this user; not made by asking.

    `DEVDB_DATA_DIR` overrides. Root gets a system directory: the unprivileged user its native
    servers run as cannot reach into root's home. Raises DevdbError for who has no home.
    """
    if override := os.environ.get("DEVDB_DATA_DIR"):
        return Path(override).absolute()
    if _is_root():
        return _of_system("/var/lib/devdb", "site_data_dir")
    if home := _of_user("user_data_dir"):
        return home
    raise DevdbError(
        f"There is no home directory to keep data in: HOME is not set, and {user()} "
        "has no passwd entry.",
        "Set DEVDB_DATA_DIR to a directory of yours that lasts, or set HOME.",
    )


def cache_home() -> Path:
    """The directory of what can be made again: templates, binaries; `DEVDB_CACHE_DIR` overrides.

    Not made by asking. Who has no home has it beside the data. Programs are run from there: for
    root, raises DevdbError when somebody else could have put them there.
    """
    override = os.environ.get("DEVDB_CACHE_DIR")
    if not _is_root():
        if override:
            return Path(override).absolute()
        return _of_user("user_cache_dir") or data_home() / "cache"
    home = Path(override or _of_system("/var/cache/devdb", "site_cache_dir")).absolute()
    if reason := _reason_to_distrust(home):
        raise DevdbError(
            f"Root runs programs from {home}, and {reason}.",
            "Set DEVDB_CACHE_DIR to a directory that only root can change, or unset it.",
        )
    return home


def instances_home() -> Path:
    """The directory that has one directory an instance in it."""
    return data_home() / "instances"


def instance_dir(name: str) -> Path:
    """The directory of one instance: its marker, and the data where the engine is native."""
    return instances_home() / name


def lock_path(name: str) -> Path:
    """The lock that is held while an instance is started, stopped or removed."""
    return data_home() / "locks" / f"{name}.lock"


def way_out(error: OSError, path: Path, *, variable: str = "DEVDB_DATA_DIR") -> str:
    """What to do about what the system refused at `path`, below the directory of `variable`."""
    if error.errno in FULL:
        return f"Make room: {room(path)}; or set {variable} to a directory on another disk."
    return f"Fix its owner or mode, or set {variable} to a directory that is yours."


def room(path: Path) -> str:
    """What is left on the disk of `path`, in words: MB, or the inodes where those are used up."""
    there = next(each for each in (path, *path.parents) if each.exists())
    status = os.statvfs(there)
    if status.f_files and status.f_favail < _FEW_INODES:
        return (
            f"{there} has no inodes left, its {status.f_files} are files by now (df -i), so "
            "delete some"
        )
    return f"{there} has {status.f_bavail * status.f_frsize // 1_000_000} MB free"


def as_text(path: Path) -> str:
    """The path as UTF-8 text, the same in every locale; bytes that are none are surrogates."""
    return os.fsencode(path).decode("utf-8", "surrogateescape")


def from_text(text: str) -> Path:
    """The path that `as_text` was given."""
    return Path(os.fsdecode(text.encode("utf-8", "surrogateescape")))


def user(uid: int | None = None) -> str:
    """The name of that user, or of who runs this; `uid N` for one without a passwd entry."""
    import pwd

    uid = os.geteuid() if uid is None else uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def behind_root() -> str | None:
    """Who became root for this, and has instances of their own in another place; None: nobody.

    Where `DEVDB_DATA_DIR` says the place, it is the same for both.
    """
    if not _is_root() or os.environ.get("DEVDB_DATA_DIR"):
        return None
    who = os.environ.get("SUDO_USER") or os.environ.get("DOAS_USER") or _logged_in()
    return who if who != user() else None


def _logged_in() -> str | None:
    """Who logged in at the terminal, which `su` does not change."""
    try:
        return os.getlogin()
    except OSError:
        return None


def _of_user(kind: str) -> Path | None:
    """That directory of platformdirs; None for a user without HOME and without passwd entry."""
    try:
        found = Path(_of_platform(kind))
    except RuntimeError:
        return None
    return found if found.is_absolute() else None  # older ones leave the `~` there


def _reason_to_distrust(directory: Path) -> str | None:
    """Who besides root could change what is in the directory, or put another in its place.

    As sshd looks at its files: the owner and the mode of it and of every directory on the way, by
    both ways where there is a symlink. Its first level too: one that is root's by now may have been
    another's. In a directory like /tmp nobody moves what is root's.
    """
    real = Path(os.path.realpath(directory))
    inside = sorted(real.iterdir()) if real.is_dir() else []
    # In a user namespace the machine's root is shown as somebody else.
    roots = {0, Path("/").stat().st_uid}
    on_the_way = dict.fromkeys([*reversed(directory.parents), *reversed(real.parents)])
    for place in [*on_the_way, directory, real, *inside]:
        try:
            status, link = place.stat(), place.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        for uid in (link.st_uid, status.st_uid):
            if uid not in roots:
                return f"{place} belongs to {user(uid)}"
        others = stat.S_IWOTH | (stat.S_IWGRP if status.st_gid not in roots else 0)
        if status.st_mode & others and not (place in on_the_way and status.st_mode & stat.S_ISVTX):
            return f"others than root may write to {place}"
    return None


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _of_system(linux: str, kind: str) -> Path:
    return Path(linux if sys.platform.startswith("linux") else _of_platform(kind))


def _of_platform(kind: str) -> str:
    import platformdirs  # 4 ms that root on Linux does not need

    return str(getattr(platformdirs, kind)("devdb", appauthor=False))
