"""Slow queries in the log of a running instance: turned on and off at once, without a restart."""

from __future__ import annotations

import re
from dataclasses import dataclass

from devdb import sessions, wire
from devdb.errors import DevdbError
from devdb.model import Spec
from devdb.wire import Session

THRESHOLD = 200
"""Milliseconds that a query takes at least to be logged, where the settings name no others."""
OFF = -1


@dataclass(frozen=True, slots=True)
class Slow:
    """From how many milliseconds on a query is logged; OFF: none is."""

    now: int
    otherwise: int
    """What the settings say, which is what it is again once it is not turned."""
    is_turned: bool
    """Whether ALTER SYSTEM stands above the settings: `turn`'s, or somebody else's."""


def look(spec: Spec) -> Slow:
    """How it is now. Raises DevdbError where Postgres cannot be asked."""
    try:
        with sessions.direct(spec.direct, timeout=2, patience=5) as session:
            return _ask(session)
    except wire.FAILURES as error:
        raise _failure(error, "asked for slow queries") from None


def turn(spec: Spec) -> Slow:
    """Turn it from what the settings say, on or off, or back again; how it is then.

    It holds at once and for all sessions. ALTER SYSTEM keeps it in the data, in the file that is
    read last: it outlives a restart, and stands above devdb.toml until it is turned back. Raises
    DevdbError as `look` does.
    """
    try:
        with sessions.direct(spec.direct, timeout=2, patience=5) as session:
            found = _ask(session)
            if found.is_turned:
                session.query("ALTER SYSTEM RESET log_min_duration_statement")
            else:
                wanted = THRESHOLD if found.otherwise == OFF else OFF
                session.query("ALTER SYSTEM SET log_min_duration_statement = {}", str(wanted))
            session.query("SELECT pg_reload_conf()")
            return _ask(session)
    except wire.FAILURES as error:
        raise _failure(error, "told to log slow queries") from None


def _ask(session: Session) -> Slow:
    """By the files: in devdb's own sessions the setting itself is pinned."""
    rows = session.query(_FILES)
    values = [(_milliseconds(str(value)), bool(is_last)) for value, is_last in rows]
    settings = [value for value, is_last in values if not is_last]
    otherwise = settings[-1] if settings else OFF
    turned = [value for value, is_last in values if is_last]
    return Slow(turned[-1] if turned else otherwise, otherwise, bool(turned))


# What the server refuses has an error.
_FILES = """
SELECT setting, sourcefile = current_setting('data_directory') || '/postgresql.auto.conf'
FROM pg_file_settings
WHERE name = 'log_min_duration_statement' AND error IS NULL
ORDER BY seqno
"""
_UNITS = {"us": 0.001, "": 1, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


def _milliseconds(value: str) -> int:
    found = re.fullmatch(r"\s*(-?[\d.]+)\s*([a-z]*)\s*", value)
    if found is None or found[2] not in _UNITS:
        return OFF
    return max(OFF, round(float(found[1]) * _UNITS[found[2]]))


def _failure(error: Exception, what: str) -> DevdbError:
    words = error.message if isinstance(error, wire.Refused) else str(error)
    return DevdbError(f"Postgres could not be {what}: {words}", "devdb status says how it is.")
