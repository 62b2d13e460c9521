"""What `devdb doctor` says of the docker engine."""

from __future__ import annotations

import os
from collections.abc import Iterator

from devdb.engines.docker import client, home, image_contents, labels
from devdb.engines.docker.client import Connection, speaking
from devdb.engines.docker.image import Image, find_image
from devdb.engines.images import DEFAULT_POOLER
from devdb.errors import DevdbError
from devdb.model import Finding, Level
from devdb.pgbouncer import NEWER, crash_warning, parse_version
from devdb.postgres import NEWEST_MAJOR

_SUBJECT = "docker"
_NAME = "doctor"
"""The instance that its questions to an image are labelled with."""


def findings(pinned: str | None) -> list[Finding]:
    """Each socket looked at until one answers, then that engine and its images."""
    found: list[Finding] = []
    try:
        for candidate, answer in client.looks(pinned):
            if isinstance(answer, Connection):
                with speaking(answer.host):
                    return [*found, *_of_engine(answer, candidate.source)]
            message = f"{candidate.host} ({candidate.source}): {answer}"
            found.append(Finding(level=Level.INFO, subject=_SUBJECT, message=message))
        client.connect(pinned)
    except DevdbError as error:
        problem = Finding(
            level=Level.ERROR, subject=_SUBJECT, message=error.message, fix=error.hint
        )
        return [*found, problem]
    return found


def _of_engine(connection: Connection, source: str) -> Iterator[Finding]:
    yield Finding(
        level=Level.INFO,
        subject=_SUBJECT,
        message=f"{connection.title} answers at {connection.host} ({source})",
    )
    if connection.is_podman:
        command = "systemctl --user" if connection.client.info().get("Rootless") else "systemctl"
        yield Finding(
            level=Level.WARNING,
            subject=_SUBJECT,
            message="Podman does not start containers again after a reboot by itself",
            fix=connection.there(f"{command} enable --now podman-restart.service"),
        )
    if connection.joins and connection.container:
        name = connection.container["Name"].lstrip("/")
        yield Finding(
            level=Level.INFO,
            subject=_SUBJECT,
            message=f"this is its container {name}: instances join its network, and are on its "
            "127.0.0.1; when it was started anew they are by `devdb up`",
        )
    yield from _of_lost(connection)
    yield from _of_images(connection)


def _of_lost(connection: Connection) -> Iterator[Finding]:
    """Data that was made at our path by a data home that is there no more."""
    if not connection.paths_are_ours:
        return
    engine, ours = connection.client, home.existing()
    query = {"label": f"{labels.PATH}={home.of_path()}"}
    for volume in engine.volumes(filters=query)["Volumes"] or []:
        if volume["Labels"][labels.HOME] != ours:
            its = [f"{label}={volume['Labels'][label]}" for label in (labels.HOME, labels.INSTANCE)]
            there = engine.containers(all=True, filters={"label": its})
            names = " ".join(container["Names"][0].lstrip("/") for container in there)
            yield Finding(
                level=Level.WARNING,
                subject=_SUBJECT,
                message=f"{volume['Name']} is of a data home that was in this place and is gone",
                fix=f"unless somebody needs it: {f'docker rm -f {names}; ' if names else ''}"
                f"docker volume rm {volume['Name']}",
            )


def _of_images(connection: Connection) -> Iterator[Finding]:
    postgres = os.environ.get("DEVDB_POSTGRES_IMAGE") or f"postgres:{NEWEST_MAJOR}"
    pooler = os.environ.get("DEVDB_PGBOUNCER_IMAGE") or DEFAULT_POOLER
    here = {reference: find_image(connection.client, reference) for reference in (postgres, pooler)}
    for reference, image in here.items():
        yield Finding(
            level=Level.INFO,
            subject=_SUBJECT,
            message=f"image {reference} is {'here' if image else 'not here; it will be pulled'}",
            fix=None if image else f"docker pull {reference}",
        )
    if image := here[pooler]:
        yield from _of_pooler(connection, image)


def _of_pooler(connection: Connection, image: Image) -> Iterator[Finding]:
    """What anybody can do to the PgBouncer in the image; asked once, then remembered."""
    asker = labels.Identity(_NAME, home.existing() or home.of_path())
    try:
        text = image_contents.binary_version(connection.client, image, labels.PGBOUNCER, asker)
        version = parse_version(text)
        package = image_contents.pooler_package(connection.client, image, version, asker)
    except DevdbError as error:
        yield Finding(level=Level.ERROR, subject=_SUBJECT, message=error.message, fix=error.hint)
        return
    if warning := crash_warning(version, package):
        message = f"image {image.reference}: {warning}"
        yield Finding(level=Level.WARNING, subject=_SUBJECT, message=message, fix=NEWER)
