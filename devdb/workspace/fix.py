"""Getting what an engine lacks on this machine: what that would be, the question, the doing."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence

from devdb import engines, marker
from devdb.config import Settings
from devdb.engines import Engine
from devdb.engines.remedy import Remedy
from devdb.engines.waiting import told
from devdb.errors import DevdbError, EngineUnavailable, ProgramMissing
from devdb.model import Progress, Spec, Step
from devdb.workspace import choice


def remedies(settings: Settings, spec: Spec | None, *, again: bool) -> Sequence[Remedy]:
    """For starting that instance, or a new one where there is none; nothing is done yet.

    `again`: also what could not be had lately. Raises DevdbError.
    """
    if spec is not None:
        return engines.get(spec.engine, host=spec.host).remedies(major=spec.major, again=again)
    return choice.wanted(settings).remedies(major=settings.pg, again=again)


def everything(settings: Settings, engine: Engine) -> Sequence[Remedy]:
    """For a new instance in that engine and for all that are there.

    What cannot be looked at lacks nothing.
    """
    found: dict[str, Remedy] = {}
    for spec in (None, *_instances()):
        try:
            mine = (
                remedies(settings, spec, again=True)
                if spec
                else engine.remedies(major=settings.pg, again=True)
            )
        except DevdbError:
            continue
        for each in mine:
            found.setdefault(each.subject, each)
    return tuple(found.values())


def _instances() -> Iterable[Spec]:
    try:
        return marker.every()
    except DevdbError:
        return ()


def offer(error: EngineUnavailable, found: Sequence[Remedy]) -> ProgramMissing | None:
    """The error as a question whether to get it; None where devdb cannot."""
    if not any(each.is_needed for each in found):
        return None
    them = "it" if len(found) == 1 else "them"
    hint = f"Get {them}: devdb up --fix; how, and what else there is, says devdb doctor."
    return ProgramMissing(error.message, hint, f"{plan(found)} Get {them} now?")


def plan(found: Sequence[Remedy]) -> str:
    """What `get` is going to do, and where that goes, in a sentence for each and one for all."""
    words = [f"{each.subject}: {each.how}." for each in found]
    places = dict.fromkeys(each.place for each in found if each.place)
    if len(places) == 1 and all(each.place for each in found):
        words.append(f"Into {next(iter(places))}: no root, nothing of the system changes.")
        words.append("It takes seconds, or a minute where it has to be built.")
    return " ".join(words)


def get(found: Sequence[Remedy]) -> Generator[Progress, None, None]:
    """Get all of it; the last one's notes say what came of each. Closing it undoes the rest.

    Raises DevdbError.
    """
    results: list[str] = []
    for each in found:
        begun = Progress(step=Step.INSTALL, detail=each.subject)
        results.append((yield from told(begun, each.get())))
    if results:
        yield Progress(step=Step.INSTALL, detail="; ".join(results), notes=tuple(results))
