"""How long a temporary database lives, as people write it: `90s`, `30m`, `36h`, `7d`."""

from __future__ import annotations

import re
from datetime import timedelta

from devdb.errors import UsageError

DEFAULT_TTL = timedelta(hours=24)
SHORTEST_TTL = timedelta(seconds=1)
LONGEST_TTL = timedelta(days=30)

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_ttl(text: str) -> timedelta:
    """The time that a whole number with the unit `s`, `m`, `h` or `d` stands for.

    Raises UsageError for anything else, and outside of 1 s to 30 d.
    """
    match = re.fullmatch(r"([0-9]{1,9})([smhd])", text.strip())
    if match is None:
        raise UsageError(
            f"'{text}' is no time to live.",
            "Write a whole number and a unit: 90s, 30m, 36h or 7d.",
        )
    return check_ttl(timedelta(**{_UNITS[match[2]]: int(match[1])}), text)


def check_ttl(ttl: timedelta, text: str | None = None) -> timedelta:
    """The same, when it is 1 s to 30 d; raises UsageError otherwise, calling it `text`."""
    if SHORTEST_TTL <= ttl <= LONGEST_TTL:
        return ttl
    raise UsageError(
        f"A temporary database cannot live for {text or ttl}.",
        "Anything from 1s to 30d goes; `devdb temp claim NAME` keeps one for good.",
    )
