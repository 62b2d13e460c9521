"""The line that says whether `.env` holds the instance's URLs, and what mends it."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from devdb.masking import visible
from devdb.tui.keybar import KEY
from devdb.workspace.staleness import Held


class EnvLine(Static):
    """Coloured, and with a sign, only where something is wrong."""

    _shown: Held | None = None

    def show(self, held: Held | None) -> None:
        """Show what was found; None: nobody has looked yet."""
        if held is not None and held != self._shown:
            self._shown = held
            self.update(told(held))

    @property
    def urgent(self) -> bool:
        """Whether the key `e` mends something."""
        return self._shown is not None and bool(self._shown.written)


def told(held: Held) -> Content:
    """The sentence, and the key or the command that mends it."""
    sentence = visible(held.sentence)
    if not held.stale:
        sign = "✓ " if held.right else ""
        return Content.styled(f"{sign}{sentence}", "$foreground-muted")
    wrong = (f"! {sentence}", "b $text-warning")
    if held.written:
        return Content.assemble(wrong, "  ", ("e", KEY), " writes it")
    fixes = dict.fromkeys(visible(each.fix) for each in held.stale if each.fix)
    return Content.assemble(wrong, "  try: ", "; ".join(fixes))
