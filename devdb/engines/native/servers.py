"""The three servers of an instance: each written for, started, and known to be as wanted."""

from __future__ import annotations

from dataclasses import dataclass

from devdb import processes
from devdb.engines.native import config as configuration
from devdb.engines.native import find, logs, stop, supervision
from devdb.engines.native.config import Config
from devdb.engines.native.layout import Layout
from devdb.engines.native.logs import Position
from devdb.engines.native.owner import Owner
from devdb.engines.native.supervision import Line


@dataclass(frozen=True, slots=True)
class Launch:
    """A server that was started or was there: what its ending would be told by."""

    part: str
    pid: int
    begin: Position
    """Where in its log its own words begin."""


def already(layout: Layout, part: str, pid: int) -> Launch:
    """A server that runs since before."""
    return Launch(part, pid, logs.end(layout, part))


def start_postgres(config: Config, owner: Owner, line: Line) -> Launch:
    """Start Postgres; that it is ready is another question."""
    _remove_stale_locks(config.layout)
    configuration.write(config.postgres_files(), owner)
    return _launch(config.layout, "postgres", line)


def start_pooler(config: Config, owner: Owner, line: Line) -> Launch:
    """Start PgBouncer."""
    configuration.write(config.pooler_files(), owner)
    return _launch(config.layout, "pgbouncer", line)


def start_reaper(config: Config, owner: Owner, line: Line) -> Launch:
    """Start the reaper; the supervisor writes down its pid, for it has no pid file of its own."""
    configuration.write(config.reaper_files(), owner)
    return _launch(config.layout, "reaper", line)


def _launch(layout: Layout, part: str, line: Line) -> Launch:
    begin = logs.end(layout, part)
    return Launch(part, line.start(part), begin)


def _remove_stale_locks(layout: Layout) -> None:
    """Remove the lock files of a killed Postgres whose pid is somebody else's by now.

    Postgres would refuse to start for them. That it does not run was found out before. The
    supervisor removes those of the port it starts it on; it may have been another one before.
    """
    for lock in layout.run.glob(".s.PGSQL.*.lock"):
        lock.unlink(missing_ok=True)
        lock.with_suffix("").unlink(missing_ok=True)


def are_as_wanted(config: Config, owner: Owner) -> bool:
    """Whether all of them run as this configuration says, under a supervisor that knows it."""
    layout = config.layout
    supervisor = find.supervisor(layout)
    wanted = config.reaper_files()
    reaper = find.reaper(layout).pid
    return (
        supervisor.ready
        and _is_as_wanted_postgres(config)
        and _is_as_wanted_pooler(config)
        and (reaper is not None if wanted else reaper is None)
        and configuration.are_written(wanted)
        and configuration.are_written({layout.supervisor_conf: supervision.told(config, owner)})
    )


def stop_what_differs(config: Config) -> None:
    """Stop the servers that run with another configuration than the wanted one."""
    layout = config.layout
    if find.postmaster(layout).pid and not _is_as_wanted_postgres(config):
        stop.stop_postgres(layout)
    if find.pooler(layout).pid and not _is_as_wanted_pooler(config):
        stop.stop_pooler(layout)


def _is_as_wanted_postgres(config: Config) -> bool:
    seen = find.postmaster(config.layout)
    is_right = _runs(seen.pid, config.postgres_argv) and not seen.stopping
    return is_right and configuration.are_written(config.postgres_files())


def _is_as_wanted_pooler(config: Config) -> bool:
    pid = find.pooler(config.layout).pid
    return _runs(pid, config.pooler_argv) and configuration.are_written(config.pooler_files())


def _runs(pid: int | None, argv: list[str]) -> bool:
    return pid is not None and processes.words(pid) == argv
