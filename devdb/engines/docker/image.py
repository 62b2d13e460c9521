"""The images: what they are, and whether they are there or can be had."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from devdb.engines.docker.client import explanation
from devdb.engines.waiting import begin
from devdb.errors import EngineUnavailable

if TYPE_CHECKING:
    from docker import APIClient

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
    entrypoint: tuple[str, ...] = ()

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


def find_image(client: APIClient, reference: str) -> Image | None:
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
        environment=environment(config),
        user=config.get("User") or "",
        volumes=tuple(config.get("Volumes") or ()),
        entrypoint=tuple(config.get("Entrypoint") or ()),
    )


def environment(config: dict[str, Any]) -> dict[str, str]:
    """The variables in an image's or a container's configuration."""
    return dict(line.split("=", 1) for line in config.get("Env") or [] if "=" in line)


def require_images(client: APIClient, references: Iterable[str]) -> None:
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
        if find_image(client, reference) is None:
            client.inspect_distribution(reference)  # type: ignore[no-untyped-call]
    except APIError as error:
        if error.status_code == 404 and "page not found" in str(error).lower():
            return None  # Podman does not know this question
        return f"its registry says: {explanation(error)}"
    except (requests.RequestException, DockerException) as error:
        return f"the engine cannot ask its registry ({type(error).__name__})"
    return None
