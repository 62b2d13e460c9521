"""The three servers of an instance: each written for, started, and known to be as wanted."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from devdb.engines.native import config as configuration
from devdb.engines.native import finding, logs, processes, stopping
from devdb.engines.native.config import Config
from devdb.engines.native.layout import Layout
from devdb.engines.native.owner import Owner


@dataclass(frozen=True, slots=True)
class Launch:
    """A server that was started or was there: what its ending would be told by."""

    part: str
    pid: int
    offset: int
    """Where in its log file its own words begin."""


def already(layout: Layout, part: str, pid: int) -> Launch:
    """A server that runs since before."""
    return Launch(part, pid, logs.size(layout, part))


def start_postgres(config: Config, owner: Owner) -> Launch:
    """Start Postgres; that it is ready is another question."""
    _remove_stale_locks(config.layout)
    configuration.write(config.postgres_files(), owner)
    return _launch(config, owner, "postgres", config.postgres_argv, config.environment())


def start_pooler(config: Config, owner: Owner) -> Launch:
    """Start PgBouncer."""
    config.layout.pooler_pid.unlink(missing_ok=True)
    configuration.write(config.pooler_files(), owner)
    argv, environment = config.pooler_argv, config.pooler_environment()
    return _launch(config, owner, "pgbouncer", argv, environment, processes.MANY_FILES)


def start_reaper(config: Config, owner: Owner) -> Launch:
    """Start the reaper, and write down its pid: it has no pid file of its own."""
    layout = config.layout
    configuration.write(config.reaper_files(), owner)
    environment = config.reaper_environment()
    launch = _launch(config, owner, "reaper", config.reaper_argv, environment)
    temporary = layout.reaper_pid.with_name(f".reaper-{secrets.token_hex(4)}")
    temporary.write_text(f"{launch.pid}\n")
    temporary.replace(layout.reaper_pid)
    return launch


def _launch(
    config: Config,
    owner: Owner,
    part: str,
    argv: list[str],
    environment: dict[str, str],
    files: int = processes.FILES,
) -> Launch:
    layout = config.layout
    logs.rotate(layout, part)
    offset = logs.size(layout, part)
    pid = processes.spawn(
        argv,
        owner=owner,
        cwd=layout.run,
        log=logs.path(layout, part),
        env=environment,
        open_files=files,
    )
    return Launch(part, pid, offset)


def _remove_stale_locks(layout: Layout) -> None:
    """Remove the lock files of a killed Postgres whose pid is somebody else's by now.

    Postgres would refuse to start for them. That it does not run was found out before.
    """
    (layout.data / "postmaster.pid").unlink(missing_ok=True)
    for lock in layout.run.glob(".s.PGSQL.*.lock"):
        lock.unlink(missing_ok=True)
        lock.with_suffix("").unlink(missing_ok=True)


def stop_what_differs(config: Config) -> None:
    """Stop the servers that run with another configuration than the wanted one."""
    layout = config.layout
    seen = finding.postmaster(layout)
    as_wanted = _runs(seen.pid, config.postgres_argv) and configuration.are_written(
        config.postgres_files()
    )
    if seen.pid and (seen.stopping or not as_wanted):
        stopping.stop_postgres(layout)
    pid = finding.pooler(layout).pid
    as_wanted = _runs(pid, config.pooler_argv) and configuration.are_written(config.pooler_files())
    if pid and not as_wanted:
        stopping.stop_pooler(layout)


def _runs(pid: int | None, argv: list[str]) -> bool:
    return pid is not None and processes.words(pid) == argv
