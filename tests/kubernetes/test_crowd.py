"""A team that brings up the same instance at the same moment, each member with a data home."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import kube
import psycopg
import pytest
import specs
import world
from commandline import Cli, Done

MEMBERS = 10
PATIENCE = 150


def at_once(members: Sequence[Cli], *words: str) -> list[Done]:
    """What each of them is told who types that at the same moment."""
    begun = [each.begin(*words) for each in members]
    said = [each.communicate(timeout=PATIENCE) for each in begun]
    return [Done(each.returncode, *texts) for each, texts in zip(begun, said, strict=True)]


@pytest.fixture
def members(tmp_path: Path) -> list[Cli]:
    """Clones of a project, with data homes and ports as if on machines of their own."""
    made = []
    for number in range(MEMBERS):
        project = tmp_path / str(number) / "shop"
        project.mkdir(parents=True)
        env = {
            **os.environ,
            "DEVDB_DATA_DIR": str(tmp_path / str(number) / "home"),
            "DEVDB_ENGINE": "kubernetes",
            "DEVDB_PORT": str(specs.free_port()),
            "DEVDB_POOL_PORT": str(specs.free_port()),
        }
        made.append(Cli(project, env))
    return made


def test_all_of_them_get_the_same_instance(members: list[Cli]) -> None:
    name = specs.new_name("test")
    try:
        for member, up in zip(members, at_once(members, "up", "-n", name), strict=True):
            if up.code:  # whose name it was a moment later is told how to attach
                assert f"devdb up -n {name}" in up.err, up.err
                again = member("up", "-n", name)
                assert again.code == 0, again.err
        urls = [each.out.strip() for each in at_once(members, "url", "-n", name)]
        assert len(set(urls)) == MEMBERS
        with psycopg.connect(urls[0]) as first:
            first.execute("CREATE TABLE ours AS SELECT 42 AS answer")
        for url in urls:
            with psycopg.connect(url) as connection:
                assert connection.execute("SELECT answer FROM ours").fetchone() == (42,)
        assert [kind for kind, _ in kube.objects(name)].count("pod") == 1
    finally:
        gone = at_once(members, "rm", "--force", name)
    assert 0 in [each.code for each in gone], gone[0].err
    assert list(kube.objects(name)) == []
    for member in members:
        assert world.processes(name, Path(member.env["DEVDB_DATA_DIR"])) == []
