"""The instance for a run of tests: shared, in memory, and gone when nobody uses it any more."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import world
from throwaway.users import (
    LINGER,
    Attach,
    User,
    directories,
    home,
    keepers,
    keepers_of,
    named_users,
    require,
    users,
)

from devdb import paths, sessions
from devdb.errors import EngineUnavailable, StartFailed
from devdb.model import Endpoint
from devdb.workspace import storage


@pytest.fixture(autouse=True)
def native(request: pytest.FixtureRequest) -> None:
    if "docker" not in request.node.name:
        require("native")


def test_two_that_come_at_once_share_it_and_the_end_of_both_is_its_own(
    project: Path, attached: Attach
) -> None:
    one, other = User(project), User(project)
    with users(one, other):
        told = [one.tell(), other.tell()]
        assert told[0]["port"] == told[1]["port"]
        lease = attached()
        assert lease.spec.port == told[0]["port"]
        place, memory = home(project), storage.obstacle(in_files=True) is None
        assert lease.is_in_memory == told[0]["in_memory"] == memory
        assert (lease.notes == ()) == memory
        assert (place.parent == storage.MEMORY) == memory
        assert 0 < lease.room <= 4_000_000_000
        told_by_server = settings(lease.spec.direct, "fsync", "max_connections", "ssl")
        assert told_by_server == ["off", "300", "off"]
        assert rounds(lease.spec.direct) == {"1"}
        lease.close()
        one.kill()
        world.eventually(lambda: len(named_users(project)) == 1, "its keeper sees that")
        time.sleep(1.5 * LINGER)  # it is not to end: there is nothing to wait for
        assert answers(lease.spec.direct)
        other.kill()  # what both forked lives on
        world.eventually(lambda: directories(project) == [], "it ends after its last user")
        assert not place.exists()
        assert world.mentioning(place) == []


def test_a_keeper_that_is_killed_is_followed_by_another(project: Path, attached: Attach) -> None:
    lease = attached()
    guardian, keeper = keepers(project)
    os.kill(keeper, signal.SIGKILL)
    world.eventually(lambda: {guardian} < set(keepers(project)) - {keeper}, "another keeper")
    assert answers(lease.spec.direct)
    # And where nobody was left to see it, the next one who comes sees to what there is, in use or
    # not.
    left = home(project)
    [abandoned] = directories(project)
    for pid in keepers(project):
        os.kill(pid, signal.SIGKILL)
    world.eventually(lambda: keepers_of(abandoned) == [], "both are dead")
    other = attached(content="1")
    world.eventually(lambda: len(keepers_of(abandoned)) == 2, "it has a keeper again")
    assert answers(lease.spec.direct)
    lease.close()
    world.eventually(lambda: not abandoned.exists(), "it ends, too")
    assert not left.exists()
    assert world.mentioning(left) == []
    assert answers(other.spec.direct)


def test_one_whose_server_is_gone_for_good_is_replaced(project: Path, attached: Attach) -> None:
    lease, before = attached(), home(project)
    pid_file = before / "instances" / "tests" / "native" / "data" / "postmaster.pid"
    os.kill(int(pid_file.read_text().split()[0]), signal.SIGINT)  # by hand: it stays down
    again = attached()
    assert answers(again.spec.direct)
    assert home(project) != before
    assert not before.exists()
    assert not answers(lease.spec.direct)


def test_of_other_content_it_is_another_and_the_unused_one_ends_at_once(
    project: Path, attached: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_DEVDB_LINGER", "600")
    attached().close()
    [older] = directories(project)
    lease = attached(content="1", client="jdbc")
    assert rounds(lease.spec.direct) == {"4096"}  # which refuses fewer
    world.eventually(lambda: older not in directories(project), "the other one ends")
    [note] = lease.keep()
    pid = int(note.rpartition("kill ")[2])
    assert pid == keepers(project)[0]
    lease.close()
    attached(content="2").close()
    assert len(directories(project)) == 2  # one that is to stay does
    for directory in directories(project):
        os.kill(int((directory / "keeper").read_text()), signal.SIGTERM)
    world.eventually(lambda: directories(project) == [], "they end when they are told to")


def test_why_it_does_not_start_is_told_and_nothing_is_left(project: Path, attached: Attach) -> None:
    with pytest.raises(EngineUnavailable, match="There is no Postgres 99"):
        attached(pg=99)
    assert directories(project) == []
    with pytest.raises(StartFailed, match="work_mem") as refused:
        attached(postgres=(("work_mem", "nonsense"),))
    assert refused.value.hint.endswith("run the tests again")
    assert directories(project) == []


def test_without_room_in_memory_its_data_is_on_disk(project: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small /dev/shm for one process")
    # The cache of the run may be in the other /dev/shm.
    cache = Path(tempfile.mkdtemp(prefix="devdb-cache-"))
    cache.chmod(0o755)
    mount = f"mount --bind {paths.cache_home()} {cache}; mount -t tmpfs -o size=16m shm /dev/shm"
    prefix = ["unshare", "--mount", "sh", "-c", f'set -e; {mount}; exec "$@"', "sh"]
    if subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    user = User(project, prefix, DEVDB_CACHE_DIR=str(cache))
    with users(user):
        told = user.tell()
        [note] = told["notes"]
        assert note.startswith("its data is on disk: /dev/shm has 16 MB free, 256 MB are needed")
        assert not told["in_memory"]
        [directory] = directories(project)
        assert (directory / "data" / "instances" / "tests" / "native" / "data").is_dir()
    world.eventually(lambda: directories(project) == [], "it ends")
    cache.rmdir()


def test_docker_has_its_data_in_memory(project: Path, attached: Attach) -> None:
    require("docker")
    lease = attached(engine="docker")
    assert lease.is_in_memory == (storage.obstacle(in_files=False) is None)
    assert settings(lease.spec.direct, "fsync", "ssl") == ["off", "off"]
    assert answers(lease.spec.pooled)
    place = home(project)
    words = os.fsencode(place) + b"\0" + (place / "id").read_bytes()
    made = f"devdb-{hashlib.sha256(words).hexdigest()[:8]}-tests"
    found = list(world.docker_objects(made))
    [volume] = [item for kind, item in found if kind == "volume"]
    assert (volume["Options"] or {}).get("type") == ("tmpfs" if lease.is_in_memory else None)
    lease.close()
    world.eventually(lambda: directories(project) == [], "it ends", timeout=60)
    assert list(world.docker_objects(made)) == []


def answers(endpoint: Endpoint) -> bool:
    """Whether it lets us in."""
    try:
        sessions.plain(endpoint).close()
    except OSError:
        return False
    return True


def settings(endpoint: Endpoint, *names: str) -> list[str]:
    """What those are in its Postgres."""
    with sessions.direct(endpoint) as session:
        return [str(session.query("SELECT current_setting({})", name)[0][0]) for name in names]


def rounds(endpoint: Endpoint) -> set[str]:
    """Of hashing, that logins of devdb's own roles take."""
    with sessions.direct(endpoint) as session:
        query = "SELECT split_part(split_part(rolpassword, '$', 2), ':', 1) FROM pg_authid"
        return {str(row[0]) for row in session.query(f"{query} WHERE rolcanlogin")}
