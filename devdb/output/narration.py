"""What is said on stderr of what is made: of an instance's start each step once, with its time;
of a seed what came of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from devdb.model import Progress, Spec, Step
from devdb.output import streams
from devdb.wording import elapsed, size

if TYPE_CHECKING:
    from devdb.databases.seeding import Loaded

_SLOW = 10.0


class Narrator:
    """Takes every Progress; says a step when it is over, and a slow one now and then before.

    On a terminal the step that is under way is shown on a line that is rewritten.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = streams.live()
        self._step: Step | None = None
        self._detail = ""
        self._since = self._said = self._begun = time.monotonic()
        self._layers: dict[str, tuple[int, int]] = {}

    def take(self, progress: Progress) -> None:
        """One thing that happened."""
        if self._quiet:
            return
        if progress.step != self._step:
            self.close()
            self._step, self._since = progress.step, time.monotonic()
            self._said = self._since
            self._layers.clear()
        self._detail = progress.detail or self._detail
        if progress.layer is not None and progress.total:
            self._layers[progress.layer] = progress.done, progress.total
        self._show()

    def close(self) -> None:
        """The step is over."""
        if self._step is None:
            return
        self._erase()
        took = time.monotonic() - self._since
        if self._step == Step.READY:
            took = time.monotonic() - self._begun
        streams.narrate(f"{_title(self._step)}{self._about()}({elapsed(took)})")
        self._step, self._detail = None, ""

    def _show(self) -> None:
        assert self._step is not None
        now = time.monotonic()
        text = f"{_title(self._step)}{self._about()}{self._pulled()}"
        if self._live:
            streams.rewrite(text)
        elif now - self._said > _SLOW:
            self._said = now
            streams.narrate(f"{text}... {elapsed(now - self._since)}")

    def _erase(self) -> None:
        if self._live:
            streams.rewrite("")

    def _about(self) -> str:
        return f"{self._detail} " if self._detail else ""

    def _pulled(self) -> str:
        if not self._layers:
            return ""
        done, total = (sum(column) for column in zip(*self._layers.values(), strict=True))
        return f"{size(done)} of {size(total)}"


def _title(step: Step) -> str:
    return f"  {step.value:<9}  "


def tell_of_seed(loaded: Loaded, name: str, spec: Spec, *, only_what_differs: bool = False) -> None:
    """What came of a seed in the database of that name; or nothing where all of it did."""
    skipped = loaded.words()
    if skipped or loaded.remarks or not only_what_differs:
        streams.narrate(f"loaded '{loaded.name}'{f'; skipped: {skipped}' if skipped else ''}")
    for remark in loaded.remarks:
        streams.narrate(f"note: {remark}")
    for command in loaded.by_hand(spec.name, name):
        streams.narrate(f"only the superuser can, by hand: {command}")
