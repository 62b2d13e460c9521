"""The prepared data directory: made once, by one of many, and never half."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import world
from world import NewSpec

from devdb.engines.native import NativeEngine
from devdb.model import Spec, Step
from devdb.postgres import connect

PREPARE = """
import os, signal, sys
from devdb.engines.native import binaries, owner, template
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
    made = template.stat().st_mtime_ns
    list(native.start(specs[1]))
    assert templates(cache) == [template]
    assert template.stat().st_mtime_ns == made
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
