"""The panes one above the other: each as high as its rows need, while there is room for that."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.events import Click, DescendantBlur, DescendantFocus, Resize
from textual.style import Style
from textual.widgets import Static

from devdb.tui.panes.pane import Pane

STACKED = 8
"""With fewer lines only one pane is open, and the others are names in a strip."""
AIRY = 18
"""With so many lines there is an empty one between the panes."""
SIDE_BY_SIDE = 150
"""With so many columns all but the last pane stand beside each other."""
_OPEN = 4
"""The lines of a pane that is worth opening: heading, header, two rows; or all it has."""
_OPEN_LAST = 7


def shares(room: int, needs: Sequence[int], focused: int) -> list[int]:
    """How many of the `room` lines each pane gets, its heading counted; it could use `needs`.

    Each has its heading. The focused one is opened first, then the last, which is the one of many
    rows and gets what the others leave, then those others from above; of them the focused one has
    at most half of the room, each other one a third.
    """
    last = len(needs) - 1
    given = [1] * len(needs)

    def grow(index: int, lines: int, *, whole: bool = False) -> None:
        """Up to so many lines, if there are as many; not `whole`: or to as many as there are."""
        more = min(lines, needs[index]) - given[index]
        left = room - sum(given)
        if more > 0 and (more <= left or not whole):
            given[index] += max(0, min(more, left))

    grow(focused, _OPEN_LAST if focused == last else _OPEN)
    for index in (last, *range(last)):
        grow(index, _OPEN, whole=True)
    for index in (focused, *range(last)):
        if index != last and given[index] > 1:
            grow(index, room // 2 if index == focused else room // 3)
    given[last] += max(0, room - sum(given))
    return given


class Middle(Container):
    """Opens the panes as far as there is room, the one with the focus first."""

    def __init__(self, *panes: Pane) -> None:
        """`panes` from above; the last one is the one of many rows."""
        super().__init__()
        self._panes = panes
        self._current = panes[-1]
        self._names = Static(classes="strip")

    def compose(self) -> ComposeResult:
        """The panes, and the strip of names that stands for their headings."""
        yield self._names
        *above, last = self._panes
        with Container(classes="above"):
            yield from above
        above[-1].add_class("-right")
        yield last

    @on(DescendantFocus)
    @on(DescendantBlur)
    def _follow_the_focus(self) -> None:
        for pane in self._panes:
            # Not `:focus-within`: what lies in a pane is not styled anew when that changes.
            pane.set_class(pane.has_focus_within, "-focused")
            if pane.has_focus_within:
                self._current = pane
        self.share_out()

    @on(Pane.Changed)
    def _make_room(self, message: Pane.Changed) -> None:
        message.stop()
        self.share_out()

    @on(Resize)
    def share_out(self) -> None:
        """Give each pane its lines."""
        width, room = self.size
        is_strip, is_beside = room < STACKED, room >= STACKED and width >= SIDE_BY_SIDE
        self.set_class(is_strip, "-strip")
        self.set_class(is_beside, "-beside")
        self.set_class(room >= AIRY, "-airy")
        if is_strip:
            self._names.update(self._strip())
            self._open([room if pane is self._current else 1 for pane in self._panes])
            return
        *needs, last = [pane.need for pane in self._panes]
        focused = self._panes.index(self._current)
        if is_beside:
            room -= 1 if room >= AIRY else 0
            above, below = shares(room, (max(needs), last), int(focused == len(needs)))
            self._open([*(above for _ in needs), below])
        else:
            room -= len(needs) if room >= AIRY else 0
            self._open(shares(room, (*needs, last), focused))

    def _open(self, heights: Sequence[int]) -> None:
        """Of a pane that has one line the grid has none, but can still be given the focus."""
        for pane, height in zip(self._panes, heights, strict=True):
            pane.grid.styles.height = max(0, height - 1)

    def _strip(self) -> Content:
        """The names; the one that is open is told by its sign too."""
        return Content("  ").join(
            Content.assemble(
                ("▌" if pane is self._current else " ", "$accent"),
                (pane.TITLE, "b" if pane is self._current else "$foreground-muted"),
                (f" {pane.tally}", "$foreground-muted"),
            ).stylize(Style.from_meta({"pane": index}))
            for index, pane in enumerate(self._panes)
        )

    @on(Click, ".strip")
    def _go_there(self, event: Click) -> None:
        if (index := event.style.meta.get("pane")) is not None:
            self._panes[index].grid.focus()
