"""The pools of PgBouncer: who has a connection, who waits for one, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.content import Content
from textual.events import Resize

from devdb.monitor.pools import Pool
from devdb.tui import words
from devdb.tui.grid import Column, Row
from devdb.tui.panes.pane import Pane
from devdb.wording import count

MUTED = "$foreground-muted"
WAITING = "b $text-warning"
_SPARKS = 6
"""The column of the last minute."""


class Pools(Pane):
    """A row for each database."""

    TITLE: ClassVar[str] = "Pools"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("database", 18, most=32),
        Column("active", 6, right=True),
        Column("waiting", 8, right=True),
        Column("oldest", 6, right=True),
        Column("servers", 10, right=True),
        Column("queries/s", 9, right=True),
        Column("last minute", 11, most=60),
    )
    EMPTY: ClassVar[str] = "no client has come through PgBouncer yet"

    _pools: tuple[Pool, ...] | None = ()
    _line: Callable[[str, int], str] | None = None
    """None: nothing was shown yet."""

    def show(self, pools: tuple[Pool, ...] | None, line: Callable[[str, int], str]) -> None:
        """Show these; None: PgBouncer's console did not answer.

        `line` gives the last minute of a database, in so many cells.
        """
        self._pools, self._line = pools, line
        self._draw()
        if pools is None:
            self.say("?")
            return
        clients = sum(pool.active + pool.waiting for pool in pools)
        waiting = sum(pool.waiting for pool in pools)
        self.say(
            f"▲{waiting}" if waiting else str(clients),
            (count(clients, "client"), MUTED),
            *((", ", (f"▲ {waiting} wait", WAITING)) if waiting else ()),
        )

    @on(Resize)
    def _draw(self) -> None:
        if (line := self._line) is None:
            return
        width = self.grid.widths.get(_SPARKS, 0)
        self.grid.show(
            (_row(pool, line(pool.database, width) if width else "") for pool in self._pools or ()),
            empty="PgBouncer's console does not answer" if self._pools is None else None,
        )


def _row(pool: Pool, line: str) -> Row:
    is_full = pool.used >= pool.size
    rate = "" if pool.per_second is None else _rate(pool.per_second)
    return Row(
        pool.database,
        (
            pool.database,
            str(pool.active) if pool.active else Content.styled("0", MUTED),
            Content.styled(f"▲ {pool.waiting}", WAITING)
            if pool.waiting
            else Content.styled("0", MUTED),
            Content.styled(words.age(pool.oldest_wait), WAITING) if pool.waiting else "",
            Content.styled(f"{pool.used} of {pool.size}", WAITING if is_full else ""),
            rate,
            Content.styled(line, "$text-primary"),
        ),
    )


def _rate(per_second: float) -> str:
    return f"{per_second:.1f}" if 0 < per_second < 10 else f"{per_second:.0f}"
