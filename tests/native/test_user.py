"""The same as an ordinary user: everything belongs to him, and he needs no root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
import world

from devdb.engines.native import binaries, supervision
from devdb.model import Spec

LIFE = """
import os, sys
from pathlib import Path
import psutil
from devdb import engines, marker, sessions
from devdb.engines.native import supervision

engine = engines.get("native")
name, uid, gid = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
spec = marker.load(name)

def live():
    server = list(engine.start(spec))[-1].server
    with sessions.plain(spec.pooled) as session:
        print(session.query("SELECT current_user")[0][0])
    print(server.location)
    print({psutil.Process(int(part.detail.split()[1])).uids().real for part in server.parts})
    engine.stop(spec.name)
    list(engine.start(spec))
    engine.stop(spec.name, destroy=True)
    print(engine.find(spec.name))

if uid != os.getuid():
    # Once as root, in directories of root's that are as empty: afterwards every module has been
    # imported that this Python, which may be out of an ordinary user's reach, could not read any
    # more. A cache that is filled already would leave out what fills it.
    users, cache = os.environ["DEVDB_DATA_DIR"], os.environ["DEVDB_CACHE_DIR"]
    os.environ["DEVDB_DATA_DIR"], os.environ["DEVDB_CACHE_DIR"] = sys.argv[4], sys.argv[5]
    live()
    os.environ["DEVDB_DATA_DIR"], os.environ["DEVDB_CACHE_DIR"] = users, cache
    # So may be what the supervisor is run with, and its program.
    sys.executable, supervision.SCRIPT = sys.argv[6], Path(sys.argv[7])
    os.setgroups([]); os.setgid(gid); os.setuid(uid)
live()
"""


@pytest.fixture
def user() -> pwd.struct_passwd:
    """An ordinary user: this one, or for root a throwaway choice."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


@pytest.fixture
def python(user: pwd.struct_passwd) -> str:
    """A Python that this user can run."""
    if os.geteuid() != 0:
        return sys.executable
    for found in (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3"):
        command = [found, "-c", "import sys; assert sys.version_info >= (3, 11)"]
        with suppress(OSError):
            done = subprocess.run(command, user=user.pw_uid, group=user.pw_gid, extra_groups=[])
            if done.returncode == 0:
                return found
    pytest.skip("an ordinary user has no Python from 3.11 on here")


def test_a_whole_life(spec: Spec, home: Path, user: pwd.struct_passwd, python: str) -> None:
    for path in [home, *home.rglob("*")]:
        os.chown(path, user.pw_uid, user.pw_gid)
    pooler = str(binaries.pooler().path)
    script = Path(shutil.copy(supervision.SCRIPT, home))
    command = [sys.executable, "-c", LIFE, spec.name, str(user.pw_uid), str(user.pw_gid)]
    with (
        tempfile.TemporaryDirectory(prefix="devdb-root-") as roots,
        tempfile.TemporaryDirectory(prefix="devdb-user-") as cache,
    ):
        Path(roots).chmod(0o711)  # passable for whom root's servers run as
        os.chown(cache, user.pw_uid, user.pw_gid)
        result = subprocess.run(
            [*command, f"{roots}/data", f"{roots}/cache", python, str(script)],
            env={**os.environ, "DEVDB_CACHE_DIR": cache, "DEVDB_PGBOUNCER": pooler},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert result.returncode == 0, result.stderr
    role, location, uids, found = result.stdout.splitlines()[-4:]
    assert role == "devdb"
    assert Path(location).is_relative_to(home)
    assert uids == str({user.pw_uid})
    assert found == "None"
    assert world.processes(spec.name, home) == []
