"""Sizes, times and counts in words."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = ("kB", "MB", "GB", "TB")


def size(count: int) -> str:
    """Bytes as people read them, e.g. `7.4 MB`."""
    amount, unit = float(count), "B"
    for larger in _UNITS:
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"


def seconds(amount: float) -> str:
    """A short time, e.g. `0.42 s`, `75 s`."""
    return f"{amount:.2f} s" if amount < 10 else f"{amount:.0f} s"


def span(amount: float) -> str:
    """A long time in its two largest units, e.g. `3 h 12 min`; what is negative is `0 s`."""
    left = max(0, int(amount))
    parts: list[str] = []
    for name, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count or (name == "s" and not parts):
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])


def since(moment: datetime | None, *, now: datetime | None = None) -> str:
    """How long ago that was; empty for never."""
    if moment is None:
        return ""
    return span(((now or datetime.now(UTC)) - moment).total_seconds())


def count(number: int, thing: str) -> str:
    """`1 session`, `2 sessions`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
