"""What became of a seed that was loaded."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from devdb.databases.seeding.sieve import Skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What became of a seed that was loaded."""

    name: str
    skipped: tuple[tuple[Skip, int], ...] = ()
    """What was left out, and how many of it; the most of it first."""
    event_triggers: tuple[str, ...] = ()
    """Statements that only a superuser may run, each on one line."""
    remarks: tuple[str, ...] = ()
    """What was odd about it."""

    def words(self) -> str:
        """What was left out, e.g. `43 owners, 12 grants`; empty where nothing was."""
        return ", ".join(what.count(number) for what, number in self.skipped)

    def counts(self) -> dict[str, int]:
        """What was left out, e.g. `{"owners": 43, "event_triggers": 1}`."""
        return {what.plural.replace(" ", "_"): number for what, number in self.skipped}

    def by_hand(self, instance: str, database: str) -> list[str]:
        """The commands that do as the superuser what a seed's role may not."""
        where = f"devdb psql -n {instance} -d {database} -c "
        return [where + shlex.quote(statement) for statement in self.event_triggers]
