"""Which processes are an instance's, recognised by what they are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from devdb.engines.native.layout import Layout
from devdb.processes import read_pid, words, working_directory

if TYPE_CHECKING:
    import psutil

WORKERS = ("cp",)
"""What works on a data directory besides its servers."""


def is_postmaster(pid: int, layout: Layout) -> bool:
    """Whether that process is the Postgres of this data directory."""
    argv = words(pid)
    if not argv or not Path(argv[0]).name.startswith("postgres"):
        return False
    if str(layout.data) in argv:
        return True
    # Somebody may have started it by hand, with another spelling of the directory.
    return not argv[0].startswith("postgres: ") and working_directory(pid) == str(layout.data)


def is_pooler(pid: int, layout: Layout) -> bool:
    """Whether that process is the PgBouncer of this instance."""
    argv = words(pid)
    return len(argv) > 1 and argv[-1] == str(layout.ini) and "pgbouncer" in Path(argv[0]).name


def is_reaper(pid: int, layout: Layout) -> bool:
    """Whether that process is the shell that runs the instance's reaper."""
    return words(pid)[-1:] == [str(layout.reaper_script)]


def is_supervisor(pid: int, layout: Layout) -> bool:
    """Whether that process is the supervisor of this instance."""
    return words(pid)[-1:] == [str(layout.supervisor_conf)]


def leftovers(layout: Layout, *, only: str = "") -> list[psutil.Process]:
    """Every process of the instance: its servers, and what a start or a killed server left;
    `only` those whose command line begins so.

    Looked for among all processes of the machine (some 20 ms): the way to what no pid file
    tells of. A user's own shell, editor or `tail` in these directories is none of them.
    """
    import psutil

    found = []
    reaper = read_pid(layout.reaper_pid)
    for process in psutil.process_iter():
        pid = process.pid
        if pid == os.getpid():
            continue
        argv = words(pid)
        if (
            argv
            and argv[0].startswith(only)
            and (_is_ours(pid, argv, layout) or _is_in_session(pid, reaper, layout))
        ):
            found.append(process)
    return found


def left_by_reaper(layout: Layout) -> list[int]:
    """The pids of what a killed reaper was waiting for; looked for among all processes."""
    import psutil

    leader = read_pid(layout.reaper_pid)
    return [pid for pid in psutil.pids() if _is_in_session(pid, leader, layout)]


def _is_ours(pid: int, argv: list[str], layout: Layout) -> bool:
    name = Path(argv[0]).name
    if argv[0].startswith("postgres: "):  # a backend; its postmaster may be dead
        return working_directory(pid) == str(layout.data)
    if name in WORKERS:
        return str(layout.data) in argv
    return any(is_it(pid, layout) for is_it in (is_supervisor, is_postmaster, is_pooler, is_reaper))


def _is_in_session(pid: int, leader: int | None, layout: Layout) -> bool:
    """Whether it is a child of the reaper (psql, sleep), the reaper itself being dead or not."""
    if leader is None:
        return False
    try:
        return os.getsid(pid) == leader and working_directory(pid) == str(layout.run)
    except OSError:
        return False
