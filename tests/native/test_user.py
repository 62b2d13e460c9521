"""The same as an ordinary user: everything belongs to him, and he needs no root, nor a name."""

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

from devdb.engines.native import binaries, owner, supervision
from devdb.engines.native.owner import Owner
from devdb.errors import EngineUnavailable
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

NAMELESS = 54321
"""A uid that has no passwd entry."""


@pytest.fixture(params=["with a passwd entry", "with none"])
def user(request: pytest.FixtureRequest) -> pwd.struct_passwd:
    """An ordinary user: this one, or for root a throwaway choice, also of one who is nobody."""
    nameless = request.param == "with none"
    if os.geteuid() != 0:
        if nameless:
            pytest.skip("needs root, to become a user who is not there")
        return pwd.getpwuid(os.geteuid())
    found = pwd.getpwnam("nobody")
    if not nameless:
        return found
    if subprocess.run(["unshare", "--user", "true"], user=NAMELESS).returncode != 0:
        pytest.skip("needs user namespaces")
    return pwd.struct_passwd((*found[:2], NAMELESS, *found[3:]))


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


def test_a_name_is_lent_by_a_library_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "libnss_wrapper.so"
    library.touch()
    monkeypatch.setattr(owner, "WRAPPERS", (str(library)[1:],))
    prefix, variables = Owner(NAMELESS, 0, "uid", foreign=False).named(tmp_path)
    assert prefix == []
    assert variables["LD_PRELOAD"] == str(library)
    assert Path(variables["NSS_WRAPPER_PASSWD"]).read_text().split(":")[2:4] == [str(NAMELESS), "0"]


def test_who_cannot_be_lent_a_name_is_told_two_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, "WRAPPERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))  # no unshare there
    with pytest.raises(EngineUnavailable, match=f"uid {NAMELESS}") as caught:
        Owner(NAMELESS, 0, "uid", foreign=False).named(tmp_path)
    assert "libnss-wrapper" in caught.value.hint
    assert "/etc/passwd" in caught.value.hint


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
