"""Processes: started so that they outlive devdb, recognised by what they are, ended."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from devdb.engines import files
from devdb.engines.native.layout import Layout
from devdb.engines.native.owner import Owner

if TYPE_CHECKING:
    import psutil

WORKERS = ("cp",)
"""What works on a data directory besides its servers."""

FILES = 4096
"""Open files a server may have: more than macOS' default of 256."""
MANY_FILES = 10_240 if sys.platform == "darwin" else 65_536
"""Open files of one that has as many clients as the system lets it have.

macOS grants no more, whatever it calls its hard limit (OPEN_MAX in its limits.h).
"""


class _Detached(subprocess.Popen[bytes]):
    """A process that outlives this one: no ResourceWarning for it."""

    def __del__(self) -> None:
        """Leave it alone."""


_children: dict[int, _Detached] = {}


def spawn(
    argv: Sequence[str | Path],
    *,
    owner: Owner | None,
    cwd: Path,
    log: Path,
    env: dict[str, str],
    stdin: int = subprocess.DEVNULL,
) -> int:
    """Start a process in a session of its own, its output appended to `log`; returns its pid.

    Without an owner it runs as who runs devdb.
    """
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        process = _Detached(
            argv,
            stdin=stdin,
            stdout=descriptor,
            stderr=descriptor,
            cwd=cwd,
            env=env,
            umask=0o077,
            start_new_session=True,
            **(owner.credentials if owner else {}),
        )
    finally:
        os.close(descriptor)
    _children[process.pid] = process
    return process.pid


def file_limit(pid: int | None, wanted: int) -> int:
    """How many files that process may have open; one that is yet to be started, where pid is None.

    A server keeps what it was started with, whatever the shell allows that devdb runs in now.
    """
    if pid is not None and (limit := files.limit_of(pid)) is not None:
        return limit
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(soft, wanted if hard == resource.RLIM_INFINITY else min(wanted, hard))


def is_running(pid: int) -> bool:
    """Whether a process that was started here, or was recognised before, still runs.

    Not told by `words`: there is a moment in an exec when a process has none, and when it ends they
    go before its files, locks and ports do.
    """
    if (runs := _child_runs(pid)) is not None:
        return runs
    if sys.platform.startswith("linux"):
        try:
            status = Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:
            return False
        # proc_pid_stat(5): the state follows the name, which may have anything in it.
        return status.rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    import psutil

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _child_runs(pid: int) -> bool | None:
    """Whether a process that was started here still runs; None for any other.

    One that has ended is forgotten at once: from now on its pid may be anybody's.
    """
    child = _children.get(pid)
    if child is None:
        return None
    if child.poll() is None:
        return True
    _children.pop(pid, None)
    return False


def words(pid: int) -> list[str]:
    """The arguments of the process; empty when there is none, or only a zombie."""
    if _child_runs(pid) is False:
        return []
    if sys.platform.startswith("linux"):
        try:
            text = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return []
        return [os.fsdecode(word) for word in text.rstrip(b"\0").split(b"\0")] if text else []
    import psutil

    try:
        return psutil.Process(pid).cmdline()
    except psutil.Error:
        return []


def is_postmaster(pid: int, layout: Layout) -> bool:
    """Whether that process is the Postgres of this data directory."""
    argv = words(pid)
    if not argv or not Path(argv[0]).name.startswith("postgres"):
        return False
    if str(layout.data) in argv:
        return True
    # Somebody may have started it by hand, with another spelling of the directory.
    return not argv[0].startswith("postgres: ") and _working_directory(pid) == str(layout.data)


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


def _working_directory(pid: int) -> str:
    import psutil

    try:
        return psutil.Process(pid).cwd()
    except psutil.AccessDenied:
        return _working_directory_for_its_user(pid) if os.geteuid() == 0 else ""
    except psutil.Error:
        return ""


def _working_directory_for_its_user(pid: int) -> str:
    """Root in a container may not look into another user's process (no CAP_SYS_PTRACE).

    But it may become that user, who may.
    """
    place = Path(f"/proc/{pid}")
    try:
        status = place.stat()
        found = subprocess.run(
            ["readlink", place / "cwd"],
            capture_output=True,
            user=status.st_uid,
            group=status.st_gid,
            extra_groups=[],
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return os.fsdecode(found.stdout.rstrip(b"\n"))


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
        return _working_directory(pid) == str(layout.data)
    if name in WORKERS:
        return str(layout.data) in argv
    return any(is_it(pid, layout) for is_it in (is_supervisor, is_postmaster, is_pooler, is_reaper))


def _is_in_session(pid: int, leader: int | None, layout: Layout) -> bool:
    """Whether it is a child of the reaper (psql, sleep), the reaper itself being dead or not."""
    if leader is None:
        return False
    try:
        return os.getsid(pid) == leader and _working_directory(pid) == str(layout.run)
    except OSError:
        return False


def read_pid(path: Path) -> int | None:
    """The pid in the first line of a pid file; None when there is none."""
    try:
        with path.open("rb") as file:
            pid = int(file.readline(32))
    except (OSError, ValueError):
        return None
    return pid if pid > 0 else None


def end(
    pids: Sequence[int],
    signals: Sequence[tuple[int, float]],
    *,
    is_there: Callable[[int], bool],
    group: bool = False,
) -> list[int]:
    """Send each signal in turn, and wait its number of seconds for all to end.

    `is_there` tells whether a pid is the process that is meant; with `group` the signals go to
    the process groups that the pids lead. Returns those that would not end.
    """
    if not pids:
        return []
    import psutil

    left = []
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            if is_there(pid):
                left.append(process)
    send = os.killpg if group else os.kill
    for number, patience in signals:
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                send(process.pid, number)
        deadline = time.monotonic() + patience
        # What has that pid by now may be another process.
        while left := [each for each in left if is_running(each.pid) and each.is_running()]:
            if time.monotonic() >= deadline:
                break
            time.sleep(0.002)
        if not left:
            break
    return [process.pid for process in left]
