"""Which engine a new instance gets, and why."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qsl, urlencode

from devdb import engines
from devdb.config import Settings
from devdb.engines import Engine
from devdb.errors import DataMismatch, DevdbError, EngineUnavailable, NamedUnavailable
from devdb.model import SHARED_ENGINES, Spec

_KUBERNETES = "kubernetes"


def choose(settings: Settings) -> tuple[Engine, str]:
    """The engine and the reason for it, in words for the user.

    `auto`: Docker if an engine answers and its images are there or can be pulled, else native.
    What was asked for by name, or is on another machine, never falls back. Raises
    EngineUnavailable.
    """
    if settings.engine != "auto":
        engine = engines.get(settings.engine, host=_place(settings))
        return engine, f"{settings.engine}: asked for by {settings.source('engine')}"
    engine, obstacle = _first_usable(("docker", "native"), settings)
    if obstacle is None:
        return engine, "docker: an engine answers and has or can get the images"
    return engine, f"native, because Docker cannot be used: {obstacle.message}"


def _place(settings: Settings) -> str | None:
    """Where in the engine that was named a new instance goes, for `Spec.host`."""
    if settings.engine != _KUBERNETES:
        return None
    return f"{_KUBERNETES}:{urlencode(settings.kubernetes)}"


def refuse_elsewhere(spec: Spec, settings: Settings) -> None:
    """Raise DataMismatch where devdb.toml has the instance in another place than it is."""
    if spec.engine != _KUBERNETES or spec.host is None:
        return
    lives = dict(parse_qsl(spec.host.removeprefix(f"{_KUBERNETES}:")))
    for key, value in settings.kubernetes:
        if key in ("context", "namespace") and lives.get(key) != value:
            raise DataMismatch(
                f"Instance '{spec.name}' lives in the {key} {lives.get(key)}, not {value} "
                f"(devdb.toml, [{_KUBERNETES}]).",
                f"A second one there: devdb up -n {spec.name}-2",
            )


def for_tests(settings: Settings) -> tuple[Engine, str]:
    """The engine of an instance for tests, and the reason where that is not obvious, else "".

    `auto`: native, which starts sooner and has its data in files, where its programs are there, of
    the major that is wanted; else Docker. An image that was asked for is Docker's. As `auto` where
    the project's own is in an engine that others use too: tests make and drop databases all the
    time. Raises EngineUnavailable.
    """
    if settings.engine in SHARED_ENGINES:
        settings = replace(settings, engine="auto")
    if settings.engine != "auto":
        return choose(settings)[0], ""
    if settings.image is not None:
        engine, reason = choose(settings)
        if not engine.takes_images:
            return engine, reason
        said = settings.source("image")
        whose = "the project's own instance" if said == "default" else said
        return engine, f"docker, for the image {settings.image} of {whose}"
    engine, missing = _first_usable(("native", "docker"), settings)
    if missing is None:
        return engine, ""
    return engine, f"docker, because native cannot be used: {missing.message}"


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


def _first_usable(names: tuple[str, str], settings: Settings) -> tuple[Engine, DevdbError | None]:
    """The first of these that can be used, and what is in the way of the one before it.

    Raises EngineUnavailable.
    """
    obstacles: dict[str, DevdbError] = {}
    for name in names:
        engine = engines.get(name)
        obstacle = _obstacle(engine, settings)
        if obstacle is None:
            return engine, next(iter(obstacles.values()), None)
        obstacles[name] = obstacle
    reasons = " ".join(f"{name.capitalize()}: {obstacles[name].message}" for name in names)
    # What Docker lacks is mostly Docker; what native does, devdb can get.
    hint = obstacles["native"].hint
    raise EngineUnavailable(f"Neither engine can be used. {reasons}", hint)


def _obstacle(engine: Engine, settings: Settings) -> DevdbError | None:
    try:
        engine.require(major=settings.pg, image=settings.image, pooler_image=settings.pooler_image)
    except NamedUnavailable:
        raise
    except DevdbError as error:
        return error
    return None
