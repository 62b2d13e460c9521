"""What `devdb doctor` says of the docker engine."""

from __future__ import annotations

import os
from collections.abc import Iterator

from devdb.engines.docker import endpoint, images
from devdb.engines.docker.endpoint import Connection, speaking
from devdb.errors import DevdbError
from devdb.model import Finding, Level
from devdb.postgres import NEWEST_MAJOR

_SUBJECT = "docker"


def findings(pinned: str | None) -> list[Finding]:
    """Each socket looked at until one answers, then that engine and its images."""
    found: list[Finding] = []
    try:
        for candidate, answer in endpoint.looks(pinned):
            if isinstance(answer, Connection):
                with speaking(answer.host):
                    return [*found, *_engine(answer, candidate.source)]
            message = f"{candidate.host} ({candidate.source}): {answer}"
            found.append(Finding(level=Level.INFO, subject=_SUBJECT, message=message))
        endpoint.connect(pinned)
    except DevdbError as error:
        problem = Finding(
            level=Level.ERROR, subject=_SUBJECT, message=error.message, fix=error.hint
        )
        return [*found, problem]
    return found


def _engine(connection: Connection, source: str) -> Iterator[Finding]:
    yield Finding(
        level=Level.INFO,
        subject=_SUBJECT,
        message=f"{connection.title} answers at {connection.host} ({source})",
    )
    if connection.is_podman:
        yield Finding(
            level=Level.WARNING,
            subject=_SUBJECT,
            message="Podman does not start containers again after a reboot by itself",
            fix="systemctl --user enable --now podman-restart.service",
        )
    if connection.is_ours_from_inside():
        yield Finding(
            level=Level.ERROR,
            subject=_SUBJECT,
            message=endpoint.FROM_INSIDE,
            fix="devdb up --engine native",
        )
    yield from _images(connection)


def _images(connection: Connection) -> Iterator[Finding]:
    postgres = os.environ.get("DEVDB_POSTGRES_IMAGE") or f"postgres:{NEWEST_MAJOR}"
    pooler = os.environ.get("DEVDB_PGBOUNCER_IMAGE") or images.DEFAULT_POOLER
    for reference in (postgres, pooler):
        is_here = images.inspect(connection.client, reference) is not None
        yield Finding(
            level=Level.INFO,
            subject=_SUBJECT,
            message=f"image {reference} is {'here' if is_here else 'not here; it will be pulled'}",
            fix=None if is_here else f"docker pull {reference}",
        )
