"""Instances whose marker is lost or damaged: what of them can be had again."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress

from devdb.config import Settings
from devdb.engines import Engine
from devdb.engines.waiting import beside, told
from devdb.errors import EngineUnavailable
from devdb.model import Progress, Spec, Step
from devdb.workspace import choice
from devdb.workspace.instances import engine_of


def look(engine: Engine, settings: Settings, name: str) -> Spec | None:
    """An instance of that name that has data and no marker: in the engine that a new one would get,
    and in the one that costs nothing to ask. What is not known of it is 0 or empty.

    Raises DevdbError where it is another user's.
    """
    found = engine.recover(name)
    if found is None:
        with suppress(EngineUnavailable):  # a system without that one
            other = choice.next_best(settings, engine)
            found = other.recover(name) if other is not None else None
    return found


def set_password(spec: Spec) -> Generator[Progress, None, None]:
    """Give its superuser the password of the spec, whatever it was; stops it for that.

    Raises DevdbError.
    """
    engine = engine_of(spec)

    def work() -> None:
        engine.stop(spec.name)
        engine.set_password(spec)

    beat = Progress(step=Step.PREPARE, detail="a new password, as the old one is lost")
    yield beat
    yield from told(beat, beside(work))
