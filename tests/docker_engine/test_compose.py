"""compose/: in step with what devdb runs, and really running."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import available
import psycopg
import pytest
import specs
import world
from libpq import connect

from devdb import postgres
from devdb.model import Spec
from devdb.postgres import verifier

ROOT = Path(__file__).resolve().parents[2]
Images = Callable[[str], str]


def test_the_files_are_what_devdb_runs() -> None:
    run = subprocess.run(
        [sys.executable, ROOT / "scripts" / "compose", "--check"], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr


def compose_command() -> list[str] | None:
    """`docker compose`, else the older `docker-compose`."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            run = subprocess.run([*command, "version"], capture_output=True)
            if run.returncode == 0:
                return command
    return None


@pytest.fixture
def spec() -> Spec:
    return specs.new("docker")


@pytest.fixture
def compose(spec: Spec, image: Images) -> Iterator[Callable[..., None]]:
    """Runs the compose command on compose/ with the test images; takes all down afterwards."""
    command = compose_command()
    if command is None:
        reason = "no `docker compose` here: apt install docker-compose"
        if "docker" in available.required():
            pytest.fail(reason)
        pytest.skip(reason)
    environment = {
        **os.environ,
        "POSTGRES_PASSWORD": spec.password,
        "PGBOUNCER_PASSWORD": spec.pooler_password,
        "DEVDB_PORT": str(spec.port),
        "DEVDB_POOL_PORT": str(spec.pool_port),
        "DEVDB_POSTGRES_IMAGE": image("devdb-test/postgres:18"),
        "DEVDB_PGBOUNCER_IMAGE": image("devdb-test/pgbouncer:1.26"),
    }

    def run(*words: str, **changes: str) -> None:
        status = subprocess.run(
            [*command, "-p", spec.name, *words],
            cwd=ROOT / "compose",
            env={**environment, **changes},
            capture_output=True,
            text=True,
        )
        assert status.returncode == 0, status.stderr

    yield run
    run("down", "--volumes")
    assert list(world.docker_objects(spec.name)) == []


def test_both_urls_work_and_a_role_made_later_gets_in(
    compose: Callable[..., None], spec: Spec
) -> None:
    compose("up", "-d")
    world.eventually(lambda: postgres.probe(spec.pooled), "a login through PgBouncer")
    with connect(spec.direct) as connection:
        connection.execute(f"CREATE ROLE later LOGIN PASSWORD '{verifier('later secret')}'")
        connection.execute("CREATE DATABASE made_later OWNER later")
        methods = connection.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules")
        assert {row[0] for row in methods} == {"scram-sha-256", "reject"}
    later = replace(spec.pooled, user="later", password="later secret", database="made_later")
    with connect(later, prepare_threshold=0) as connection:
        assert connection.execute("SELECT %s::int", (7,)).fetchone() == (7,)
    with pytest.raises(psycopg.OperationalError):
        connect(replace(spec.pooled, password="wrong"))


def test_down_keeps_the_data(compose: Callable[..., None], spec: Spec) -> None:
    compose("up", "-d")
    world.eventually(lambda: postgres.probe(spec.pooled), "a login through PgBouncer")
    with connect(spec.direct) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    compose("down")
    compose("up", "-d")
    world.eventually(lambda: postgres.probe(spec.pooled), "a login through PgBouncer")
    with connect(spec.pooled) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_data_of_an_older_major_goes_where_its_image_wants_it(
    compose: Callable[..., None], spec: Spec, image: Images
) -> None:
    older = {
        "DEVDB_POSTGRES_IMAGE": image("devdb-test/postgres:15"),
        "DEVDB_POSTGRES_VOLUME": "/var/lib/postgresql/data",
        "DEVDB_PGBOUNCER_IMAGE": image("devdb-test/pgbouncer:1.24"),
    }
    compose("up", "-d", **older)
    world.eventually(lambda: postgres.probe(spec.pooled), "a login through PgBouncer")
    container = world.container(spec.name, "postgres")
    mounts = next(i for _, i in world.docker_objects(spec.name) if i["Id"] == container)["Mounts"]
    assert [m["Name"] for m in mounts if m["Type"] == "volume"] == [f"{spec.name}_data"]
