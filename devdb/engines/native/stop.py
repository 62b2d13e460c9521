"""How the processes of an instance are ended, and how all of it is removed."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from devdb import certificates, processes
from devdb.engines.native import find, identity
from devdb.engines.native.layout import Layout
from devdb.errors import DevdbError
from devdb.replacing import sync_directory

Signals = tuple[tuple[int, float], ...]

FAST: Signals = (
    (signal.SIGTERM, 0.2),
    (signal.SIGINT, 60.0),
    (signal.SIGQUIT, 10.0),
    (signal.SIGKILL, 5.0),
)
"""For Postgres: a fast shutdown writes a checkpoint, which takes its time on a busy disk.

Before it a smart one for a moment, in which sessions whose client has just ended notice that:
those of the reaper and of PgBouncer would be errors in the log.
"""
IMMEDIATE: Signals = ((signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))

# SIGTERM is immediate up to 1.22 and waits for the clients from 1.23; SIGQUIT is immediate from
# 1.23 and plain death before. One after the other they are immediate in every version.
POOLER: Signals = ((signal.SIGTERM, 0.05), (signal.SIGQUIT, 3.0), (signal.SIGKILL, 5.0))
SUPERVISOR: Signals = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))
_OBEDIENCE = 5.0
"""Seconds until a supervisor that does not listen is ended."""
REAPER: Signals = ((signal.SIGTERM, 1.0), (signal.SIGKILL, 5.0))
KILL: Signals = ((signal.SIGKILL, 5.0),)
FORCE: Signals = ((signal.SIGTERM, 1.0), (signal.SIGINT, 3.0), (signal.SIGKILL, 5.0))


def stop(layout: Layout) -> None:
    """End every process of the instance, and what a killed start left; keeps the data.

    Raises DevdbError when one would not end.
    """
    if not layout.root.is_dir():
        return
    stay_down(layout)
    stop_reaper(layout)
    stop_pooler(layout)
    stop_postgres(layout)
    end_supervisor(layout)
    end_leftovers(layout, patience=5)
    _forget(layout)


def destroy(layout: Layout) -> None:
    """End everything and delete everything of the instance that this engine made.

    Killed half-way, it leaves nothing that a later start could take for whole data.
    """
    try:
        certificates.remove(layout.name)
        if not layout.root.is_dir():
            end_leftovers(layout, patience=0)  # servers may have outlived their directory
            return
        layout.initialised.unlink(missing_ok=True)
        sync_directory(layout.root)  # or a power cut could leave the mark beside half the data
        stay_down(layout)
        stop_reaper(layout)
        stop_pooler(layout)
        stop_postgres(layout, how=IMMEDIATE)
        end_supervisor(layout)
        end_leftovers(layout, patience=0)
        shutil.rmtree(layout.root)
    except OSError as error:
        raise DevdbError(
            f"Cannot delete {error.filename or layout.root}: {error.strerror or error}.",
            f"Fix its owner or mode, then: devdb rm {layout.name}",
        ) from error


def take_back(part: str, pid: int, *, gently: bool) -> None:
    """End a server that was started a moment ago, and may have no pid file yet.

    `gently`: its data is to be kept.
    """
    postgres = FAST if gently else IMMEDIATE
    signals = {"postgres": postgres, "pgbouncer": POOLER, "reaper": REAPER}[part]
    _end(pid, signals, processes.is_running, part, group=part == "reaper")


def stop_postgres(layout: Layout, *, how: Signals = FAST) -> None:
    """End Postgres: sessions are ended, transactions rolled back."""
    pid = find.postmaster(layout).pid
    _end(pid, how, partial(identity.is_postmaster, layout=layout), "Postgres")


def stop_pooler(layout: Layout) -> None:
    """End PgBouncer, whoever is connected."""
    pid = find.pooler(layout).pid
    _end(pid, POOLER, partial(identity.is_pooler, layout=layout), "PgBouncer")


def stop_reaper(layout: Layout) -> None:
    """End the reaper, and the psql or sleep that it waits for, also of one that was killed."""
    seen = find.reaper(layout)
    _end(seen.pid, REAPER, partial(identity.is_reaper, layout=layout), "The reaper", group=True)
    if seen.stale:
        left = identity.left_by_reaper(layout)
        processes.end(left, REAPER, is_there=processes.is_running)


def stay_down(layout: Layout) -> None:
    """From now on the supervisor starts nothing again; it goes on writing the logs."""
    seen = find.supervisor(layout)
    if seen.pid is None or seen.stopping:
        return
    with suppress(ProcessLookupError):
        os.kill(seen.pid, signal.SIGUSR1)
    deadline = time.monotonic() + _OBEDIENCE
    while (seen := find.supervisor(layout)).pid is not None and not seen.stopping:
        if time.monotonic() > deadline:
            end_supervisor(layout)
        time.sleep(0.001)


def end_supervisor(layout: Layout) -> None:
    """End the supervisor; the servers live on."""
    pid = find.supervisor(layout).pid
    _end(pid, SUPERVISOR, partial(identity.is_supervisor, layout=layout), "The supervisor")


def _forget(layout: Layout) -> None:
    pids = (layout.pooler_pid, layout.reaper_pid, layout.supervisor_pid)
    for path in (*pids, layout.starting, *layout.etc.glob("*.verdict")):
        path.unlink(missing_ok=True)


def end_leftovers(layout: Layout, *, patience: float, only: str = "") -> None:
    """End what no pid file tells of, after it had `patience` seconds to end by itself.

    `only` those whose command line begins so.

    Raises DevdbError when something would not end.
    """
    left = {process.pid: process for process in identity.leftovers(layout, only=only)}
    # A copy has nothing to lose.
    workers = [pid for pid in left if _is_worker(pid)]
    others = [pid for pid in left if pid not in workers]
    for pids, force in ((workers, KILL), (others, FORCE)):
        # Signal 0 does nothing: it only waits.
        waiting = ((0, patience), *force)
        if stubborn := processes.end(pids, waiting, is_there=lambda pid: left[pid].is_running()):
            raise _immortal("A process", stubborn[0])


def _is_worker(pid: int) -> bool:
    argv = processes.words(pid)
    return bool(argv) and Path(argv[0]).name in identity.WORKERS


def end_backends(layout: Layout) -> None:
    """End the backends of a postmaster that was killed.

    They notice by themselves and go; until then the data directory is not free.
    """
    end_leftovers(layout, patience=5, only="postgres: ")


def _end(
    pid: int | None,
    signals: Signals,
    is_there: Callable[[int], bool],
    what: str,
    *,
    group: bool = False,
) -> None:
    if pid is not None and processes.end([pid], signals, is_there=is_there, group=group):
        raise _immortal(what, pid)


def _immortal(what: str, pid: int) -> DevdbError:
    return DevdbError(
        f"{what} (pid {pid}) does not end, not even when it is killed.",
        "Something is wrong with the disk or the machine: look at `dmesg`.",
    )
