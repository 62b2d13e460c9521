"""What is in an image, asked once: the answers are kept in the cache.

It is asked in containers that are made for the question, and labelled as the asking instance's.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from devdb.engines import answers
from devdb.engines.docker import labels
from devdb.engines.docker.image import Image, environment
from devdb.engines.docker.labels import Identity
from devdb.engines.files import UNLIMITED
from devdb.errors import EngineUnavailable
from devdb.pgbouncer import crash_warning
from devdb.postgres import ASK_TLS, has_tls

if TYPE_CHECKING:
    from docker import APIClient

_KIND = "images"


def binary_version(client: APIClient, image: Image, binary: str, asker: Identity) -> str:
    """What `binary --version` says in that image; run once for each image, then remembered.

    Raises EngineUnavailable when the image has no such binary.
    """
    return _version_in(banner(client, image, binary, asker)) or ""


def banner(client: APIClient, image: Image, binary: str, asker: Identity) -> str:
    """All that `binary --version` says in that image; run once for each image, then remembered.

    Raises EngineUnavailable when the image has no such binary, or it says no version.
    """

    def ask() -> str:
        said = _output_of(client, image, [binary, "--version"], asker)
        version = _version_in(said)
        if version is None:
            raise EngineUnavailable(
                f"`{binary} --version` in {image.reference} says: {said.strip() or 'nothing'}.",
                "Choose another image with `--pooler-image` (or `--image` for Postgres).",
            )
        remember(image.id, binary, version)
        return said

    return _asked(image.id, f"{binary}-banner", ask)


def pooler_package(
    client: APIClient, image: Image, version: tuple[int, int, int], asker: Identity
) -> str | None:
    """The version of the Debian package that brought that image its PgBouncer.

    Read once for each image, and only where it decides: a version without the known crash is not
    asked for. None where there is no such package.
    """
    if crash_warning(version, None) is None:
        return None

    def ask() -> str:
        status = _file_in(client, image, "/var/lib/dpkg/status", asker)
        stanza = re.search(r"^Package: pgbouncer\n(?:.+\n)*", status, re.MULTILINE)
        found = re.search(r"^Version: (\S+)$", stanza[0], re.MULTILINE) if stanza else None
        return found[1] if found else "none"

    known = _asked(image.id, "pgbouncer-package", ask)
    return None if known == "none" else known


def _version_in(text: str) -> str | None:
    match = re.search(r"\d+\.\d+(\.\d+)?", text)
    return match[0] if match else None


def postgres_has_tls(client: APIClient, image: Image, asker: Identity) -> bool:
    """Whether the Postgres in that image was built with TLS; asked once for each image."""

    def ask() -> str:
        said = _output_of(client, image, [labels.POSTGRES, *ASK_TLS, "/"], asker, stderr=False)
        return "yes" if has_tls(said) else "no"

    return _asked(image.id, "postgres-tls", ask) == "yes"


def file_limits(
    client: APIClient, image: Image, asker: Identity, *, engine: str
) -> tuple[int, int] | None:
    """How many files the engine lets a process in a container have open: softly, and at most.

    None where it does not say. Asked in that image, once for each `engine` (what it is known by).
    """

    def ask() -> str | None:
        with suppress(EngineUnavailable):  # an image without a shell
            said = _output_of(client, image, _ASK_LIMITS, asker, stderr=False)
            return said if _LIMITS.fullmatch(said) else None
        return None

    place = f"engine-{hashlib.sha256(engine.encode()).hexdigest()[:16]}"
    known = answers.asked(_KIND, _subject(place, "files"), ask)
    if known is None:
        return None
    soft, hard = (int(word) if word.isdecimal() else UNLIMITED for word in known.split())
    return soft, hard


_ASK_LIMITS = ["sh", "-c", "ulimit -Sn; ulimit -Hn"]
_LIMITS = re.compile(r"(\d+|unlimited)\n(\d+|unlimited)\n")


def _output_of(
    client: APIClient, image: Image, argv: list[str], asker: Identity, *, stderr: bool = True
) -> str:
    """What that command prints in that image."""
    from docker.errors import APIError

    container = question(client, image.id, argv, asker, path=image.path)
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


def user_id(client: APIClient, image: Image, asker: Identity) -> int:
    """The user that the image's entry point starts as: root, unless the image says otherwise."""
    user = image.user.split(":")[0]
    if user.isdecimal() or user in ("", "root"):
        return int(user) if user.isdecimal() else 0
    ids = _users(client, image, asker)
    if user not in ids:
        raise EngineUnavailable(
            f"The image {image.reference} starts as '{user}', who is not in its /etc/passwd.",
            "Choose another image with `--image`.",
        )
    return ids[user]


