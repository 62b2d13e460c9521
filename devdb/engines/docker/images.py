"""The images: which ones, whether they are there, and what is in them."""

from __future__ import annotations

import io
import os
import re
import tarfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from devdb import paths
from devdb.engines.docker import labels
from devdb.engines.docker.background import begin
from devdb.engines.docker.endpoint import explanation
from devdb.errors import EngineUnavailable
from devdb.marker import make_private_directory
from devdb.postgres import ASK_TLS, NEWEST_MAJOR, has_tls

if TYPE_CHECKING:
    from docker import APIClient

DEFAULT_POOLER = "ghcr.io/cloudnative-pg/pgbouncer:1.25.2"
NO_IMAGE_HINT = (
    "Load it (`docker load -i FILE`), choose another with `--image` or `--pooler-image`, "
    "or use `--engine native`."
)
_REGISTRY_TIMEOUT = 5
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MORE_PATH = "/usr/sbin:/usr/local/sbin:/opt/bitnami/pgbouncer/bin"
"""Where images keep a pgbouncer that is not on their own PATH."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What devdb needs to know of an image that is there."""

    reference: str
    id: str
    environment: dict[str, str]
    user: str
    volumes: tuple[str, ...]

    @property
    def path(self) -> str:
        """The PATH to look for a server in."""
        return f"{self.environment.get('PATH', _PATH)}:{_MORE_PATH}"

    @property
    def major(self) -> int | None:
        """The Postgres major, by the variables that official images carry."""
        text = self.environment.get("PG_MAJOR") or self.environment.get("PG_VERSION", "")
        match = re.match(r"\d+", text)
        return int(match[0]) if match else None

    @property
    def data_directory(self) -> PurePosixPath:
        """Where its entry point puts the data."""
        return PurePosixPath(self.environment.get("PGDATA", "/var/lib/postgresql/data"))

    @property
    def mount(self) -> PurePosixPath:
        """Where the volume goes: official images from 18 declare a parent of the data directory.

        Mounting at the image's own declared path also keeps the engine from making an anonymous
        volume there.
        """
        declared = [PurePosixPath(volume) for volume in self.volumes]
        covering = [path for path in declared if self.data_directory.is_relative_to(path)]
        return max(covering, key=lambda path: len(path.parts), default=self.data_directory)


def wanted(postgres: str | None, pooler: str | None, major: int | None) -> tuple[str, str]:
    """The references of both images, where they are not named: by the environment, by the major."""
    postgres = postgres or os.environ.get("DEVDB_POSTGRES_IMAGE")
    pooler = pooler or os.environ.get("DEVDB_PGBOUNCER_IMAGE")
    return postgres or f"postgres:{major or NEWEST_MAJOR}", pooler or DEFAULT_POOLER


def inspect(client: APIClient, reference: str) -> Image | None:
    """The image, if it is there."""
    from docker.errors import ImageNotFound

    try:
        found = client.inspect_image(reference)  # type: ignore[no-untyped-call]
    except ImageNotFound:
        return None
    config = found.get("Config") or {}
    return Image(
        reference=reference,
        id=found["Id"],
        environment=_environment(config),
        user=config.get("User") or "",
        volumes=tuple(config.get("Volumes") or ()),
    )


def _environment(config: dict[str, Any]) -> dict[str, str]:
    return dict(line.split("=", 1) for line in config.get("Env") or [] if "=" in line)


def require(client: APIClient, references: Iterable[str]) -> None:
    """Raise EngineUnavailable unless all images are here, or a registry has them.

    Asks the registries side by side, for 5 s at most.
    """
    asked = {ref: begin(partial(_ask_registry, client, ref)) for ref in references}
    deadline = time.monotonic() + _REGISTRY_TIMEOUT
    for reference, answer in asked.items():
        try:
            reason = answer.result(timeout=max(0, deadline - time.monotonic()))
        except TimeoutError:
            reason = f"its registry does not answer within {_REGISTRY_TIMEOUT} s"
        if reason:
            raise EngineUnavailable(
                f"The engine has no image {reference}, and {reason}.", NO_IMAGE_HINT
            )


def _ask_registry(client: APIClient, reference: str) -> str | None:
    """Why the image cannot be had; None when it can, or when only a pull can tell."""
    import requests
    from docker.errors import APIError, DockerException

    try:
        if inspect(client, reference) is None:
            client.inspect_distribution(reference)  # type: ignore[no-untyped-call]
    except APIError as error:
        if error.status_code == 404 and "page not found" in str(error).lower():
            return None  # Podman does not know this question
        return f"its registry says: {explanation(error)}"
    except (requests.RequestException, DockerException) as error:
        return f"the engine cannot ask its registry ({type(error).__name__})"
    return None


def binary_version(client: APIClient, image: Image, binary: str, instance: str) -> str:
    """What `binary --version` says in that image; run once for each image, then remembered.

    Raises EngineUnavailable when the image has no such binary.
    """
    return _version_in(banner(client, image, binary, instance)) or ""


def banner(client: APIClient, image: Image, binary: str, instance: str) -> str:
    """All that `binary --version` says in that image; run once for each image, then remembered.

    Raises EngineUnavailable when the image has no such binary, or it says no version.
    """
    known = _remembered(image.id, f"{binary}-banner")
    if known is None:
        known = _run(client, image, [binary, "--version"], instance)
        version = _version_in(known)
        if version is None:
            raise EngineUnavailable(
                f"`{binary} --version` in {image.reference} says: {known.strip() or 'nothing'}.",
                "Choose another image with `--pooler-image` (or `--image` for Postgres).",
            )
        remember(image.id, f"{binary}-banner", known)
        remember(image.id, binary, version)
    return known


