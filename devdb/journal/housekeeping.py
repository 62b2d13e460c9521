"""Which lines are about devdb's own work: only what nobody else can have caused."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta

from devdb.journal.entry import Entry
from devdb.model import LOOKUP_SCHEMA, POOLER_ROLE

# Nobody but devdb gets into PgBouncer's console: its password is derived, and shown to nobody.
_ORDER = re.compile(r"(?P<order>[A-Z_]+)(?: '(?P<database>.*)')? command issued")
# What the console says to an order that came too late: `admin_error` of PgBouncer's src/admin.c
# logs it bare, as an ERROR, before it is a WARNING with whose order it was.
_TOO_LATE = re.compile(r"no such database: .*|database .* is not paused|client not found")
_CONSOLE = re.compile(rf"C-0x[0-9a-f]+: pgbouncer/{POOLER_ROLE}@")
# The sessions in which PgBouncer looks up verifiers; that they fail is everybody's concern.
_LOOKUP = re.compile(rf"[CS]-0x[0-9a-f]+: [^/]+/{POOLER_ROLE}@")
# What log_connections tells of devdb's sessions, and then log_disconnections of the same process.
_OWN_LOGIN = re.compile(
    rf'connection authenticated: identity="{POOLER_ROLE}" '
    rf"|connection authorized: (?:user={POOLER_ROLE} |.* application_name=devdb(?:-reaper)?\b)"
)
_OWN_QUERY = f": SELECT username, verifier FROM {LOOKUP_SCHEMA}.lookup($1)"
"""What PgBouncer asks; it is logged where every query is."""
_MARK = "SELECT 1 /* devdb */"
"""The end of what devdb asks as any client would; see `sessions.MARK`."""
_LOGINS_KEPT = 1000
# What DROP DATABASE, and CREATE DATABASE by files, has Postgres do; `fast` from major 19 on.
_ORDERED = re.compile(r"checkpoint starting: (?:immediate|fast) force wait(?: flush-\w+)?")
_REAPER = "\0"
"""No database is called so; see `temporary/reaper.sh` for what it says."""
_LONGEST = timedelta(minutes=2)
"""How long work of devdb's can last whose end was not seen."""


class Housekeeping:
    """Knows what devdb is at, by the entries of all parts in time order."""

    def __init__(self) -> None:
        self._begun: dict[str, datetime | None] = {}
        self._is_checkpoint_ours = False
        self._logins: dict[int | None, None] = {}
        self._before: dict[str, bool] = {}

    def judged(self, entry: Entry) -> Entry:
        """The entry, marked where it is about devdb's own work."""
        if not entry.belongs:
            self._before[entry.part] = self._is_ours(entry)
        return replace(entry, is_housekeeping=True) if self._before.get(entry.part) else entry

    def _is_ours(self, entry: Entry) -> bool:
        if entry.part == "reaper" and entry.level == "LOG":
            return self._is_drop(entry)
        if entry.part == "pgbouncer":
            return self._is_order(entry) or _is_own_session(entry)
        if entry.part == "postgres" and entry.level == "LOG":
            return (
                self._is_of_work(entry)
                or self._is_login(entry)
                or entry.text.endswith((_OWN_QUERY, _MARK))
            )
        return False

    def _is_order(self, entry: Entry) -> bool:
        found = _ORDER.fullmatch(entry.text) if entry.level == "LOG" else None
        if found is None:
            return False
        if found["order"] in ("PAUSE", "KILL"):
            self._begun[found["database"] or ""] = entry.moment
        elif found["order"] == "RESUME":
            self._begun.pop(found["database"] or "", None)
        return True

    def _is_drop(self, entry: Entry) -> bool:
        """What it drops is news; that it is done is not."""
        if entry.text.startswith("drops "):
            self._begun[_REAPER] = entry.moment
            return False
        self._begun.pop(_REAPER, None)
        return entry.text == "dropped"

    def _is_of_work(self, entry: Entry) -> bool:
        """Whether it is a checkpoint that was ordered while devdb had a database to itself."""
        if _ORDERED.fullmatch(entry.text):
            self._is_checkpoint_ours = any(
                begun and entry.moment and begun <= entry.moment < begun + _LONGEST
                for begun in self._begun.values()
            )
            return self._is_checkpoint_ours
        if entry.text.startswith("checkpoint starting: "):
            self._is_checkpoint_ours = False
        return self._is_checkpoint_ours and entry.text.startswith("checkpoint complete: ")

    def _is_login(self, entry: Entry) -> bool:
        if _OWN_LOGIN.match(entry.text):
            self._logins[entry.pid] = None
            if len(self._logins) > _LOGINS_KEPT:
                del self._logins[next(iter(self._logins))]
            return True
        if entry.text.startswith("connection received: "):
            self._logins.pop(entry.pid, None)  # the number is another process's by now
        return entry.text.startswith("disconnection: ") and entry.pid in self._logins


def _is_own_session(entry: Entry) -> bool:
    if entry.level in ("LOG", "DEBUG", "NOISE"):
        return _LOOKUP.match(entry.text) is not None
    if entry.level == "WARNING":
        return _CONSOLE.match(entry.text) is not None
    return entry.level == "ERROR" and _TOO_LATE.fullmatch(entry.text) is not None
