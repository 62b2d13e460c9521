"""Who keeps devdb waiting for a lock: ended where that may be, named where not."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from devdb import sessions, wire
from devdb.errors import TimedOut
from devdb.masking import visible
from devdb.model import Spec
from devdb.wire import Session

LOCKED = "55P03"
"""SQLSTATE: a lock was not to be had in time."""

_PATIENCE = 120
"""Seconds in all that one query waits behind devdb's own sessions and the server's."""
_WORDS = 60
"""Characters of somebody's query that are told."""


class Watch:
    """Looks, while a session waits for an answer, who keeps it from a lock.

    A temporary role's sessions are ended and its prepared transactions rolled back, and so is the
    session of whoever has been idle in a transaction for a minute. Other devdbs and the server
    itself (an autovacuum worker) are busy and not idle: a query that had to wait for nobody else
    is run again.
    """

    def __init__(self, spec: Spec, waiting: Session) -> None:
        self._spec = spec
        self._waiting = waiting
        self._looking: Session | None = None
        self._left: list[dict[str, Any]] = []

    def __enter__(self) -> Watch:
        self._waiting.meanwhile = self._look
        self._waiting.once_more = self._once_more
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._waiting.meanwhile = self._waiting.once_more = None
        if self._looking is not None:
            self._looking.close()

    def error(self) -> TimedOut:
        """That a lock was not to be had in time, with who had it at the last look."""
        if not self._left:
            return TimedOut(
                f"Postgres of '{self._spec.name}' is busy: a lock was not to be had in time.",
                "Try again.",
            )
        first = self._left[0]
        way_out = (
            "Commit it or roll it back there, and try again."
            if first["pid"] is None
            else f"End its transaction, or it (SELECT pg_terminate_backend({first['pid']})),"
            " and try again."
        )
        return TimedOut(f"Postgres of '{self._spec.name}' waits for {_described(first)}.", way_out)

    def _once_more(self, refused: wire.Refused, took: float) -> bool:
        are_devdbs = all(row["devdbs"] for row in self._left)
        return refused.sqlstate == LOCKED and are_devdbs and took < _PATIENCE

    def _look(self) -> None:
        with contextlib.suppress(*wire.FAILURES):
            if self._looking is None or self._looking.closed:
                self._looking = sessions.direct(self._spec.direct, timeout=2, patience=5)
            found = self._looking.records("SELECT * FROM _devdb.unblock({})", self._waiting.pid)
            undo = [(row["transaction"], row["database"]) for row in found if row["undo"]]
            left = [row for row in found if not (row["ended"] or row["undo"])]
            self._left = sorted(left, key=lambda row: row["devdbs"])
            roll_back(self._spec, undo, major=self._waiting.major)


def roll_back(spec: Spec, transactions: Sequence[tuple[str, str]], *, major: int) -> None:
    """Roll back prepared transactions (number and database), each from inside its database.

    One that cannot be stays. `major` is the server's.
    """
    for number, database in transactions:
        with (
            contextlib.suppress(*wire.FAILURES),
            sessions.direct(spec.direct, database=database, patience=5, major=major) as inside,
        ):
            query = "SELECT gid FROM pg_prepared_xacts WHERE transaction = {}"
            for (name,) in inside.query(query, number):
                inside.query("ROLLBACK PREPARED {}", name)


def _described(row: dict[str, Any]) -> str:
    whose = f"'{_shown(row['role'])}' on '{_shown(row['database'])}'"
    since = f"for {row['seconds'] or 0:.0f} s"
    if row["pid"] is None:
        return f"the transaction '{_shown(row['query'])}' of {whose}, prepared {since}"
    application = _shown(row["application"]) or "no application name"
    # Nothing from the first quote on: it may be a password.
    words = _shown(re.split(r"['\"$]", row["query"] or "", maxsplit=1)[0])
    told = f": {words}" if words else ""
    return f"session {row['pid']} of {whose} ({application}, in a transaction {since}){told}"


def _shown(text: str | None) -> str:
    """On one line, and not too long."""
    return visible(" ".join((text or "").split())[:_WORDS])
