"""Keeping people out of a database for a moment, and letting them in again whatever happens."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from devdb import wire
from devdb.databases import console, registry
from devdb.errors import DevdbError
from devdb.model import Spec
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
        if sessions_stay:
            console.pause(spec, [name])
        else:
            _close(session, spec, name)
        yield
        gone = renamed
        reopen(session, spec, [name], gone=gone)
    except BaseException:
        with contextlib.suppress(DevdbError, *wire.FAILURES), registry.still(session, spec) as able:
            able.query("SELECT _devdb.take({})", name)
            reopen(able, spec, [name], gone=gone)
        raise


def _close(session: Session, spec: Spec, name: str) -> None:
    session.query("BEGIN")
    try:
        # Nobody has to wait in the pooler while this waits for a lock, and nobody is refused before
        # it is committed. Paused before that: PgBouncer remembers a login that failed.
        session.query("SELECT _devdb.close({})", name)
        console.pause(spec, [name])
        session.query("COMMIT")
    except BaseException:
        if not session.closed:
            session.query("ROLLBACK")
        raise
    session.query("SELECT _devdb.drain({})", [name])


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