def server_user_id(client: APIClient, image: Image, asker: Identity) -> int | None:
    """The user that Postgres itself runs as: an entry point started as root drops to `postgres`.

    None when the image has no user of that name.
    """
    started_as = user_id(client, image, asker)
    return started_as or _users(client, image, asker).get(labels.POSTGRES)


def _users(client: APIClient, image: Image, asker: Identity) -> dict[str, int]:
    """The users in the image's /etc/passwd and their ids; read once for each image."""
    known = _asked(image.id, "users", lambda: _file_in(client, image, "/etc/passwd", asker))
    return {name: int(uid) for name, uid in re.findall(r"^([^:\n]+):[^:\n]*:(\d+):", known, re.M)}


def has_init_files(client: APIClient, image: Image, asker: Identity) -> bool:
    """Whether the image brings files that its entry point runs in a new database."""

    def ask() -> str:
        there = _archive_of(client, image, "/docker-entrypoint-initdb.d", asker)
        return str(sum(not member.isdir() for member in there.getmembers()) if there else 0)

    return _asked(image.id, "init-files", ask) != "0"


def _file_in(client: APIClient, image: Image, path: str, asker: Identity) -> str:
    """The file at that path in the image; empty when none is there."""
    there = _archive_of(client, image, path, asker)
    file = there.extractfile(there.getmembers()[0]) if there else None
    return file.read().decode(errors="replace") if file else ""


def _archive_of(
    client: APIClient, image: Image, path: str, asker: Identity
) -> tarfile.TarFile | None:
    """What is at that path in the image; None when nothing is."""
    from docker.errors import NotFound

    container = question(client, image.id, ["true"], asker)
    try:
        stream, _ = client.get_archive(container, path)
        return tarfile.open(fileobj=io.BytesIO(b"".join(stream)))
    except NotFound:
        return None
    finally:
        client.remove_container(container, v=True, force=True)


def question(
    client: APIClient,
    image_id: str,
    command: list[str],
    asker: Identity,
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
        labels=asker.labels(labels.QUESTION),
        host_config=client.create_host_config(
            network_mode="none", cap_drop=["ALL"], security_opt=["no-new-privileges"]
        ),
        use_config_proxy=False,
    )
    return str(container["Id"])


def version(image_id: str, binary: str, config: dict[str, Any]) -> str | None:
    """The version of the server in an image: as it told when it was asked, else as labelled."""
    if known := _remembered(image_id, binary):
        return known
    match = re.match(r"\d+(\.\d+)+", environment(config).get("PG_VERSION", ""))
    return match[0] if match and binary == labels.POSTGRES else None


def remember(image_id: str, binary: str, version: str) -> None:
    """Keep what the server in that image said its version is."""
    if _remembered(image_id, binary) != version:
        answers.keep(_KIND, _subject(image_id, binary), version)


def _asked(image_id: str, about: str, ask: Callable[[], str]) -> str:
    return answers.asked(_KIND, _subject(image_id, about), ask)


def _remembered(image_id: str, binary: str) -> str | None:
    return answers.recall(_KIND, _subject(image_id, binary))


def _subject(image_id: str, binary: str) -> str:
    return f"{image_id.replace(':', '-')}-{binary}"
