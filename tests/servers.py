"""An instance put together by hand: two processes, as devdb configures them."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from devdb import pgbouncer, postgres
from devdb.model import Spec

BIN = Path(os.environ.get("DEVDB_PG_BIN", "/usr/lib/postgresql/15/bin"))
POOLER = os.environ.get("DEVDB_PGBOUNCER", "pgbouncer")
_ports = iter(range(25100, 25200))


class Instance:
    def __init__(self, reaper: str | None = None, settings: dict[str, str] | None = None) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="devdb-temp-"))
        self.home.chmod(0o755)
        self.spec = Spec(
            name=f"test-{secrets.token_hex(3)}",
            project=None,
            engine="native",
            port=next(_ports),
            pool_port=next(_ports),
            password=secrets.token_urlsafe(12),
            created=datetime.now(UTC),
            settings=tuple((settings or {}).items()),
            reaper=reaper,
        )
        self.user = pwd.getpwnam("postgres")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._configure()
        self.start()

    def _configure(self) -> None:
        spec, home = self.spec, self.home
        (home / "pw").write_text(spec.password)
        (home / "pg_hba.conf").write_text(postgres.hba())
        version = pgbouncer.parse_version(
            subprocess.run([POOLER, "--version"], capture_output=True, text=True).stdout
        )
        (home / "pgbouncer.ini").write_text(
            pgbouncer.ini(
                spec,
                version,
                postgres_host="127.0.0.1",
                postgres_port=spec.port,
                listen_addr="127.0.0.1",
                listen_port=spec.pool_port,
                auth_file=str(home / "userlist.txt"),
                extra={"unix_socket_dir": ""},
            )
        )
        (home / "userlist.txt").write_text(pgbouncer.userlist(spec))
        passfile = home / "pgpass"
        passfile.write_text(
            f"*:*:*:devdb:{spec.password}\n*:*:*:devdb_pooler:{spec.pooler_password}\n"
        )
        passfile.chmod(0o600)
        os.chown(home, self.user.pw_uid, self.user.pw_gid)
        for path in home.iterdir():
            os.chown(path, self.user.pw_uid, self.user.pw_gid)
        self._run(
            [
                str(BIN / "initdb"),
                "-D",
                f"{home}/data",
                "-U",
                "devdb",
                f"--pwfile={home}/pw",
                "-A",
                "scram-sha-256",
                "--no-sync",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
            ]
        ).wait()
        (home / "data/postgresql.conf").write_text(
            "".join(
                f"{key} = '{value}'\n"
                for key, value in {
                    **postgres.settings(spec),
                    "port": str(spec.port),
                    "listen_addresses": "127.0.0.1",
                    "unix_socket_directories": str(home),
                    "hba_file": str(home / "pg_hba.conf"),
                }.items()
            )
        )

    def _run(self, argv: list[str], **environment: str) -> subprocess.Popen[bytes]:
        with (self.home / f"{Path(argv[0]).name}.log").open("ab") as log:
            return subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=self.user.pw_uid,
                group=self.user.pw_gid,
                cwd=self.home,
                env={"PATH": f"{BIN}:/usr/bin:/bin", **environment},
            )

    def start(self) -> None:
        spec = self.spec
        self.processes["postgres"] = self._run([str(BIN / "postgres"), "-D", f"{self.home}/data"])
        self.processes["pgbouncer"] = self._run([POOLER, "-q", f"{self.home}/pgbouncer.ini"])
        deadline = time.monotonic() + 30
        made = False
        while not (made and postgres.set_up(spec) and postgres.probe(spec.pooled)):
            assert time.monotonic() < deadline
            try:
                with postgres.connect(spec.direct, database="postgres") as connection:
                    if not connection.execute(
                        "SELECT FROM pg_database WHERE datname = 'main'"
                    ).fetchall():
                        connection.execute("CREATE DATABASE main")
                    made = True
            except Exception:
                time.sleep(0.02)
        if spec.reaper:
            self.processes["reaper"] = self._run(
                ["sh", "-c", spec.reaper],
                PGHOST="127.0.0.1",
                PGPORT=str(spec.port),
                PGUSER="devdb",
                PGDATABASE="postgres",
                PGPASSFILE=f"{self.home}/pgpass",
                DEVDB_POOLER_HOST="127.0.0.1",
                DEVDB_POOLER_PORT=str(spec.pool_port),
                DEVDB_POOLER_USER="devdb_pooler",
            )

    def stop(self) -> None:
        for name, number in (
            ("reaper", signal.SIGTERM),
            ("pgbouncer", signal.SIGTERM),
            ("postgres", signal.SIGINT),
        ):
            if process := self.processes.pop(name, None):
                process.send_signal(number)
                process.wait(timeout=30)

    def restart_servers(self) -> None:
        for name, number in (("pgbouncer", signal.SIGTERM), ("postgres", signal.SIGINT)):
            process = self.processes.pop(name)
            process.send_signal(number)
            process.wait(timeout=30)
        reaper, spec = self.processes.pop("reaper"), self.spec
        self.spec = replace(spec, reaper=None)
        self.start()
        self.spec, self.processes["reaper"] = spec, reaper

    def destroy(self) -> None:
        self.stop()
        import sys

        shutil.copy(self.home / "postgres.log", "/tmp/temp/last.log")
        shutil.rmtree(self.home)

    @property
    def psql(self) -> list[str]:
        return [
            str(BIN / "psql"),
            "-h",
            "127.0.0.1",
            "-p",
            str(self.spec.port),
            "-U",
            "devdb",
            "-d",
            "main",
        ]
