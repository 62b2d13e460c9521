"""Which engine a new instance gets, and why."""

from __future__ import annotations

from devdb import engines
from devdb.config import Settings
from devdb.engines import Engine
from devdb.errors import DevdbError, EngineUnavailable


def choose(settings: Settings) -> tuple[Engine, str]:
    """The engine and the reason for it, in words for the user.

    `auto`: Docker if an engine answers and its images are there or can be pulled, else native.
    What was asked for by name never falls back. Raises EngineUnavailable.
    """
    if settings.engine != "auto":
        engine = engines.get(settings.engine)
        return engine, f"{settings.engine}: asked for by {settings.source('engine')}"
    docker = engines.get("docker")
    obstacle = _obstacle(docker, settings)
    if obstacle is None:
        return docker, "docker: an engine answers and has or can get the images"
    native = engines.get("native")
    missing = _obstacle(native, settings)
    if missing is None:
        return native, f"native, because Docker cannot be used: {obstacle.message}"
    raise EngineUnavailable(
        f"Neither engine can be used. Docker: {obstacle.message} Native: {missing.message}",
        missing.hint,
    )


def for_tests(settings: Settings) -> tuple[Engine, str]:
    """The engine of an instance for tests, and the reason where that is not obvious, else "".

    `auto`: native, which starts sooner and has its data in files, where its programs are there, of
    the major that is wanted; else Docker. An image that was asked for is Docker's. Raises
    EngineUnavailable.
    """
    if settings.engine != "auto":
        return choose(settings)[0], ""
    if settings.image is not None:
        engine, reason = choose(settings)
        if not engine.takes_images:
            return engine, reason
        said = settings.source("image")
        whose = "the project's own instance" if said == "default" else said
        return engine, f"docker, for the image {settings.image} of {whose}"
    native = engines.get("native")
    missing = _obstacle(native, settings)
    if missing is None:
        return native, ""
    docker = engines.get("docker")
    obstacle = _obstacle(docker, settings)
    if obstacle is None:
        return docker, f"docker, because native cannot be used: {missing.message}"
    raise EngineUnavailable(
        f"Neither engine can be used. Native: {missing.message} Docker: {obstacle.message}",
        missing.hint,
    )


def wanted(settings: Settings) -> Engine:
    """The engine that a new instance would get, usable or not. Raises EngineUnavailable."""
    try:
        return choose(settings)[0]
    except EngineUnavailable:
        return last_resort()


def last_resort() -> Engine:
    """What `auto` ends with where no engine can be used. Raises EngineUnavailable."""
    return engines.get("native")


def next_best(settings: Settings, chosen: Engine) -> Engine | None:
    """What `auto` would have taken in place of that engine; None where there is nothing else.

    It costs nothing to ask. Raises EngineUnavailable on a system that it is not for.
    """
    is_first = settings.engine == "auto" and chosen.name == "docker"
    return engines.get("native") if is_first else None


def _obstacle(engine: Engine, settings: Settings) -> DevdbError | None:
    try:
        engine.require(major=settings.pg, image=settings.image, pooler_image=settings.pooler_image)
    except DevdbError as error:
        return error
    return None
