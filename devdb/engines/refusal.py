"""A server that says no: when that is its last word, and the way out of it."""

from __future__ import annotations

import re
import time
from contextlib import suppress

from devdb import connections, pgbouncer, postgres, sessions, wire
from devdb.config import FILE
from devdb.errors import DataGone, DataMismatch, StartFailed
from devdb.essentials import NO_DATABASE
from devdb.model import DATABASE, MAINTENANCE_DATABASE, Spec, title
from devdb.wire import Refused

_SURE = 0.5
"""Seconds: longer than anything lasts that devdb itself makes pass."""
_POOLER_SURE = 10.0
"""Seconds: PgBouncer repeats for one what it was told, and it may be started anew meanwhile."""
_PASSING = re.compile("40|57|55P03")
"""What is over in a moment: a rollback, a shutdown, a cancelled query, a lock (SQLSTATEs)."""
_SETTING = re.compile(
    "configuration|parameter|invalid value|unrecognized|must be (less|at least)"
    "|requires wal_level|could not (access file|load library)"
)
_OF_SETTINGS = ("22023", "25006", "42704")
"""The SQLSTATEs that are a setting's fault here."""
_AGAIN_SUPERUSER = "As another superuser: ALTER ROLE devdb LOGIN SUPERUSER"
_IN = "devdb psql -n {name} -d {other} -c "
_WAYS_OUT = {
    "28000": _AGAIN_SUPERUSER,
    NO_DATABASE: f'Its files are missing: put them back, or {_IN}"DROP DATABASE {{database}}"',
    "42501": _AGAIN_SUPERUSER,
    sessions.TOO_MANY: connections.WAY_OUT,
    "55000": f'Let it in again: {_IN}"ALTER DATABASE {{database}} ALLOW_CONNECTIONS true"',
}
_BY_WORDS = (
    ("invalid database", f'Its DROP was cut short; end it: {_IN}"DROP DATABASE {{database}}"'),
    ("template database", "Nothing is left to copy: dump what is here, then devdb rm {name}"),
)
_COMPLAINT = re.compile(
    "FATAL|PANIC|ERROR|rror|parameter|must be (less|at least)|No space left|^devdb: "
)
"""`devdb: ` is what its own scripts say, before a server or in its place."""


def last_words(text: str) -> str:
    """What a server said last, on one line: its complaints if it has any. To be shown only."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    complaints = [line for line in lines if _COMPLAINT.search(line)]
    return " / ".join((complaints or lines)[-3:])


def of_end(words: str, spec: Spec, part: str, *, room: str) -> str:
    """The way out, where a server ended with these words; `room`: how there is more of it."""
    if "No space left" in words:
        return room
    again = f"Mend what it complains about (the image?), then: devdb up -d -n {spec.name}"
    return of_setting(words, spec, part) or again


class LetsNobodyIn(StartFailed):
    """The server runs and answers, and its answer is no; it is left running, to be mended."""


def of_setting(words: str, spec: Spec, part: str, *, surely: bool = False) -> str | None:
    """The way out, where the words of a server complain about a setting.

    It names those of the user's that are in the words. `surely`: they do complain about one.
    """
    is_pooler = part == "pgbouncer"
    table, given = "postgres", spec.settings
    if is_pooler:
        table, given = "pgbouncer", spec.pooler_settings
    quoted = set(re.findall(r'"([^"]+)"', words))
    named = [
        name
        for name, value in given
        if re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", words, re.IGNORECASE)
        or (value in quoted and _SETTING.search(words))
    ]
    if named:
        again = f"then: devdb up -d -n {spec.name}"
        option = " or --max-connections" if "max_connections" in named else ""
        return f"Correct {' and '.join(named)} ({FILE}, [{table}]{option}), {again}"
    if not surely and not _SETTING.search(words):
        return None
    more = "" if is_pooler else "; or, set by ALTER SYSTEM, postgresql.auto.conf in the data"
    return f"Correct the setting: {FILE}, [{table}]{more}."


class OtherPassword(DataMismatch):
    """The data was made for another password than the instance's."""


def other_password(spec: Spec) -> OtherPassword:
    """That error."""
    return OtherPassword(
        f"The data of '{spec.name}' has another password than its marker.",
        "The marker was replaced: put the right one back, or remove it, and take the data over: "
        f"devdb up -n {spec.name} --adopt",
    )


def is_crowded(spec: Spec) -> bool:
    """Whether both servers work, but an app has all connections, or all of the pool's.

    That is no fault of theirs.
    """
    with suppress(*wire.FAILURES), pgbouncer.console(spec) as session:
        if pgbouncer.is_pool_taken(session):
            return True
        health = postgres.health(spec.direct)
        return health is not None and health.full
    return False


def data_gone(spec: Spec, where: str) -> DataGone:
    """The error for data that is not there any more; `where` it was."""
    return DataGone(
        f"The data of '{spec.name}' is gone: {where} is not there, or empty.",
        f"Put it back there, or make a new, empty one: devdb up -n {spec.name} --anew",
        "Make a new, empty one in its place?",
    )


class Refusals:
    """The refusals of one server while it is waited for."""

    def __init__(self, spec: Spec, part: str, *, sure: float) -> None:
        """`sure`: seconds after which the same answer is the last one."""
        self._spec = spec
        self._part = part
        self._sure = sure
        self._said = ("", "")
        self._since = 0.0

    @classmethod
    def of_postgres(cls, spec: Spec) -> Refusals:
        """Those of Postgres itself."""
        return cls(spec, "postgres", sure=_SURE)

    @classmethod
    def of_pooler(cls, spec: Spec) -> Refusals:
        """Those of PgBouncer, in front of a Postgres that lets devdb in."""
        return cls(spec, "pgbouncer", sure=_POOLER_SURE)

    def take(self, refused: Refused) -> None:
        """Note what was said; raises LetsNobodyIn when it has been the same for long enough."""
        now = time.monotonic()
        said = (refused.sqlstate, str(refused))
        if said != self._said or _PASSING.match(refused.sqlstate):
            self._said, self._since = said, now
        elif now - self._since >= self._sure:
            raise LetsNobodyIn(f"{title(self._part)} runs, but {self._why(refused)}.", self._hint())

    def _why(self, refused: Refused) -> str:
        if refused.sqlstate == sessions.TOO_MANY:
            return connections.taken(self._spec)
        return f"refuses devdb: {refused}"

    def _hint(self) -> str:
        sqlstate, words = self._said
        logs = f"The log has more: devdb logs -n {self._spec.name}"
        surely = sqlstate in _OF_SETTINGS
        by_words = next((way for part, way in _BY_WORDS if part in words), None)
        of_one = of_setting(words, self._spec, self._part, surely=surely)
        known = by_words or _WAYS_OUT.get(sqlstate) or of_one or logs
        one, other = DATABASE, MAINTENANCE_DATABASE
        if f'"{MAINTENANCE_DATABASE}"' in words:
            one, other = other, one
        return known.format(name=self._spec.name, database=one, other=other)
