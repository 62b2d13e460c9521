"""What of an instance is in the world: asked of files and processes each time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from devdb import marker, pgbouncer, postgres, processes
from devdb.engines.native import identity
from devdb.engines.native.layout import Layout
from devdb.errors import DevdbError
from devdb.model import SERVERS, Part, PartState, PoolMode, Server, Spec


@dataclass(frozen=True, slots=True)
class Sighting:
    """One server as its pid file and the process table show it."""

    pid: int | None = None
    """Of the live process; None when there is none."""
    started: datetime | None = None
    ready: bool = False
    stopping: bool = False
    stale: datetime | None = None
    """There is a pid file, written then, but its process is gone or is somebody else's."""


def postmaster(layout: Layout) -> Sighting:
    """Postgres, as postmaster.pid tells: line 1 pid, 3 start time, 8 status (since 10)."""
    path = layout.data / "postmaster.pid"
    try:
        lines = path.read_text(errors="replace").splitlines()
        written = path.stat().st_mtime
    except OSError:
        return Sighting()
    pid = processes.read_pid(path)
    if pid is None or not identity.is_postmaster(pid, layout):
        return Sighting(stale=datetime.fromtimestamp(written, UTC))
    started = int(lines[2]) if len(lines) > 2 and lines[2].isdigit() else written
    status = lines[7].strip() if len(lines) > 7 else ""
    return Sighting(
        pid,
        datetime.fromtimestamp(started, UTC),
        ready=status == "ready",
        stopping=status == "stopping",
    )


def pooler(layout: Layout) -> Sighting:
    """PgBouncer, as its pid file tells."""
    return _by_pid_file(layout.pooler_pid, layout, identity.is_pooler)


def reaper(layout: Layout) -> Sighting:
    """The reaper, as its pid file tells."""
    return _by_pid_file(layout.reaper_pid, layout, identity.is_reaper)


def supervisor(layout: Layout) -> Sighting:
    """The supervisor, as the file tells that it holds: line 1 pid, 2 what it does."""
    seen = _by_pid_file(layout.supervisor_pid, layout, identity.is_supervisor)
    if seen.pid is None:
        return seen
    with suppress(OSError):
        state = layout.supervisor_pid.read_text(errors="replace").split("\n")[1].strip()
        return replace(seen, ready=state == "guarding", stopping=state == "hands off")
    return seen


def _by_pid_file(path: Path, layout: Layout, is_it: Callable[[int, Layout], bool]) -> Sighting:
    try:
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return Sighting()
    pid = processes.read_pid(path)
    if pid is None or not is_it(pid, layout):
        return Sighting(stale=written)
    return Sighting(pid, written, ready=True)


def held_ports(layout: Layout) -> set[int]:
    """The ports that servers of the instance listen on now."""
    held: set[int] = set()
    if pid := postmaster(layout).pid:
        argv = processes.words(pid)
        held |= {int(port) for word, port in pairwise(argv) if word == "-p" and port.isdigit()}
    if pooler(layout).pid:
        found = re.search(r"^listen_port = (\d+)$", _whole_lines(layout.ini), re.MULTILINE)
        held |= {int(found[1])} if found else set()
    return held


def look(layout: Layout) -> Server | None:
    """The instance as it is now; None when nothing of it is there."""
    if not layout.root.is_dir():
        return None
    seen = {"postgres": postmaster(layout), "pgbouncer": pooler(layout)}
    if layout.reaper_script.exists():
        seen["reaper"] = reaper(layout)
    seen["supervisor"] = supervisor(layout)
    version, mode, clients, notes = _pooler_facts(layout)
    versions = {"postgres": postgres_version(layout), "pgbouncer": version}
    up = any(seen[name].pid for name in SERVERS)
    return Server(
        name=layout.name,
        engine="native",
        parts=tuple(
            _found_part(layout, name, one, versions.get(name), others_run=up)
            for name, one in seen.items()
        ),
        pool_mode=mode,
        notes=(*notes, *_tls_notes(layout)),
        location=str(layout.data),
        max_clients=clients,
    )


