"""The prepared data directory: made once, by one of many, and never half."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import world
from libpq import connect
from world import Elsewhere, NewSpec

from devdb.engines.native import owner
from devdb.engines.native.engine import NativeEngine
from devdb.engines.native.layout import Layout
from devdb.model import Spec, Step

PREPARE = """
import os, signal, sys
from devdb.engines.native import binaries, commands, owner, template
commands.HEARTBEAT = 0.01  # it comes to this step on the fastest machine, too
beats = template.prepared(binaries.postgres(None, data=None), owner.choose())
for number, _ in enumerate(beats):
    if number == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def templates(cache: Path) -> list[Path]:
    return [p for p in (cache / "templates").iterdir() if p.is_dir()]


def test_it_is_made_once_and_has_no_instances_password(
    native: NativeEngine, new_spec: NewSpec, cache: Path
) -> None:
    specs = [new_spec(native) for _ in range(2)]
    list(native.start(specs[0]))
    (template,) = templates(cache)
    made = (template / "password").read_text()
    list(native.start(specs[1]))
    assert templates(cache) == [template]
    assert (template / "password").read_text() == made
    password = (template / "password").read_text()
    assert (template / "password").stat().st_mode & 0o777 == 0o600
    for spec in specs:
        assert password not in (spec.password, spec.pooler_password)
        with connect(spec.pooled) as connection:
            row = connection.execute("SELECT system_identifier FROM pg_control_system()")
            assert row.fetchone() is not None


def test_many_that_need_it_at_once_make_it_once(
    native: NativeEngine, new_spec: NewSpec, cache: Path
) -> None:
    specs = [new_spec(native) for _ in range(4)]
    with ThreadPoolExecutor() as pool:
        ends = list(pool.map(lambda spec: list(native.start(spec))[-1].step, specs))
    assert ends == [Step.READY] * 4
    assert len(templates(cache)) == 1


def test_a_builder_that_was_killed_is_cleared_away(
    native: NativeEngine, spec: Spec, cache: Path
) -> None:
    command = [sys.executable, "-c", PREPARE, "2"]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    (unfinished,) = templates(cache)
    assert unfinished.name.startswith(".")
    list(native.start(spec))
    (template,) = templates(cache)
    assert not template.name.startswith(".")
    world.eventually(lambda: not unfinished.exists(), "the unfinished one is gone")


def spares(cache: Path) -> list[Path]:
    return list(cache.glob("templates/*/spares/spare-*"))


def test_from_the_second_instance_on_a_spare_is_made_and_taken(
    native: NativeEngine, new_spec: NewSpec, cache: Path
) -> None:
    first, second, third = (new_spec(native) for _ in range(3))
    list(native.start(first))
    assert list(cache.glob("templates/*/spares")) == []
    list(native.start(second))
    (spare,) = world.eventually(lambda: spares(cache), "a spare")
    inode = spare.stat().st_ino
    list(native.start(third))
    assert Layout.of(third.name).data.stat().st_ino == inode
    world.eventually(lambda: [s for s in spares(cache) if s != spare], "the next spare")
    for spec in (second, third):
        with connect(spec.pooled) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_maker_of_spares_that_was_killed_is_succeeded(
    native: NativeEngine, new_spec: NewSpec, cache: Path
) -> None:
    list(native.start(new_spec(native)))
    (template,) = templates(cache)
    home = template / "spares"
    (home / ".filling" / "data").mkdir(parents=True)
    for path in (home, home / ".filling", home / ".filling" / "data"):
        owner.choose().give(path)
    list(native.start(new_spec(native)))
    assert spares(cache) == [], "one that may be at work is not disturbed"

    os.utime(home / ".filling", (0, 0))
    list(native.start(new_spec(native)))
    world.eventually(lambda: spares(cache), "a spare")


def test_no_spare_is_made_where_it_could_not_be_taken(
    native: NativeEngine, new_spec: NewSpec, cache: Path, large_disk: Path, elsewhere: Elsewhere
) -> None:
    list(native.start(new_spec(native)))
    with elsewhere(large_disk) as spec:
        list(native.start(spec))
        with connect(spec.pooled) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    assert list(cache.glob("templates/*/spares")) == []


def test_what_is_no_spare_of_its_owners_is_not_taken(
    native: NativeEngine, new_spec: NewSpec, cache: Path, home: Path
) -> None:
    list(native.start(new_spec(native)))
    (template,) = templates(cache)
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    (template / "spares").mkdir()
    (template / "spares" / "spare-link").symlink_to(elsewhere)
    spec = new_spec(native)
    list(native.start(spec))
    assert not Layout.of(spec.name).data.is_symlink()
    assert list(elsewhere.iterdir()) == []
