"""Where the data of an instance for tests may be: in memory where there is room, else on disk."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - it is asked whether it is one, and names in it are random
SYSTEM = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")
NEEDED = 256_000_000
"""Bytes that have to be free for data to be put into memory.

A new cluster takes 40 to 46 MB, its log of changes up to 128 MB; a template of thirty tables and
each clone of it 8 to 10 MB. What is left is for what the tests write.
"""
SPARED = 256_000_000
"""Bytes of memory that are left to everything else: programs have to go on."""
ON_DISK = 300_000_000
"""Bytes that databases may take there: to delete 1 GB of them, 51 000 files, took a busy disk 75 s,
and all is to be gone within a minute."""
RESERVE = 8_000_000
"""Bytes that are enough for Postgres to drop a database, which it has to write for."""
_MOST = 4_000_000_000
_TMPFS = "tmpfs"


def obstacle(*, in_files: bool) -> str | None:
    """Why data cannot be in memory, in words; None where it can. `in_files`: below `MEMORY`."""
    if in_files:
        if not _is_in_memory(MEMORY):
            return f"there is no {MEMORY} that is memory"
        if not os.access(MEMORY, os.W_OK | os.X_OK):
            return f"{MEMORY} may not be written to"
        if (free := _free(MEMORY)) < NEEDED:
            return f"{MEMORY} has {_megabytes(free)} free, {_megabytes(NEEDED)} are needed"
    memory, wanted = available(), NEEDED + SPARED
    if memory is not None and memory < wanted:
        return f"{_megabytes(memory)} of memory are available, {_megabytes(wanted)} are needed"
    return None


def room(home: Path, *, in_memory: bool) -> int:
    """Bytes that databases may take now: at most 4 GB, on disk 300 MB, a quarter of the memory that
    is available, and half of what is free in the file system.

    `home` is the data home; where data is `in_memory` and it is not, they are an engine's.
    """
    limits = [_MOST if in_memory else ON_DISK]
    if not in_memory or _is_in_memory(home):
        limits.append(_free(home) // 2)
    if in_memory and (memory := available()) is not None:
        limits.append(memory // 4)
    return min(limits)


def reserve(home: Path) -> None:
    """Take `RESERVE` bytes of the file system of that data home, if there is ten times as much."""
    path = _reserve(home)
    with suppress(OSError):
        if path.exists() or _free(home) < 10 * RESERVE:
            return
        with path.open("xb") as file:
            os.posix_fallocate(file.fileno(), 0, RESERVE)


def relieve(home: Path) -> None:
    """Give them back."""
    _reserve(home).unlink(missing_ok=True)


def _reserve(home: Path) -> Path:
    return home / "reserve"


def available() -> int | None:
    """Bytes of memory that may still be taken, by the system and by the group that we are in."""
    known = [bytes_ for bytes_ in (_of_system(), _of_group()) if bytes_ is not None]
    return min(known, default=None)


def _of_system() -> int | None:
    """MemAvailable (proc_meminfo(5)); None where there is no such thing."""
    with suppress(OSError):
        text = SYSTEM.read_text(encoding="ascii", errors="replace")
        if found := re.search(r"^MemAvailable:\s+(\d+) kB$", text, re.MULTILINE):
            return int(found[1]) * 1024
    return None


def _of_group() -> int | None:
    """What the limit of a container leaves; what is in a tmpfs counts towards it.

    https://docs.kernel.org/admin-guide/cgroup-v2.html, and v1's names of the same. Caches of
    files count as taken there and would be given up: so they are added again.
    """
    for limit, used, unused in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        with suppress(OSError, ValueError):
            most = int((GROUP / limit).read_text())  # "max": there is none
            taken = int((GROUP / used).read_text())
            facts = (GROUP / limit).with_name("memory.stat").read_text()
            found = re.search(rf"^{unused} (\d+)$", facts, re.MULTILINE)
            return max(0, most - taken + int(found[1] if found else 0))
    return None


def _is_in_memory(directory: Path) -> bool:
    """Whether it is in memory, by what the system says is mounted there."""
    with suppress(OSError):
        real = os.path.realpath(directory)
        mounted = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
        kinds: dict[str, str] = {}
        for line in mounted:  # proc_pid_mountinfo(5); a later one lies over an earlier one
            before, _, after = line.partition(" - ")
            kinds[before.split()[4]] = after.split()[0]
        above = (real, *map(str, Path(real).parents))
        return next((kinds[each] for each in above if each in kinds), "") == _TMPFS
    return False


def _free(directory: Path) -> int:
    facts = os.statvfs(directory)
    return facts.f_bavail * facts.f_frsize


def _megabytes(size: int) -> str:
    return f"{size // 1_000_000} MB"
