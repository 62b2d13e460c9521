"""Dropping temporary databases, and mending what a killed devdb left half-done."""

from __future__ import annotations

import time
from collections.abc import Sequence

from devdb.databases import blockers, closing, console, registry
from devdb.errors import UsageError
from devdb.model import Spec
from devdb.wire import Identifier, Refused, Session

_ROUND = 10
"""Seconds after which what is due is left to the next round."""


def drop(spec: Spec, names: Sequence[str], *, claimed: bool = False) -> list[str]:
    """Drop the temporary databases of these names and their roles; returns the names.

    Sessions on them are ended. Raises NotFound, before any is dropped, when one is unknown;
    UsageError when one is claimed, unless `claimed`.
    """
    with registry.session(spec) as session:
        try:
            return remove(session, spec, names, claimed=claimed)
        except Refused as error:
            name = error.message
            if error.sqlstate == registry.MISSING:
                raise registry.unknown(spec, name) from None
            if error.sqlstate == registry.CLAIMED:
                raise UsageError(
                    f"'{name}' is claimed: it is permanent.",
                    f"Drop it all the same with `devdb temp drop --claimed {name}`.",
                ) from None
            raise


def reap(spec: Spec) -> list[str]:
    """Drop what has expired or was left half-made, open again what was left closed; returns the
    names of what was dropped."""
    with registry.session(spec) as session:
        dropped = remove(session, spec, None)
        closing.reopen(session, spec, None)
        return dropped


def remove(
    session: Session, spec: Spec, names: Sequence[str] | None, *, claimed: bool = False
) -> list[str]:
    """Drop the databases of these names, else all that are due, with role and entry.

    Of those that are due, one that resists is left to the next round; returns the others.
    """
    rows = session.query("SELECT _devdb.seize({}, {})", names, claimed)
    seized = [str(name) for (name,) in rows]
    resisting: dict[str, Refused] = {}
    deadline = time.monotonic() + _ROUND
    try:
        if seized:
            console.pause(spec, seized)
            session.query("SELECT _devdb.drain({})", seized)
            prepared = session.query("SELECT * FROM _devdb.prepared({})", seized)
            blockers.roll_back(spec, prepared, major=session.major)
        for name in seized:
            try:
                if names is None and time.monotonic() > deadline:
                    raise Refused("there was no time left", blockers.LOCKED)
                _drop(session, name)
            except Refused as error:
                resisting[name] = error
    finally:
        done = seized if console.resume(spec, seized, gone=True) else []
        if not session.closed:
            session.query("SELECT _devdb.forget(), _devdb.resumed({})", done)
    if resisting and (names is not None or session.closed):
        raise next(iter(resisting.values()))
    return [name for name in dict.fromkeys(names or seized) if name not in resisting]


def _drop(session: Session, name: str) -> None:
    if session.query("SELECT _devdb.shut({})", name) != [(True,)]:
        raise Refused("somebody keeps it locked", blockers.LOCKED)
    session.query("SELECT _devdb.drain({})", [name])
    session.query("DROP DATABASE IF EXISTS {}", Identifier(name))
