"""What is kept between runs is made by one devdb, while others wait and say that they live."""

from __future__ import annotations

import subprocess
import sys
from itertools import islice
from pathlib import Path

import world

from devdb.engines.native import cache
from devdb.engines.waiting import Beats, finished

HOLD = """
import sys
import filelock
with filelock.FileLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_who_waits_goes_on_telling_until_the_maker_is_killed(tmp_path: Path) -> None:
    final = tmp_path / "kept"

    def build(building: Path) -> Beats[None]:
        yield
        building.mkdir()

    making = cache.make(final, build, is_whole=final.is_dir, failed="Cannot make it in")
    command = [sys.executable, "-c", HOLD, f"{final}.lock"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        # All but one: a loaded machine may hold one up.
        assert sorted(world.gaps(islice(making, 4)))[-2] <= world.LATE
        assert not final.exists()
        other.kill()
    finished(making)
    assert final.is_dir()
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["kept"]


def test_what_another_one_has_made_meanwhile_is_not_made_again(tmp_path: Path) -> None:
    final = tmp_path / "kept"
    final.mkdir()
    begun: list[Path] = []

    def build(building: Path) -> Beats[None]:
        begun.append(building)
        yield

    finished(cache.make(final, build, is_whole=final.is_dir, failed="Cannot make it in"))
    assert begun == []
