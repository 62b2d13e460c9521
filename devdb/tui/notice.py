"""What a key has just done, above the keys: one notice at a time, gone after a while."""

from __future__ import annotations

from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from devdb.errors import DevdbError

SECONDS = 15


class Notice(Static):
    """Hidden until it is told something."""

    _timer: Timer | None = None

    def tell(
        self, title: str | Content, *lines: str | Content, style: str = "$text-success"
    ) -> None:
        """Show a title, in that style or in its own, and lines below it."""
        if isinstance(title, str):
            title = Content.styled(title, f"b {style}")
        self.update(Content("\n").join([title, *lines]))
        self.display = True
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(SECONDS, self.clear_away)

    def complain(self, error: DevdbError) -> None:
        """Show an error's two lines."""
        self.tell(error.message, error.hint, style="$text-error")

    def clear_away(self) -> None:
        """Hide."""
        self.display = False
