"""An instance whose marker is lost, by the labels and the files of its containers and volume."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from devdb import pgbouncer, postgres
from devdb.engines.docker import create, find, image_contents, labels
from devdb.engines.docker.client import Connection
from devdb.engines.docker.config import CONF
from devdb.engines.docker.find import Found
from devdb.engines.docker.image import find_image
from devdb.engines.images import DEFAULT_POOLER, named, wanted_images
from devdb.errors import StartFailed
from devdb.model import MAINTENANCE_DATABASE, PoolMode, Spec

if TYPE_CHECKING:
    from docker import APIClient

_PATIENCE = 60
_SQL = "passwords.sql"


def recover(connection: Connection, name: str) -> Spec | None:
    """See `Engine.recover`."""
    client, found = connection.client, find.look_for(connection, name)
    if found is None or found.data is None or found.unfinished:
        return None
    known = found.data["Labels"]
    major = int(known[labels.MAJOR])
    pooler = _files_of(client, found, labels.PGBOUNCER)
    server = _files_of(client, found, labels.POSTGRES)
    ini = pooler.get("pgbouncer.ini", "")
    project = known.get(labels.PROJECT)
    spec = Spec(
        name=name,
        project=Path(project) if project else None,
        engine="docker",
        port=_port_of(found, labels.POSTGRES),
        pool_port=_port_of(found, labels.PGBOUNCER),
        password=pgbouncer.password_in(pooler.get("userlist.txt", ""))
        or _password_in(server.get("pgpass", "")),
        created=find.moment(found.data.get("CreatedAt", "")) or datetime.now(UTC),
        pool_mode=_pool_mode_of(found, ini),
        major=major,
        has_data=True,
        postgres_image=_image_of(found, labels.POSTGRES, f"postgres:{major}"),
        pooler_image=_image_of(found, labels.PGBOUNCER, DEFAULT_POOLER),
        host=connection.host,
        settings=postgres.settings_in(server.get(PurePosixPath(CONF).name, "")),
    )
    return replace(spec, rekeyed=labels.key(spec) != known[labels.KEY])


def _files_of(client: APIClient, found: Found, part: str) -> dict[str, str]:
    """The files that were put into that part's container, by name."""
    if part not in found.containers:
        return {}
    there = create.files_in(client, found.containers[part]["Id"])
    return {name: content.decode(errors="replace") for name, content in there.items()}


def _password_in(pgpass: str) -> str:
    line = pgpass.partition("\n")[0]
    return line.rpartition(":")[2]


def _port_of(found: Found, part: str) -> int:
    config = found.containers.get(part, {}).get("Config", {})
    return int(config.get("Labels", {}).get(labels.PORT, 0))


def _image_of(found: Found, part: str, default: str) -> str | None:
    used = found.containers.get(part, {}).get("Config", {}).get("Image")
    return named(used, default)


def _pool_mode_of(found: Found, ini: str) -> PoolMode:
    container = found.containers.get(labels.PGBOUNCER)
    if container is None:
        return PoolMode.TRANSACTION
    version = image_contents.version(container["Image"], labels.PGBOUNCER, container["Config"])
    return pgbouncer.mode_in(ini, pgbouncer.parse_version(version or "0.0"))


def set_password(connection: Connection, spec: Spec) -> None:
    """See `Engine.set_password`: by a single-user server in a container of its own."""
    from docker.types import Mount

    client, found = connection.client, find.look_for(connection, spec.name)
    reference, _ = wanted_images(spec.postgres_image, None, spec.major)
    image = find_image(client, reference)
    if found is None or found.data is None or image is None:
        raise StartFailed(
            f"The engine has no image {reference}, or no data of '{spec.name}'.",
            "Name an image that is there with `--image`.",
        )
    data = image.mount / found.data["Labels"][labels.LAYOUT]
    words = ["postgres", *postgres.SINGLE_USER, "-D", str(data), MAINTENANCE_DATABASE]
    source = found.identity.object_name(labels.DATA)
    container = client.create_container(
        image.id,
        entrypoint=["sh", "-c", f'exec "$@" < /{_SQL}', "sh"],
        command=words,
        environment={"PATH": image.path},
        user=str(image_contents.server_user_id(client, image, found.identity) or 0),
        labels=found.identity.labels(labels.QUESTION),
        host_config=client.create_host_config(
            network_mode="none",
            mounts=[Mount(target=str(image.mount), source=source, type="volume")],
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
        ),
        use_config_proxy=False,
    )["Id"]
    try:
        client.put_archive(container, "/", _tar_of(postgres.passwords(spec)))
        client.start(container)
        client.wait(container, timeout=_PATIENCE)
        said = client.logs(container).decode(errors="replace").strip()
    finally:
        client.remove_container(container, force=True)
    # An error of a single user does not show in the exit code; it ends with this line.
    if "ERROR:" in said or "backend>" not in said:
        raise StartFailed(
            f"The password of '{spec.name}' cannot be set anew: {said[-300:]}",
            f"Its data is in the volume {source}; devdb rm {spec.name} deletes it.",
        )


def _tar_of(text: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo(_SQL)
        # Only a verifier is in it, and the container has but one user.
        entry.size, entry.mode = len(text.encode()), 0o444
        tar.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()
