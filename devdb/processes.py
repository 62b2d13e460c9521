"""Processes: started so that they outlive devdb, recognised by what they are, ended."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


class _Detached(subprocess.Popen[bytes]):
    """A process that outlives this one: no ResourceWarning for it."""

    def __del__(self) -> None:
        """Leave it alone."""


_children: dict[int, _Detached] = {}


_KEPT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV", "HOME")


def python_environment() -> dict[str, str]:
    """What of the user's environment a Python may need to run at all, and to find its packages."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    if path := kept.get("PYTHONPATH"):  # which may say `.`, and that is another place there
        kept["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, path.split(os.pathsep)))
    return kept


def spawn(
    argv: Sequence[str | Path],
    *,
    cwd: Path,
    log: Path,
    env: dict[str, str],
    stdin: int = subprocess.DEVNULL,
    credentials: Mapping[str, Any] | None = None,
) -> int:
    """Start a process in a session of its own, its output appended to `log`; returns its pid.

    `credentials` are arguments of subprocess.Popen that start it as another user; without them it
    runs as who runs devdb. Raises OSError.
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
            **(credentials or {}),
        )
    finally:
        os.close(descriptor)
    _children[process.pid] = process
    return process.pid


_THREADS = 17
"""Where their number is in /proc/PID/stat, counted from the state."""


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
        # proc_pid_stat(5): the state follows the name, which may have anything in it. As long as
        # another of its threads is there, a zombie has its files and ports.
        fields = status.rpartition(b")")[2].split()
        return fields[0] not in (b"Z", b"X") or fields[_THREADS] != b"1"
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


def working_directory(pid: int) -> str:
    """Where that process is; empty when nobody may know."""
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
