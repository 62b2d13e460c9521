"""Serverless drivers and what is built on them, over the gateway, beside node-postgres over TCP."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import gateways
import libpq
import pytest
from inside import Inside
from instances import Instance
from psycopg import sql

from devdb import databases
from devdb.model import Spec
from devdb.urls.serverless import SNIPPET
from devdb.urls.spelling import spell

PROGRAMS = Path(__file__).parent / "node" / "serverless"
DATABASE = "serverless"
Actions = Mapping[str, Callable[..., Any]]
"""What a program may ask for while it runs, by its name; what comes back is told to it as JSON."""


class Project:
    """A directory with the programs and all that they import, as a project of somebody's."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self._directory, self._environment = directory, environment
        modules, home = environment["NODE_PATH"].split(":")
        shutil.copytree(PROGRAMS, directory, dirs_exist_ok=True)
        (directory / "node_modules").symlink_to(modules)
        (directory / "generated").symlink_to(f"{home}/generated")
        (directory / "snippet.mjs").write_text(SNIPPET)

    def run(
        self, *modules: str, gateway: str, urls: dict[str, str], actions: Actions | None = None
    ) -> None:
        """Run the checks of those modules; fails with what failed in them."""
        # Node 22 has a WebSocket of its own, Node 20 has the same with that option.
        command = ["node", "--experimental-websocket", "--no-warnings", "main.mjs", *modules]
        told = {
            "DEVDB_HTTP_URL": gateway,
            "WORK_URLS": json.dumps(urls),
            "SNIPPET": "./snippet.mjs",
        }
        done, failures = [], []
        with subprocess.Popen(
            command,
            cwd=self._directory,
            env={**self._environment, **told},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as program:
            assert program.stdin is not None
            assert program.stdout is not None
            try:
                for line in program.stdout:
                    said = json.loads(line)
                    if "please" in said:
                        action, *options = said["please"]
                        program.stdin.write(json.dumps((actions or {})[action](*options)) + "\n")
                        program.stdin.flush()
                        continue
                    done.append(said["done"]["name"])
                    if error := said["done"].get("error"):
                        failures.append(f"{done[-1]}\n{error}")
            finally:
                program.kill()  # it has ended, or waits for what was to be done here
        assert not failures, "\n".join(failures)
        assert done
        assert len(done) == len(set(done))
        assert program.returncode == 0


@pytest.fixture
def project(tmp_path: Path, node: dict[str, str]) -> Project:
    return Project(tmp_path, node)


def urls(spec: Spec, database: str) -> dict[str, str]:
    """Both of the database."""
    there = {"direct": spec.direct, "pooled": spec.pooled}
    return {
        kind: spell("node-postgres", replace(endpoint, database=database), pooled=kind == "pooled")
        for kind, endpoint in there.items()
    }


@contextmanager
def database(spec: Spec) -> Iterator[dict[str, str]]:
    """The URLs of a database that is there meanwhile."""
    name = sql.Identifier(DATABASE)
    with libpq.connect(spec.direct) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        try:
            yield urls(spec, DATABASE)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def test_the_driver_is_told_what_node_postgres_is_told(running: Spec, project: Project) -> None:
    with gateways.gateway(running) as gateway, database(running) as there:
        project.run("over_http", "over_websocket", "libraries", gateway=gateway.url, urls=there)


def test_a_temporary_database_that_ends(running: Spec, project: Project) -> None:
    inside, made = Inside(running), []

    def make() -> dict[str, str]:
        made.append(databases.create(running, ttl=timedelta(hours=1)).name)
        [entry] = [each for each in databases.every(running) if each.name == made[-1]]
        return {
            "direct": spell("node-postgres", entry.direct),
            "pooled": spell("node-postgres", entry.pooled, pooled=True),
        }

    actions: Actions = {
        "temporary": make,
        "drop": lambda: databases.drop(running, [made[-1]]) and None,
        "expire": lambda: inside.expire(made[-1]),
    }
    try:
        with gateways.gateway(running) as gateway:
            there = urls(running, "main")
            project.run("expiring", gateway=gateway.url, urls=there, actions=actions)
    finally:
        inside.tidy()


def test_servers_that_are_down_for_a_while(
    project: Project, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVDB_DATA_DIR", str(instance.home))

    def stop() -> str:
        instance.stop()
        return instance.spec.name

    actions: Actions = {"stop": stop, "start": instance.start}
    with gateways.gateway(instance.spec) as gateway:
        there = urls(instance.spec, "main")
        project.run("stopping", gateway=gateway.url, urls=there, actions=actions)
