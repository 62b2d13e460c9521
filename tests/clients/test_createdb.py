"""`npx create-db`, as it is published, against a gateway that offers databases."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import specs
from gateway import serving
from inside import Inside
from instances import Instance

from devdb import databases
from devdb.databases import Stage
from devdb.gateway.createdb import REGIONS
from devdb.model import Spec
from devdb.workspace import createdb

Run = Callable[..., "subprocess.CompletedProcess[str]"]
REGION = ("-r", "us-east-1")
"""Without a region it asks the internet where it is."""


@pytest.fixture
def create_db(running: Spec, node: dict[str, str], tmp_path: Path) -> Iterator[Run]:
    """The command; none of its databases is left."""
    target = serving.target(running)
    try:
        with serving.thread(target, offer=createdb.offer(running)):
            yield command(f"http://127.0.0.1:{target.port}", node, tmp_path)
    finally:
        Inside(running).tidy()


def command(url: str, node: dict[str, str], directory: Path) -> Run:
    """Runs it in that directory; it asks the gateway there."""
    modules = Path(node["NODE_PATH"].split(":")[0])
    program = ["node", str(modules / "create-db" / "dist" / "cli.mjs")]

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*program, *words],
            cwd=directory,
            env={**node, "CREATE_DB_WORKER_URL": url, "CLAIM_DB_WORKER_URL": url},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=serving.PATIENCE,
            check=False,
        )

    return run


def name_in(url: str) -> str:
    """The database that one is in there."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT current_database()").fetchone()
        assert row is not None
        return str(row[0])


def test_it_makes_temporary_databases_in_each_of_its_ways(
    create_db: Run, running: Spec, tmp_path: Path
) -> None:
    quiet = create_db("-q", *REGION)
    assert (quiet.returncode, quiet.stderr) == (0, "")
    names = [name_in(quiet.stdout.strip())]

    told = json.loads(create_db("--json", "--ttl", "1h", *REGION).stdout)
    assert (told["success"], told["region"]) == (True, "us-east-1")
    names.append(name_in(told["connectionString"]))
    assert told["name"] == told["projectId"] == names[1]
    assert f"/claim?projectID={names[1]}" in told["claimUrl"]

    written = create_db("-e", "made.env", "-r", "eu-west-3")
    assert written.returncode == 0, written.stderr
    lines = dict(
        line.split("=", 1) for line in (tmp_path / "made.env").read_text().split("\n") if line
    )
    names.append(name_in(lines["DATABASE_URL"].strip('"')))
    assert f"projectID={names[2]}" in lines["CLAIM_URL"]

    made = {each.name: each.left for each in databases.every(running)}
    assert set(made) == set(names)
    for name, hours in zip(names, (24, 1, 24), strict=True):
        left = made[name]
        assert left is not None
        assert timedelta(hours=hours, minutes=-5) < left <= timedelta(hours=hours)


def test_it_shows_the_regions_and_what_it_is_refused(
    create_db: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = create_db("regions")
    assert set(re.findall(r"[a-z]+-[a-z]+-\d", shown.stdout)) == set(REGIONS)
    monkeypatch.setattr(createdb, "MOST", 0)
    refused = create_db("-q", *REGION)
    assert refused.returncode != 0
    assert "devdb temp drop" in refused.stderr


def test_devdb_http_offers_them_when_it_is_told_to(
    instance: Instance, node: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVDB_DATA_DIR", str(instance.home))
    with devdb_http(instance, "--create-db") as url:
        told = json.loads(command(url, node, tmp_path)("--json", *REGION).stdout)
        with urllib.request.urlopen(told["claimUrl"], timeout=serving.PATIENCE) as page:
            shown = page.read().decode()
    name = name_in(told["connectionString"])
    assert f"devdb temp claim {name} -n {instance.spec.name}" in shown
    [made] = databases.every(instance.spec)
    assert (made.name, made.state) == (name, Stage.READY)  # to look at the page claims nothing
    with devdb_http(instance) as url:
        refused = command(url, node, tmp_path)("--json", *REGION)
    assert "devdb http --create-db" in refused.stdout + refused.stderr


@contextmanager
def devdb_http(instance: Instance, *options: str) -> Iterator[str]:
    """The HTTP URL that the command prints."""
    port = specs.free_port()
    words = ["http", "-n", instance.spec.name, "--http-port", str(port), *options]
    with subprocess.Popen(
        [sys.executable, "-m", "devdb", *words],
        env=dict(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
    assert process.returncode == 0
