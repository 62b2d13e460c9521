"""What is written for the servers of an instance before they start."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from devdb import pgbouncer, postgres
from devdb.certificates import Certificates
from devdb.engines.native import find
from devdb.engines.native.binaries import Pooler, Postgres, libraries
from devdb.engines.native.layout import Layout
from devdb.engines.native.owner import Owner
from devdb.model import HOST, POOLER_ROLE, USER, Spec
from devdb.replacing import in_place_of


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration of one instance, as values: to compare, to write, to start with."""

    spec: Spec
    layout: Layout
    postgres: Postgres
    pooler: Pooler
    postgres_has_tls: bool
    open_files: int
    """How many files PgBouncer may have open."""
    certificates: Certificates | None = None
    """None as long as there are none, and where neither server could use them."""

    @property
    def wants_certificates(self) -> bool:
        """Whether they are to offer TLS, and at least one was built with it."""
        return self.spec.has_tls and (self.postgres_has_tls or self.pooler.tls)

    @property
    def looks_up_everywhere(self) -> bool:
        """Whether this PgBouncer runs its auth query in the database the client wants."""
        return self.pooler.version[:2] < pgbouncer.AUTH_DBNAME

    @property
    def postgres_argv(self) -> list[str]:
        """The command line of Postgres: what no setting of the user's may override."""
        sockets = self.layout.socket_directory
        return [
            str(self.postgres.program("postgres")),
            *("-D", str(self.layout.data)),
            *("-p", str(self.spec.port)),
            *("-h", HOST),
            *("-k", str(sockets) if sockets else ""),
            *("-c", f"config_file={self.layout.postgres_conf}"),
            *("-c", f"hba_file={self.layout.hba}"),
            *("-c", "log_destination=stderr"),
            *("-c", "logging_collector=off"),
        ]

    @property
    def pooler_argv(self) -> list[str]:
        """The command line of PgBouncer."""
        return [str(self.pooler.path), str(self.layout.ini)]

    @property
    def reaper_argv(self) -> list[str]:
        """The command line of the reaper."""
        return ["/bin/sh", str(self.layout.reaper_script)]

    def postgres_files(self) -> dict[Path, str]:
        """What Postgres reads when it starts."""
        tls, tls_files = self._postgres_tls()
        first = find.header("#", "Postgres", self.postgres.version, self.postgres.directory)
        settings = {**tls, **postgres.settings(self.spec)}
        conf = first + postgres.conf(settings, data=str(self.layout.data))
        hba = postgres.hba(pooler_everywhere=self.looks_up_everywhere)
        return {self.layout.postgres_conf: conf, self.layout.hba: hba, **tls_files}

    def _postgres_tls(self) -> tuple[dict[str, str], dict[Path, str]]:
        """The settings and the files that let clients ask Postgres for TLS."""
        made, layout = self.certificates, self.layout
        if made is None or not self.postgres_has_tls:
            return {}, {}
        settings = postgres.tls_settings(str(layout.certificate), str(layout.key))
        return settings, {layout.certificate: made.certificate, layout.key: made.key}

    def pooler_files(self) -> dict[Path, str]:
        """What PgBouncer reads when it starts."""
        sockets = self.layout.socket_directory
        tls, tls_files = self._pooler_tls()
        ini = pgbouncer.ini(
            self.spec,
            self.pooler.version,
            postgres_host=str(sockets) if sockets else HOST,
            postgres_port=self.spec.port,
            listen_addr=HOST,
            listen_port=self.spec.pool_port,
            auth_file=str(self.layout.userlist),
            clients=pgbouncer.max_clients(self.spec, self.open_files),
            extra={
                "pidfile": str(self.layout.pooler_pid),
                # Who gets to it is the servers' user, and reads the userlist anyway.
                **({"unix_socket_dir": str(sockets)} if sockets else {}),
                **tls,
            },
        )
        first = find.header(";", "PgBouncer", self.pooler.text, self.pooler.path)
        first += find.package_line(self.pooler.package)
        userlist = pgbouncer.userlist(self.spec)
        return {self.layout.ini: first + ini, self.layout.userlist: userlist, **tls_files}

    def _pooler_tls(self) -> tuple[dict[str, str], dict[Path, str]]:
        """The same for PgBouncer."""
        made, layout = self.certificates, self.layout
        if made is None or not self.pooler.tls:
            return {}, {}
        paths = (str(path) for path in (layout.certificate, layout.key, layout.ca))
        files = {
            layout.certificate: made.certificate,
            layout.key: made.key,
            layout.ca: made.ca,
        }
        return pgbouncer.tls_settings(*paths), files

    def reaper_files(self) -> dict[Path, str]:
        """What the reaper needs; nothing when there is none."""
        if self.spec.reaper is None:
            return {}
        entries = [
            f"*:{port}:*:{user}:{_passfile_field(password)}\n"
            for port in (self.spec.port, self.spec.pool_port)
            for user, password in (
                (USER, self.spec.password),
                (POOLER_ROLE, self.spec.pooler_password),
            )
        ]
        return {self.layout.reaper_script: self.spec.reaper, self.layout.passfile: "".join(entries)}

    def environment(self) -> dict[str, str]:
        """The environment of Postgres: none of the user's PG* variables."""
        return {"PATH": self._search_path(), "LC_ALL": "C", "HOME": str(self.layout.run)}

    def pooler_environment(self) -> dict[str, str]:
        """The environment of PgBouncer."""
        return {**self.environment(), **libraries(self.pooler.path)}

    def reaper_environment(self) -> dict[str, str]:
        """How the reaper reaches both servers; the passwords are in the PGPASSFILE.

        By their sockets where it can: nobody else can listen there, should a server be gone.
        """
        host = str(self.layout.socket_directory or HOST)
        return {
            **self.environment(),
            "PGHOST": host,
            "PGPORT": str(self.spec.port),
            "PGUSER": USER,
            "PGDATABASE": "postgres",
            "PGSSLMODE": "disable",
            "PGPASSFILE": str(self.layout.passfile),
            "DEVDB_POOLER_HOST": host,
            "DEVDB_POOLER_PORT": str(self.spec.pool_port),
            "DEVDB_POOLER_USER": POOLER_ROLE,
        }

    def _search_path(self) -> str:
        return os.pathsep.join([str(self.postgres.directory), os.environ.get("PATH", os.defpath)])


def are_written(files: dict[Path, str]) -> bool:
    """Whether the files are there with that content."""
    try:
        return all(path.read_bytes() == text.encode() for path, text in files.items())
    except OSError:
        return False


def write(files: dict[Path, str], owner: Owner | None) -> None:
    """Write the files, each whole or not at all, readable by that user alone; None: who we are.

    Raises OSError.
    """
    for path, text in files.items():
        with in_place_of(path) as (file, temporary):
            file.write(text.encode())
            if owner:
                owner.give(temporary)


def _passfile_field(value: str) -> str:
    return value.replace("\\", "\\\\").replace(":", "\\:")
