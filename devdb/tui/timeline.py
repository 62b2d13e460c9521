"""What the steps of a start have come to: a pure reading of the stream of Progress."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from devdb.model import Progress, Step


class Mark(Enum):
    """How a step stands."""

    ACTIVE = "active"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Row:
    """One step as it is shown."""

    label: str
    detail: str
    seconds: float
    mark: Mark


@dataclass(slots=True)
class _Entry:
    detail: str
    begun: float
    ended: float | None = None
    mark: Mark = Mark.ACTIVE


class Timeline:
    """Collects what comes; times are readings of one monotonic clock, in seconds."""

    def __init__(self, begun: float) -> None:
        self.begun = begun
        self.ended: float | None = None
        self.layers: dict[str, tuple[int, int]] = {}
        """Bytes done and bytes in all of each image layer that is being pulled."""
        self._entries: dict[str, _Entry] = {}

    def add(self, progress: Progress, now: float) -> None:
        """Take in one thing that happened."""
        if progress.step == Step.READY:
            return
        self.note(progress.step.value, progress.detail, now)
        if progress.layer is not None:
            self.layers[progress.layer] = progress.done, progress.total

    def note(self, label: str, detail: str, now: float) -> None:
        """The step of that label is what is going on now; those before it are done."""
        entry = self._entries.setdefault(label, _Entry(detail, now))
        entry.detail = detail or entry.detail
        entry.mark, entry.ended = Mark.ACTIVE, None
        for other in self._entries.values():
            if other is not entry and other.mark is Mark.ACTIVE:
                other.mark, other.ended = Mark.DONE, now

    def end(self, now: float, *, failed: bool = False) -> None:
        """The start is over; the step that was going on is done, or the one that failed."""
        self.ended = now
        for entry in self._entries.values():
            if entry.mark is Mark.ACTIVE:
                entry.mark, entry.ended = (Mark.FAILED if failed else Mark.DONE), now

    def rows(self, now: float) -> list[Row]:
        """The steps in the order they came."""
        return [
            Row(label, entry.detail, (entry.ended or now) - entry.begun, entry.mark)
            for label, entry in self._entries.items()
        ]

    def seconds(self, now: float) -> float:
        """How long the whole start has taken."""
        return (self.ended or now) - self.begun

    @property
    def pulled(self) -> tuple[int, int]:
        """Bytes done and bytes in all of all layers together."""
        done, total = zip(*self.layers.values(), strict=True) if self.layers else ((), ())
        return sum(done), sum(total)

    @property
    def pulling(self) -> bool:
        """Whether an image is being pulled just now."""
        entry = self._entries.get(Step.PULL.value)
        return entry is not None and entry.mark is Mark.ACTIVE
