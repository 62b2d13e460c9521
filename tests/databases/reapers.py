"""The reaper as a process of a test's own, with no devdb about it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devdb import databases
from devdb.model import Spec

SHORT = databases.REAPER.replace("sleep 20", "sleep 0.2")
"""With rounds that follow each other at once."""
ONE_ROUND = databases.REAPER.rpartition("    rest\n")[0] + "    break\ndone\n"

StartReaper = Callable[..., "subprocess.Popen[bytes]"]


@contextlib.contextmanager
def reapers(spec: Spec, tmp_path: Path) -> Iterator[StartReaper]:
    """Starts reapers, the SHORT one by default; they are ended at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(script: str = SHORT, **changes: str) -> subprocess.Popen[bytes]:
        if shutil.which("psql") is None:
            pytest.skip("there is no psql on the PATH")
        variables = {**_environment(spec, tmp_path / "pgpass"), **changes}
        started.append(
            subprocess.Popen(["sh", "-c", script], env=variables, stderr=subprocess.DEVNULL)
        )
        return started[-1]

    yield start
    for process in started:
        process.terminate()
        process.wait(timeout=10)


def _environment(spec: Spec, passfile: Path) -> dict[str, str]:
    passfile.write_text(f"*:*:*:devdb:{spec.password}\n*:*:*:devdb_pooler:{spec.pooler_password}\n")
    passfile.chmod(0o600)
    return {
        "PATH": os.environ["PATH"],
        "PGHOST": "127.0.0.1",
        "PGPORT": str(spec.port),
        "PGUSER": "devdb",
        "PGDATABASE": "postgres",
        "PGPASSFILE": str(passfile),
        "DEVDB_POOLER_HOST": "127.0.0.1",
        "DEVDB_POOLER_PORT": str(spec.pool_port),
        "DEVDB_POOLER_USER": "devdb_pooler",
    }
