"""What a running instance that nobody uses takes: RSS, and PSS, which counts a shared page once."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Iterator
from contextlib import suppress

import psutil
from measure import running

from devdb import engines
from devdb.engines.docker import labels
from devdb.engines.native import find
from devdb.engines.native.layout import Layout

MIB = 1024 * 1024


def parts(name: str) -> Iterator[tuple[str, float, float]]:
    """Each server's title, RSS and PSS in MiB, and their sum."""
    with running(engines.get(name)) as spec:
        pids = native_pids(spec.name) if name == "native" else docker_pids(spec.name)
        sizes = [(part, *used(pid, alone=part == "supervisor")) for part, pid in pids.items()]
    for part, count, rss, pss in sizes:
        yield f"{name}: {part}, {count} processes", rss, pss
    yield f"{name}: all", sum(each[2] for each in sizes), sum(each[3] for each in sizes)


def used(pid: int, *, alone: bool) -> tuple[int, float, float]:
    """How many processes the one and its descendants are, and what they take in MiB.

    `alone`: without the descendants, which are parts of their own. PSS is nan where the system
    does not tell.
    """
    root = psutil.Process(pid)
    sizes = []
    for each in (root, *(() if alone else root.children(recursive=True))):
        with suppress(psutil.NoSuchProcess):  # a child of the reaper that has just ended
            sizes.append((each.memory_info().rss / MIB, _pss(each)))
    return len(sizes), sum(rss for rss, _ in sizes), sum(pss for _, pss in sizes)


def _pss(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss) / MIB
    except psutil.AccessDenied:  # root in a container, of another user's processes
        return math.nan


def native_pids(name: str) -> dict[str, int]:
    layout = Layout.of(name)
    seen = {
        "postgres": find.postmaster(layout),
        "pgbouncer": find.pooler(layout),
        "reaper": find.reaper(layout),
        "supervisor": find.supervisor(layout),
    }
    return {part: found.pid for part, found in seen.items() if found.pid is not None}


def docker_pids(name: str) -> dict[str, int]:
    """The containers' first processes, as this machine numbers them."""
    form = '{{.State.Pid}} {{index .Config.Labels "' + labels.PART + '"}}'
    containers = docker("ps", "--quiet", "--filter", f"label={labels.INSTANCE}={name}").split()
    lines = docker("inspect", "--format", form, *containers).splitlines()
    return {part: int(pid) for pid, part in map(str.split, lines)}


def docker(*arguments: str) -> str:
    return subprocess.check_output(["docker", *arguments], text=True)