def _version_in(text: str) -> str | None:
    match = re.search(r"\d+\.\d+(\.\d+)?", text)
    return match[0] if match else None


def postgres_has_tls(client: APIClient, image: Image, instance: str) -> bool:
    """Whether the Postgres in that image was built with TLS; asked once for each image."""
    known = _remembered(image.id, "postgres-tls")
    if known is None:
        said = _run(client, image, [labels.POSTGRES, *ASK_TLS, "/"], instance, stderr=False)
        known = "yes" if has_tls(said) else "no"
        remember(image.id, "postgres-tls", known)
    return known == "yes"


def _run(
    client: APIClient, image: Image, argv: list[str], instance: str, *, stderr: bool = True
) -> str:
    """What that command prints in that image."""
    from docker.errors import APIError

    container = question(client, image.id, argv, instance, path=image.path)
    try:
        client.start(container)
        client.wait(container, timeout=30)
        return client.logs(container, stderr=stderr).decode(errors="replace")
    except APIError as error:
        raise EngineUnavailable(
            f"The image {image.reference} has no {argv[0]} that runs: {error.explanation}.",
            "Choose one that has it with `--pooler-image` (or `--image` for Postgres).",
        ) from error
    finally:
        client.remove_container(container, v=True, force=True)


def user_id(client: APIClient, image: Image, instance: str) -> int:
    """The user that the image's entry point starts as: root, unless the image says otherwise."""
    user = image.user.split(":")[0]
    if user.isdecimal() or user in ("", "root"):
        return int(user) if user.isdecimal() else 0
    ids = _users(client, image, instance)
    if user not in ids:
        raise EngineUnavailable(
            f"The image {image.reference} starts as '{user}', who is not in its /etc/passwd.",
            "Choose another image with `--image`.",
        )
    return ids[user]


def server_user_id(client: APIClient, image: Image, instance: str) -> int | None:
    """The user that Postgres itself runs as: an entry point started as root drops to `postgres`.

    None when the image has no user of that name.
    """
    started_as = user_id(client, image, instance)
    return started_as or _users(client, image, instance).get(labels.POSTGRES)


def _users(client: APIClient, image: Image, instance: str) -> dict[str, int]:
    """The users in the image's /etc/passwd and their ids; read once for each image."""
    from docker.errors import NotFound

    known = _remembered(image.id, "users")
    if known is None:
        container = question(client, image.id, ["true"], instance)
        try:
            stream, _ = client.get_archive(container, "/etc/passwd")
            with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
                file = tar.extractfile(tar.getmembers()[0])
                known = file.read().decode(errors="replace") if file else ""
        except NotFound:
            known = ""
        finally:
            client.remove_container(container, v=True, force=True)
        remember(image.id, "users", known)
    return {name: int(uid) for name, uid in re.findall(r"^([^:\n]+):[^:\n]*:(\d+):", known, re.M)}


def has_init_files(client: APIClient, image: Image, instance: str) -> bool:
    """Whether the image brings files that its entry point runs in a new database."""
    from docker.errors import NotFound

    known = _remembered(image.id, "init-files")
    if known is None:
        container = question(client, image.id, ["true"], instance)
        try:
            stream, _ = client.get_archive(container, "/docker-entrypoint-initdb.d")
            with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
                known = str(sum(not member.isdir() for member in tar.getmembers()))
        except NotFound:
            known = "0"
        finally:
            client.remove_container(container, v=True, force=True)
        remember(image.id, "init-files", known)
    return known != "0"


def question(
    client: APIClient,
    image_id: str,
    command: list[str],
    instance: str,
    *,
    name: str | None = None,
    path: str = "",
) -> str:
    """A container that is only asked something, with that PATH; its id. It is not started."""
    container = client.create_container(
        image_id,
        name=name,
        entrypoint=command[:1],
        command=command[1:],
        environment={"PATH": path} if path else {},
        user="65534:65534",
        labels=labels.common(instance, labels.QUESTION),
        host_config=client.create_host_config(network_mode="none"),
        use_config_proxy=False,
    )
    return str(container["Id"])


def version(image_id: str, binary: str, config: dict[str, Any]) -> str | None:
    """The version of the server in an image: as it told when it was asked, else as labelled."""
    if known := _remembered(image_id, binary):
        return known
    match = re.match(r"\d+(\.\d+)+", _environment(config).get("PG_VERSION", ""))
    return match[0] if match and binary == labels.POSTGRES else None


def remember(image_id: str, binary: str, version: str) -> None:
    """Keep what the server in that image said its version is."""
    if _remembered(image_id, binary) == version:
        return
    path = _cache(image_id, binary)
    try:
        make_private_directory(path.parent)
        path.write_text(version, encoding="utf-8")
    except OSError:
        return  # asked again next time


def _remembered(image_id: str, binary: str) -> str | None:
    try:
        return _cache(image_id, binary).read_text(encoding="utf-8") or None
    except OSError:
        return None


def _cache(image_id: str, binary: str) -> Path:
    return paths.cache_home() / "docker-images" / f"{image_id.replace(':', '-')}-{binary}"
