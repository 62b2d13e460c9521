"""Keeping a temporary database: for longer, or for good."""

from __future__ import annotations

from datetime import timedelta

from devdb import sessions
from devdb.databases import closing, console, names, registry
from devdb.databases.database import TemporaryDatabase
from devdb.databases.ttl import check_ttl
from devdb.errors import DevdbError, UsageError
from devdb.model import Spec
from devdb.wire import Refused, Session


def claim(spec: Spec, name: str, new_name: str | None = None) -> TemporaryDatabase:
    """Make it permanent, with its data and its password, under `new_name` when given.

    A rename ends the sessions on it. Raises NotFound; DevdbError when it has expired or is
    claimed; UsageError when `new_name` cannot be or is taken.
    """
    wanted = names.check(new_name) if new_name and new_name != name else name
    with registry.session(spec) as session:
        if wanted == name:
            _call(session, spec, name, "SELECT _devdb.claim({}, {})", name, name)
        else:
            _rename(session, spec, name, wanted)
        claimed = registry.one(session, spec, wanted)
    if wanted != name:
        console.settle(claimed.pooled)
    return claimed


def extend(spec: Spec, name: str, ttl: timedelta) -> TemporaryDatabase:
    """Let it live for `ttl` from now on, be that longer or shorter than it would have.

    Raises NotFound; DevdbError when it has expired or is claimed; UsageError for a ttl outside
    of 1 s to 30 d.
    """
    check_ttl(ttl)
    with registry.session(spec) as session:
        _call(session, spec, name, "SELECT _devdb.extend({}, {})", name, ttl)
        return registry.one(session, spec, name)


def _rename(session: Session, spec: Spec, name: str, wanted: str) -> None:
    # Asked before the sessions on it are ended for nothing; claim() asks again.
    _call(session, spec, name, "SELECT _devdb.living({})", name)
    try:
        with closing.closed(session, spec, name, renamed=True):
            _call(session, spec, name, "SELECT _devdb.claim({}, {})", name, wanted)
    except Refused as refused:
        if refused.sqlstate not in sessions.TAKEN:
            raise
        raise UsageError(
            f"There is a database or a role '{wanted}' already.", "Choose another name."
        ) from None


def _call(session: Session, spec: Spec, name: str, query: str, *values: object) -> None:
    try:
        session.query(query, *values)
    except Refused as error:
        if error.sqlstate == registry.MISSING:
            raise registry.unknown(spec, name) from None
        if error.sqlstate == registry.CLAIMED:
            raise DevdbError(
                f"'{name}' is claimed already: it is permanent.", "Nothing is left to do."
            ) from None
        if error.sqlstate == registry.EXPIRED:
            raise DevdbError(
                f"'{name}' has expired.",
                "It lets nobody in any more; make a new one with `devdb temp`.",
            ) from None
        raise
