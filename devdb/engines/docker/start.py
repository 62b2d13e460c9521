"""Starting an instance: what is missing is made, what is stopped is started, until logins work."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial
from typing import TYPE_CHECKING

from devdb.config import allowed
from devdb.engines.docker import find, image_contents, labels, stop
from devdb.engines.docker.attempt import Attempt
from devdb.engines.docker.client import Connection
from devdb.engines.docker.failure import Vanished
from devdb.engines.docker.find import Found
from devdb.engines.docker.image import Image, find_image
from devdb.engines.docker.image_pull import pull
from devdb.engines.images import wanted_images
from devdb.engines.refusal import data_gone, other_password
from devdb.engines.waiting import attend, begin
from devdb.errors import DataMismatch, EngineUnavailable, UsageError
from devdb.model import Progress, Spec, Step

if TYPE_CHECKING:
    from docker import APIClient

LOOKING = Progress(step=Step.CHOOSE)
"""While the engine is asked what there is: another machine may take its time to answer."""
_LISTENS = b"listening on IPv4 address"
"""Postgres' own words; an entry point's temporary server has no address to listen on."""


def start(connection: Connection, spec: Spec) -> Iterator[Progress]:
    """The whole start; see `Engine.start`."""
    allowed.check(spec.settings, contained=True)
    for last in (False, False, True):
        try:
            yield from _try_to_start(connection, spec)
        except Vanished:
            if last:
                raise
        else:
            return


def _try_to_start(connection: Connection, spec: Spec) -> Iterator[Progress]:
    client = connection.client
    found = yield from attend(begin(partial(_found_or_new, connection, spec.name)), LOOKING)
    postgres, pooler = yield from _images(client, spec, found)
    major = yield from attend(begin(partial(_major, client, found, postgres)), None)
    _refuse_other_data(spec, found, major)
    if spec.has_data and found.data is None:
        raise data_gone(spec, f"the volume {found.identity.object_name(labels.DATA)}")
    yield Progress(step=Step.PREPARE, detail="looking at what is there")
    look = begin(partial(_is_worthless, client, found))
    if (yield from attend(look, None)):
        removal = begin(partial(stop.destroy, client, found.identity))
        yield from attend(removal, Progress(step=Step.PREPARE, detail="clearing a half-made start"))
        found = Found(found.identity)
    yield from Attempt(connection, spec, found, postgres, pooler, major).run()


def _found_or_new(connection: Connection, name: str) -> Found:
    found = find.look_for(connection, name)
    return found or Found(labels.identity_of_new(name))


def _images(
    client: APIClient, spec: Spec, found: Found
) -> Generator[Progress, None, tuple[Image, Image]]:
    """Both images, pulled where they are not there."""
    data_major = found.major
    references = wanted_images(spec.postgres_image, spec.pooler_image, spec.major or data_major)
    have = []
    looking = [begin(partial(find_image, client, reference)) for reference in references]
    for reference, look in zip(references, looking, strict=True):
        image = yield from attend(look, None)
        if image is None:
            yield from pull(client, reference)
            image = yield from attend(begin(partial(find_image, client, reference)), None)
        if image is None:
            raise EngineUnavailable(
                f"The engine pulled {reference}, but does not have it.",
                "Choose another image with `--image` or `--pooler-image`.",
            )
        have.append(image)
    return have[0], have[1]


def _major(client: APIClient, found: Found, image: Image) -> int:
    if image.major is not None:
        return image.major
    version = image_contents.binary_version(client, image, labels.POSTGRES, found.identity)
    return int(version.split(".")[0])


def _refuse_other_data(spec: Spec, found: Found, major: int) -> None:
    """Before anything is changed: data that these images, or this instance, cannot use."""
    if found.data is None:
        if spec.major not in (None, major):
            raise UsageError(
                f"Postgres {spec.major} was asked for, but the image is Postgres {major}.",
                "Leave one of `--pg` and `--image` (DEVDB_POSTGRES_IMAGE) out, or make them agree.",
            )
        return
    made_by = int(found.data["Labels"][labels.MAJOR])
    wanted = major if spec.major in (None, made_by) else spec.major
    if wanted != made_by:
        raise DataMismatch(
            f"The data of '{spec.name}' was made by Postgres {made_by}, not {wanted}.",
            f"Start it with `--pg {made_by}` and an image of that major, "
            "or make a new instance with `-n`.",
        )
    if not spec.rekeyed and found.data["Labels"][labels.KEY] != labels.key(spec):
        if spec.has_data:
            raise other_password(spec)
        raise DataMismatch(
            f"There is data of an earlier instance '{spec.name}', whose password is lost.",
            f"Choose another name with `-n`, or delete that data with `devdb rm {spec.name}`.",
        )


def _is_worthless(client: APIClient, found: Found) -> bool:
    """Whether what is there was never ready and never can be.

    It may: a first start goes on in the containers when devdb is killed. Only one that was
    interrupted itself, before its server listened, left nothing of use.
    """
    if found.data is None:
        return bool(found)
    if not found.unfinished:
        return False
    container = found.containers.get(labels.POSTGRES)
    if container is None or found.is_half_there(labels.POSTGRES):
        return True
    if found.is_running(labels.POSTGRES) and container["RestartCount"] == 0:
        return False
    return _LISTENS not in client.logs(container["Id"])
