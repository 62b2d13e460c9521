"""A server that says no: when that is its last word, and the way out of it."""

from __future__ import annotations

import re
import time
from contextlib import suppress

from devdb import connections, pgbouncer, postgres, sessions, wire
from devdb.config import FILE
from devdb.errors import DataMismatch, StartFailed
from devdb.model import Spec
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
_WAYS_OUT = {
    "28000": _AGAIN_SUPERUSER,
    "3D000": "Make it, from the other one: devdb psql -n {name} -d postgres (or main)",
    "42501": _AGAIN_SUPERUSER,
    sessions.TOO_MANY: connections.WAY_OUT,
    "55000": "Let it in again, from the other one: devdb psql -n {name} -d postgres (or main)",
}


class LetsNobodyIn(StartFailed):
    """The server runs and answers, and its answer is no; it is left running, to be mended."""


def of_setting(words: str, spec: Spec, server: str, *, surely: bool = False) -> str | None:
    """The way out, where the words of Postgres or PgBouncer complain about a setting.

    It names those of the user's that are in the words. `surely`: they do complain about one.
    """
    is_pooler = server.lower() == "pgbouncer"
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


def other_password(spec: Spec) -> DataMismatch:
    """The error for data that was made for another password than the instance's."""
    return DataMismatch(
        f"The data of '{spec.name}' has another password than its marker.",
        f"The marker was lost or replaced: put it back, or devdb rm {spec.name}",
    )


def is_crowded(spec: Spec) -> bool:
    """Whether both servers work, but an app has all connections, or all of the pool's.

    That is no fault of theirs.
    """
    with suppress(*wire.FAILURES), pgbouncer.console(spec) as session:
        if pgbouncer.is_pool_taken(session):
            return True
        vitals = postgres.vitals(spec.direct)
        return vitals is not None and vitals.full
    return False


class Refusals:
    """The refusals of one server while it is waited for."""

    def __init__(self, spec: Spec, server: str, *, sure: float) -> None:
        """`sure`: seconds after which the same answer is the last one."""
        self._spec = spec
        self._server = server
        self._sure = sure
        self._said = ("", "")
        self._since = 0.0

    @classmethod
    def of_postgres(cls, spec: Spec) -> Refusals:
        """Those of Postgres itself."""
        return cls(spec, "Postgres", sure=_SURE)

    @classmethod
    def of_pooler(cls, spec: Spec) -> Refusals:
        """Those of PgBouncer, in front of a Postgres that lets devdb in."""
        return cls(spec, "PgBouncer", sure=_POOLER_SURE)

    def take(self, refused: Refused) -> None:
        """Note what was said; raises LetsNobodyIn when it has been the same for long enough."""
        now = time.monotonic()
        said = (refused.sqlstate, str(refused))
        if said != self._said or _PASSING.match(refused.sqlstate):
            self._said, self._since = said, now
        elif now - self._since >= self._sure:
            raise LetsNobodyIn(f"{self._server} runs, but {self._why(refused)}.", self._hint())

    def _why(self, refused: Refused) -> str:
        if refused.sqlstate == sessions.TOO_MANY:
            return connections.taken(self._spec)
        return f"refuses devdb: {refused}"

    def _hint(self) -> str:
        sqlstate, words = self._said
        logs = f"The log has more: devdb logs -n {self._spec.name}"
        surely = sqlstate in _OF_SETTINGS
        of_one = of_setting(words, self._spec, self._server, surely=surely)
        known = _WAYS_OUT.get(sqlstate) or of_one or logs
        return known.format(name=self._spec.name)
