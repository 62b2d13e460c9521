"""Where the native engine keeps the parts of one instance."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from devdb import paths

_SOCKET_PATH = 100
"""Bytes that a Unix socket's path may have everywhere (Linux 107, macOS 103)."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one instance; `root` and all below it belongs to this engine.

    `data` and `run` belong to the user the servers run as. `etc` and `log` belong to the user
    who runs devdb, so that nobody can put a symlink where root is about to write.
    """

    name: str
    root: Path

    @classmethod
    def of(cls, name: str) -> Layout:
        """The layout of the instance of that name, with symlinks resolved: processes are
        recognised by the paths in their arguments."""
        return cls(name, Path(os.path.realpath(paths.instance_dir(name))) / "native")

    @property
    def data(self) -> Path:
        """Postgres' data directory."""
        return self.root / "data"

    @property
    def run(self) -> Path:
        """The sockets, and PgBouncer's pid file."""
        return self.root / "run"

    @property
    def etc(self) -> Path:
        """What devdb writes before each start: configuration, passwords, the reaper's script."""
        return self.root / "etc"

    @property
    def log(self) -> Path:
        """The log files of each server, and the pipe they come through."""
        return self.root / "log"

    @property
    def supervisor_conf(self) -> Path:
        """What the supervisor runs, and how; its name is in the supervisor's command line."""
        return self.etc / "supervisor.json"

    @property
    def supervisor_pid(self) -> Path:
        """The supervisor's lock, and in it its pid and what it does."""
        return self.etc / "supervisor.pid"

    def pipe(self, part: str) -> Path:
        """The named pipe that this server writes to."""
        return self.log / f"{part}.pipe"

    def verdict(self, part: str) -> Path:
        """Why the supervisor does not start this server again; mostly not there."""
        return self.etc / f"{part}.verdict"

    @property
    def initialised(self) -> Path:
        """The file that says that the data was READY once; data without it is a half-made start."""
        return self.root / "initialised"

    @property
    def starting(self) -> Path:
        """The file that is there while a start is at work: found later, that start was killed."""
        return self.root / "starting"

    @property
    def postgres_conf(self) -> Path:
        """The settings that go before those in the data directory."""
        return self.etc / "postgresql.conf"

    @property
    def hba(self) -> Path:
        """Who gets in."""
        return self.etc / "pg_hba.conf"

    @property
    def ini(self) -> Path:
        """PgBouncer's configuration."""
        return self.etc / "pgbouncer.ini"

    @property
    def userlist(self) -> Path:
        """PgBouncer's `auth_file`."""
        return self.etc / "userlist.txt"

    @property
    def certificate(self) -> Path:
        """The certificate of both servers."""
        return self.etc / "server.crt"

    @property
    def key(self) -> Path:
        """Its key."""
        return self.etc / "server.key"

    @property
    def ca(self) -> Path:
        """The CA that signed it, as PgBouncer wants to see it."""
        return self.etc / "ca.crt"

    @property
    def pooler_pid(self) -> Path:
        """PgBouncer's pid file."""
        return self.run / "pgbouncer.pid"

    @property
    def reaper_script(self) -> Path:
        """The reaper's sh script; there when the instance has a reaper."""
        return self.etc / "reaper.sh"

    @property
    def reaper_pid(self) -> Path:
        """The pid of the reaper's shell."""
        return self.etc / "reaper.pid"

    @property
    def passfile(self) -> Path:
        """The reaper's PGPASSFILE."""
        return self.etc / "pgpass"

    def socket_locks(self, port: int) -> tuple[Path, Path]:
        """Postgres' Unix socket for that port, and the file that says whose it is."""
        socket = self.run / f".s.PGSQL.{port}"
        return socket, socket.with_name(f"{socket.name}.lock")

    @property
    def socket_directory(self) -> Path | None:
        """Where the servers put their Unix sockets; None where the path cannot carry one.

        Too long for the system, or with characters that the servers' list syntax knows.
        """
        longest = len(os.fsencode(self.run / ".s.PGSQL.65535.lock"))
        plain = re.fullmatch(r"[\w/.+@-]+", str(self.run), re.ASCII)
        return self.run if plain and longest <= _SOCKET_PATH else None


def every() -> list[Layout]:
    """The layouts of all instances of this user in this engine."""
    home = paths.instances_home()
    names = sorted(p.parent.name for p in home.glob("*/native")) if home.is_dir() else []
    return [Layout.of(name) for name in names]
