"""Keeping people out of a database for a moment, and letting them in again whatever happens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from devdb.model import Spec
from devdb.temporary import console
from devdb.wire import Session


@contextmanager
def closed(
    session: Session,
    spec: Spec,
    name: str,
    *,
    sessions_stay: bool = False,
    renamed: bool = False,
) -> Iterator[None]:
    """Nobody is in the database and nobody gets in; pooled clients wait, if they can.

    That is written down before, for the next devdb or the reaper to undo when this one is killed.
    With `sessions_stay` only the pooler's idle connections go. With `renamed` the database bears
    another name at the end, and no pooled client may stay with the old one.
    """
    session.query("SELECT _devdb.announce({})", name)
    gone = False
    try:
        # Paused before it is closed: PgBouncer remembers a login that failed.
        console.pause(spec, [name])
        if not sessions_stay:
            session.query("SELECT _devdb.close({})", name)
            session.query("SELECT _devdb.drain({})", [name])
        yield
        gone = renamed
    finally:
        if not session.closed:
            reopen(session, spec, [name], gone=gone)


def reopen(
    session: Session, spec: Spec, names: Sequence[str] | None, *, gone: bool = False
) -> list[str]:
    """Let people in again to the databases of these names, else to all that were left closed.

    With `gone` no pooled client may stay: the databases bear other names now.
    """
    opened = [str(name) for (name,) in session.query("SELECT _devdb.reopen({})", names)]
    if opened and console.resume(spec, opened, gone=gone):
        session.query("SELECT _devdb.resumed({})", opened)
    return opened
