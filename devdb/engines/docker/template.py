"""Volumes with prepared data, one for each Postgres image, that new instances' data is copied from.

There is no instance's secret in one: its superuser's password is a random one of its own, kept in
the cache, and changed in the copy by the first login. A template whose password is not there is of
no use to anybody, be it lost or that of a cache that is no more.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from devdb import paths
from devdb.engines.docker import config, home, labels
from devdb.engines.docker.client import Connection
from devdb.engines.docker.config import TEMPLATE, WHOLE, Seed
from devdb.engines.docker.image import Image
from devdb.engines.docker.names import insist
from devdb.errors import DevdbError
from devdb.marker import make_private_directory
from devdb.model import DATABASE
from devdb.replacing import in_place_of

if TYPE_CHECKING:
    from docker import APIClient

_RECIPE = 1
"""Goes up when what is done here changes, so that older templates are no longer taken."""
_WALDIR = "POSTGRES_INITDB_WALDIR"
_MAKE = f"""\
settle() {{ sync -f "$PGDATA" || sync; }}
trap 'rm -rf "$PGDATA"' EXIT
(
    for try in $(seq 600); do pg_isready -q -h 127.0.0.1 && break; sleep 0.1; done
    kill -INT "$(head -n 1 "$PGDATA/postmaster.pid")"
) &
"$@" && settle && mv "$PGDATA/PG_VERSION" "$PGDATA/{WHOLE}" && settle && trap - EXIT
"""
"""The image's own entry point makes the data; the server that it starts then is stopped at once.

As long as the file with the version has another name nobody takes it for data; and it has that name
from when all else is on the disk. What has failed takes no room.
"""


def is_copyable(image: Image, *, has_init_files: bool) -> bool:
    """Whether one new instance's data is as another's, and all of it is in its volume.

    What an image's own init files do may be meant for one instance alone: a password, a UUID.
    """
    return not (has_init_files or image.environment.get(_WALDIR))


def find(connection: Connection, image: Image) -> Seed | None:
    """The template for data of that image, if it has one; its contents are not looked at."""
    query = {"label": f"{labels.TEMPLATE}={_kind(connection, image)}"}
    for item in connection.client.volumes(filters=query)["Volumes"] or []:
        if password := _password_of(item["Name"]):
            return Seed(password=password, template=item["Name"])
    return None


def provide(
    connection: Connection, image: Image, owner: int, *, tried: str | None, copy: str
) -> None:
    """Have the engine make a template for the next instance, unless it has a whole one.

    Nobody waits for it, and no start fails by it. `tried` is the volume that the container
    `copy` was told to copy; `owner` is the user that the image starts as.
    """
    import requests
    from docker.errors import DockerException

    with suppress(DevdbError, DockerException, requests.RequestException, OSError):
        if _is_being_made(connection, image) or (
            tried and _is_whole(connection.client, image, copy)
        ):
            return
        if tried:
            _password_path(tried).unlink(missing_ok=True)
        remove_useless(connection)
        _begin_to_make(connection, image, owner)


def remove_useless(connection: Connection) -> None:
    """Remove the templates of images that are gone, and those without a password.

    Not yet those that containers have: they are in use as long as these are there.
    """
    from docker.errors import APIError

    client, whose = connection.client, _whose(connection)
    for item in client.volumes(filters={"label": labels.TEMPLATE})["Volumes"] or []:
        with suppress(APIError, OSError):
            is_ours = item["Labels"].get(labels.HOME) == whose
            if is_ours and not _is_useful(client, item["Labels"]):
                client.remove_volume(item["Name"])
                _password_path(item["Name"]).unlink(missing_ok=True)


def _is_useful(client: APIClient, facts: Mapping[str, str]) -> bool:
    from docker.errors import ImageNotFound

    try:
        Path(facts.get(labels.KEPT_AT, "")).stat()
        client.inspect_image(facts.get(labels.IMAGE))  # type: ignore[no-untyped-call]
    except (FileNotFoundError, NotADirectoryError, ImageNotFound):
        return False
    except PermissionError:
        return True  # that cache is another user's
    return True


def _begin_to_make(connection: Connection, image: Image, owner: int) -> None:
    client, name = connection.client, _maker_name(connection, image)
    password, volume = secrets.token_urlsafe(24), f"{name}-{secrets.token_hex(4)}"
    make_private_directory(_password_path(volume).parent)
    # Before the volume: one without a password is removed by whoever sees it.
    with in_place_of(_password_path(volume), durable=True) as (kept, _):
        kept.write(password.encode())
    try:
        container = insist(client, name, partial(_create_maker, connection, image, name, volume))
        file = config.password_file(password, owner)
        client.put_archive(container, "/", config.archive([file]))
        client.start(container)
    except BaseException:
        _password_path(volume).unlink(missing_ok=True)
        raise


def _create_maker(connection: Connection, image: Image, name: str, volume: str) -> str:
    from docker.types import Mount

    client, whose = connection.client, _whose(connection)
    facts = {
        labels.TEMPLATE: _kind(connection, image),
        labels.IMAGE: image.id,
        labels.KEPT_AT: str(_password_path(volume)),
        **({labels.HOME: whose} if whose else {}),
    }
    server = ("postgres", "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off")
    container = client.create_container(
        image.id,
        name=name,
        entrypoint=["sh", "-c", _MAKE, "sh"],
        command=[*image.entrypoint, *server],
        environment=config.environment(image, config.layout(image), DATABASE),
        labels=facts,
        healthcheck={"test": ["NONE"]},
        host_config=client.create_host_config(
            network_mode="none",
            init=True,
            auto_remove=True,
            mounts=[Mount(target=str(image.mount), source=volume, type="volume", labels=facts)],
            cap_drop=["ALL"],
            cap_add=list(config.ENTRY_POINT),
            security_opt=["no-new-privileges"],
        ),
        use_config_proxy=False,
    )
    return str(container["Id"])


def _is_whole(client: APIClient, image: Image, container: str) -> bool:
    """Whether that container (a name), which has the template, found it whole."""
    from docker.errors import NotFound

    try:
        stream, _ = client.get_archive(container, f"{TEMPLATE}/{config.layout(image)}/{WHOLE}")
    except NotFound:
        return False
    return bool(b"".join(stream))


def _is_being_made(connection: Connection, image: Image) -> bool:
    from docker.errors import NotFound

    try:
        return bool(
            connection.client.inspect_container(_maker_name(connection, image))["State"]["Running"]
        )
    except NotFound:
        return False


def _maker_name(connection: Connection, image: Image) -> str:
    return f"devdb-template-{_kind(connection, image)}"


def _kind(connection: Connection, image: Image) -> str:
    """What makes two templates alike: the data in them, and whose they are."""
    words = f"{_RECIPE} {image.id} {config.INITDB_ARGUMENTS} {paths.cache_home()}"
    if (whose := _whose(connection)) is not None:
        words += f" {whose}"
    return hashlib.sha256(os.fsencode(words)).hexdigest()[:12]


def _whose(connection: Connection) -> str | None:
    """Whose templates there are, where a cache's path does not say it; None: where it does."""
    return None if connection.paths_are_ours else home.ensure()


def _password_path(volume: str) -> Path:
    """Where the password of the template in that volume is kept."""
    return paths.cache_home() / "volumes" / volume


def _password_of(volume: str) -> str | None:
    """The template's password; None where there is none, or that is none."""
    try:
        found = _password_path(volume).read_bytes()
    except OSError:
        return None
    return found.decode("ascii") if re.fullmatch(rb"[\w-]{32}", found) else None
