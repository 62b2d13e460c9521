"""How the dashboard shows states, time left, progress, and texts that have little room."""

from __future__ import annotations

from pathlib import Path

from devdb.model import PartState

MARKS = {
    PartState.RUNNING: ("●", "$text-success"),
    PartState.STARTING: ("◐", "$text-warning"),
    PartState.STOPPED: ("○", "$foreground-muted"),
    PartState.DEAD: ("✕", "$text-error"),
}
"""The sign of a state and its colour; the signs differ too, because colours may be off."""


def countdown(seconds: float) -> str:
    """Time left as a clock: `23:59:07`, with days in front where there are any."""
    left = max(0, int(seconds))
    days, rest = divmod(left, 86400)
    clock = f"{rest // 3600:02}:{rest % 3600 // 60:02}:{rest % 60:02}"
    return f"{days} d {clock}" if days else clock


def age(seconds: float) -> str:
    """A time in one unit, at most 6 cells, e.g. `7 s`, `35 s`, `12 min`, `5 h`.

    Coarse, so that a table of many does not change all over with each second.
    """
    left = max(0, int(seconds))
    if left < 60:
        return f"{left if left < 10 else left // 5 * 5} s"
    if left < 3600:
        return f"{left // 60} min"
    return f"{left // 3600} h" if left < 172800 else f"{left // 86400} d"


def bar(done: int, total: int, width: int) -> tuple[str, str]:
    """The filled and the empty part of a progress bar; told apart without colours too."""
    filled = min(width, int(width * done / total)) if total else 0
    return "━" * filled, "╌" * (width - filled)


def shortened(text: str, width: int) -> str:
    """The text, its end cut off where it is longer than `width`."""
    return text if len(text) <= width else f"{text[: width - 1]}…" if width > 0 else ""


def shortened_url(url: str, width: int) -> str:
    """The URL; where it is longer than `width`, without what one can do without, e.g. the account.

    What tells two of them from each other are port and database.
    """
    if len(url) <= width:
        return url
    _account, at, place = url.rpartition("@")
    _host, colon, port = place.rpartition(":")
    shorter = [f"…@{place}"] if at else []
    shorter += [f"…:{port}"] if at and colon else []
    return next(
        (each for each in shorter if len(each) <= width), shortened([url, *shorter][-1], width)
    )


def path(location: Path | str) -> str:
    """The path, the home directory as `~`."""
    try:
        return f"~/{Path(location).relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(location)