def _found_part(
    layout: Layout, name: str, seen: Sighting, version: str | None, *, others_run: bool
) -> Part:
    if seen.pid:
        state = PartState.RUNNING if seen.ready else PartState.STARTING
        detail = f"pid {seen.pid}{', shutting down' if seen.stopping else ''}"
    elif verdict := _verdict(layout, name):
        state, detail = PartState.DEAD, verdict
    elif seen.stale and not others_run and _booted_since(seen.stale):
        state, detail = PartState.STOPPED, "since the machine was restarted"
    elif seen.stale or others_run:
        state, detail = PartState.DEAD, "ended by itself"
    else:
        state, detail = PartState.STOPPED, ""
    return Part(name=name, state=state, version=version, started=seen.started, detail=detail)


def _verdict(layout: Layout, name: str) -> str:
    """Why the supervisor does not start that server again."""
    with suppress(OSError):
        return layout.verdict(name).read_text(encoding="utf-8", errors="replace").strip()
    return ""


def _booted_since(moment: datetime) -> bool:
    import psutil

    return psutil.boot_time() > moment.timestamp()


def postgres_version(layout: Layout) -> str | None:
    """The version that the configuration was written for; of old data at least the major."""
    found = _header(layout.postgres_conf)
    if found:
        return found[0]
    major = data_major(layout)
    return str(major) if major else None


def data_major(layout: Layout) -> int | None:
    """The major that made the data; None when there is no data."""
    try:
        return int((layout.data / "PG_VERSION").read_text().strip())
    except (OSError, ValueError):
        return None


def has_data(layout: Layout) -> bool:
    """Whether there is anything in the data directory; raises OSError where nobody may look."""
    try:
        return any(layout.data.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return False


def postgres_directory(layout: Layout) -> Path | None:
    """The directory of the binaries it was last started with."""
    found = _header(layout.postgres_conf)
    return Path(found[1]) if found else None


def _pooler_facts(
    layout: Layout,
) -> tuple[str | None, PoolMode, int | None, tuple[str, ...]]:
    """Version, mode, clients and notes of PgBouncer, from the ini it was last started with."""
    found = _header(layout.ini)
    if not found:
        return None, PoolMode.TRANSACTION, None, ()
    text, spec = _whole_lines(layout.ini), _marked(layout)
    mode = re.search(r"^pool_mode = (\w+)$", text, re.MULTILINE)
    clients = re.search(r"^max_client_conn = (\d+)$", text, re.MULTILINE)
    package = re.search(r"^; package (\S+)$", text, re.MULTILINE)
    running = PoolMode(mode[1]) if mode else PoolMode.TRANSACTION
    number = int(clients[1]) if clients else None
    version = pgbouncer.parse_version(found[0])
    notes = pgbouncer.notes(spec, version, package[1] if package else None)
    reason = "it may have no more files open (`ulimit -Hn`)"
    too_few = pgbouncer.too_few_clients(spec, number, reason) if spec else None
    return found[0], running, number, (*notes, *([too_few] if too_few else []))


def _tls_notes(layout: Layout) -> Iterator[str]:
    """Which server has no TLS, by what was written for it: every build that can do it gets it."""
    for path, sign, note in (
        (layout.postgres_conf, "\nssl_cert_file = ", postgres.NO_TLS),
        (layout.ini, "\nclient_tls_sslmode = ", pgbouncer.NO_TLS),
    ):
        with suppress(OSError):
            if sign not in _whole_lines(path):
                yield note


def _marked(layout: Layout) -> Spec | None:
    try:
        return marker.load(layout.name)
    except DevdbError:
        return None  # a damaged marker is `marker`'s to report; the servers are here all the same


def header(comment: str, product: str, version: str, place: Path) -> str:
    """The first line of a configuration file: what it was written for."""
    return f"{comment} {product} {version} at {place}; written by devdb at each start\n"


def package_line(package: str | None) -> str:
    """The line below the header that tells a PgBouncer's Debian package; empty without one."""
    return f"; package {package}\n" if package else ""


def _header(path: Path) -> tuple[str, str] | None:
    try:
        line, newline, _ = _whole_lines(path).partition("\n")
    except OSError:
        return None
    match = re.fullmatch(r"\S+ \w+ (\S+) at (.+); written by devdb at each start\n", line + newline)
    return (match[1], match[2]) if match else None


def _whole_lines(path: Path) -> str:
    """The whole lines of a configuration file: a power cut may have left half of it.

    Raises OSError.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    return text[: text.rfind("\n") + 1]
