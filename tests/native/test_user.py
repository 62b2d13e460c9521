"""The same as an ordinary user: everything belongs to him, and he needs no root."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import world

from devdb.engines.native import binaries
from devdb.model import Spec

LIFE = """
import os, sys
from pathlib import Path
import psutil
from devdb import engines, marker

engine = engines.get("native")
name, uid, gid = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
spec = marker.load(name)

def live():
    server = list(engine.start(spec))[-1].server
    with libpq.connect(spec.pooled) as connection:
        print(connection.execute("SELECT current_user").fetchone()[0])
    print(server.location)
    print({psutil.Process(int(part.detail.split()[1])).uids().real for part in server.parts})
    engine.stop(spec.name)
    list(engine.start(spec))
    engine.stop(spec.name, destroy=True)
    print(engine.find(spec.name))

if uid != os.getuid():
    # Once as root, in a directory of root's: afterwards every module has been imported that this
    # Python, which may be out of an ordinary user's reach, could not read any more.
    users, cache = os.environ["DEVDB_DATA_DIR"], os.environ["DEVDB_CACHE_DIR"]
    os.environ["DEVDB_DATA_DIR"], os.environ["DEVDB_CACHE_DIR"] = sys.argv[4], sys.argv[5]
    live()
    os.environ["DEVDB_DATA_DIR"], os.environ["DEVDB_CACHE_DIR"] = users, cache
    os.setgroups([]); os.setgid(gid); os.setuid(uid)
live()
"""


@pytest.fixture
def user() -> pwd.struct_passwd:
    """An ordinary user: this one, or for root a throwaway choice."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


def test_a_whole_life(spec: Spec, home: Path, user: pwd.struct_passwd) -> None:
    for path in [home, *home.rglob("*")]:
        os.chown(path, user.pw_uid, user.pw_gid)
    pooler = str(binaries.pooler().path)
    roots = home / "of-root"
    command = [sys.executable, "-c", LIFE, spec.name, str(user.pw_uid), str(user.pw_gid)]
    with tempfile.TemporaryDirectory(prefix="devdb-user-") as cache:
        os.chown(cache, user.pw_uid, user.pw_gid)
        result = subprocess.run(
            [*command, str(roots), os.environ["DEVDB_CACHE_DIR"]],
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
