"""How the dashboard words times, sizes and states."""

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

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def duration(seconds: float) -> str:
    """A time span in its two greatest units: `3 d 4 h`, `2 h 14 min`, `45 s`."""
    left = max(0, int(seconds))
    for index, (unit, length) in enumerate(_UNITS):
        if left >= length:
            words = [f"{left // length} {unit}"]
            smaller, its_length = _UNITS[min(index + 1, len(_UNITS) - 1)]
            if length > 60 and (rest := left % length // its_length):
                words.append(f"{rest} {smaller}")
            return " ".join(words)
    return "0 s"


def countdown(seconds: float) -> str:
    """Time left as a clock: `23:59:07`, with days in front where there are any."""
    left = max(0, int(seconds))
    days, rest = divmod(left, 86400)
    clock = f"{rest // 3600:02}:{rest % 3600 // 60:02}:{rest % 60:02}"
    return f"{days} d {clock}" if days else clock


def elapsed(seconds: float) -> str:
    """A short span to the tenth: `0.4 s`; minutes from 100 s on: `2:05 min`."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02} min"


def size(count: int) -> str:
    """Bytes as people read them: `7.4 MB`."""
    if count < 1000:
        return f"{count} B"
    value, units = count / 1000, ["kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        del units[0]
    return f"{value:.0f} {units[0]}" if value >= 100 else f"{value:.1f} {units[0]}"


def bar(done: int, total: int, width: int) -> tuple[str, str]:
    """The filled and the empty part of a progress bar; told apart without colours too."""
    filled = min(width, int(width * done / total)) if total else 0
    return "━" * filled, "╌" * (width - filled)


def shortened(text: str, width: int) -> str:
    """The text, its end cut off where it is longer than `width`."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def path(location: Path | str) -> str:
    """The path, the home directory as `~`."""
    try:
        return f"~/{Path(location).relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(location)
