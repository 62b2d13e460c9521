"""The last minute of each pool, and how it looks in a line of text."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice

from devdb.monitor.pools import Pool

LENGTH = 60
"""Values that are kept of each database, one a look."""
BARS = "▁▂▃▄▅▆▇█"
_QUIET = 10.0
"""Queries a second that are not drawn as high as the line is: a health check is no load."""


class History:
    """What the pools did at each of the last looks; of databases that are gone nothing is kept."""

    def __init__(self) -> None:
        self._looks = 0
        self._values: dict[str, deque[float | None]] = {}

    def add(self, pools: Iterable[Pool] | None) -> None:
        """Remember one more look; None: PgBouncer did not say, which is no reason to forget."""
        self._looks += 1
        if pools is None:
            now: dict[str, float | None] = dict.fromkeys(self._values)
        else:
            now = {pool.database: pool.per_second for pool in pools}
        self._values = {name: self._values.get(name) or deque(maxlen=LENGTH) for name in now}
        for name, value in now.items():
            self._values[name].append(value)

    def line(self, database: str, width: int) -> str:
        """The queries a second as a line of bars, the newest at its end; at most `width` long.

        In fewer cells than there are values a bar is the highest of several. Which of them share
        a bar stays as it is from look to look, so that the line only moves, and only now and then.
        What nobody knows is a gap.
        """
        values = self._values.get(database)
        if not values or width < 1:
            return ""
        each = -(-LENGTH // width)
        begun = min(self._looks % each or each, len(values))  # in the newest bar by now
        first = (len(values) - begun) % each
        sizes = [*([first] if first else []), *[each] * ((len(values) - begun) // each), begun]
        rest = iter(values)
        # The oldest bar goes as a whole, when the first of its values is forgotten.
        bars = [_highest(islice(rest, size)) for size in sizes][-width:]
        top = max(_QUIET, *(bar or 0.0 for bar in bars))
        return "".join(_bar(bar, top) for bar in bars)


def _highest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _bar(value: float | None, top: float) -> str:
    if value is None:
        return " "
    if value <= 0:
        return BARS[0]
    # Something is never drawn as nothing.
    return BARS[max(1, round(value / top * (len(BARS) - 1)))]
