"""A power cut: certificates and answers are the host's files, the containers' are the engine's."""

from __future__ import annotations

import io
import subprocess
import tarfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import world
from docker import APIClient
from inside import verified
from libpq import connect

from devdb import certificates
from devdb.engines.docker import labels
from devdb.engines.docker.config import DIRECTORY
from devdb.model import Server, Spec

Starts = Callable[[Spec], Server]
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "zeros": lambda content: bytes(len(content)),
}
"""What a power cut leaves of a file that was not synced."""


def test_certificates_that_are_no_good_are_made_anew(spec: Spec, start: Starts) -> None:
    start(spec)
    directory = certificates.ca_path(spec.name).parent
    for name, damage in zip(("ca.crt", "server.crt", "server.key"), DAMAGES, strict=True):
        path = directory / name
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
        assert start(spec).running
        assert verified(spec, spec.direct), name
        assert verified(spec, spec.pooled), name


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_image_is_asked_again_when_its_answers_are_no_good(
    cache: Path, spec: Spec, start: Starts, damage: str
) -> None:
    before = start(spec)
    answers = {path: path.read_bytes() for path in (cache / "answers" / "images").iterdir()}
    assert len(answers) >= 5
    for path, content in answers.items():
        path.write_bytes(DAMAGES[damage](content))
    after = start(spec)
    assert {path: path.read_bytes() for path in answers} == answers
    assert [part.started for part in after.parts] == [part.started for part in before.parts]
    assert verified(spec, spec.direct)


def empty_its_files(client: APIClient, container: str) -> None:
    """As a power cut leaves them: the names are there, and nothing in them."""
    stream, _ = client.get_archive(container, DIRECTORY)
    emptied = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as there,
        tarfile.open(fileobj=emptied, mode="w") as tar,
    ):
        for member in there:
            member.name = f"{DIRECTORY}/../{member.name}".lstrip("/")
            member.size = 0
            tar.addfile(member)
    client.put_archive(container, "/", emptied.getvalue())


def _restarts(client: APIClient, container: str) -> int:
    return int(client.inspect_container(container)["RestartCount"])


@pytest.mark.parametrize("started_again", [False, True])
def test_containers_whose_files_are_empty_are_made_anew(
    spec: Spec, start: Starts, client: APIClient, started_again: bool
) -> None:
    start(spec)
    with connect(spec.direct) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    containers = [world.container(spec.name, part) for part in (labels.POSTGRES, labels.PGBOUNCER)]
    for container in containers:
        subprocess.run(["docker", "kill", container], check=True, capture_output=True)
        empty_its_files(client, container)
    if started_again:  # by the engine, when the machine is up again: they end, and again
        for container in containers:
            client.start(container)
            restarts = partial(_restarts, client, container)
            world.eventually(restarts, "a restart")
    assert start(spec).running
    with connect(spec.pooled) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    assert verified(spec, spec.direct)


def test_the_engines_disk_is_synced_before_it_is_ready(
    spec: Spec, start: Starts, client: APIClient
) -> None:
    since = int(time.time())
    start(spec)
    until = int(time.time()) + 1
    filters = {"container": world.container(spec.name, labels.POSTGRES)}
    events = list(client.events(since=since, until=until, filters=filters, decode=True))
    done = [each["Action"] for each in events]
    asked = next(i for i, action in enumerate(done) if "sync -f" in action)
    ended = [each for each in events[asked:] if each["Action"] == "exec_die"]
    assert [each["Actor"]["Attributes"]["exitCode"] for each in ended] == ["0"]
