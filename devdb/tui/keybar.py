"""The line that shows the keys, made of the bindings that hold just now."""

from __future__ import annotations

from typing import Any

from textual import on
from textual.binding import Binding
from textual.content import Content
from textual.events import Click, Mount, Resize
from textual.screen import Screen
from textual.style import Style
from textual.widgets import Static

GAP = "  "
KEY = "b $text-accent"
"""The style of a key wherever one is named."""


class KeyBar(Static):
    """Like Textual's Footer, but it wraps where the terminal is narrow: no key is hidden."""

    _shown = ""

    @on(Mount)
    def follow_the_bindings(self) -> None:
        """Show them, and again whenever they change."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _screen: self.show_keys())
        self.show_keys()

    @on(Resize)
    def show_keys(self) -> None:
        """Write the keys, in as many lines as they need."""
        if not self.is_attached:
            return
        items = [_item(self.app.get_key_display(b), b) for b in shown(self.screen)]
        content = _wrap(items, self.app.size.width - 2)
        if content.plain != self._shown:
            self._shown = content.plain
            self.update(content)

    @on(Click)
    def _press(self, event: Click) -> None:
        """A click on a key is a press of it."""
        if key := event.style.meta.get("key"):
            self.app.simulate_key(key)


def shown(screen: Screen[Any]) -> list[Binding]:
    """The bindings of the screen that are for the eye, in the order they were written."""
    return [binding for binding in distinct(screen) if binding.show]


def distinct(screen: Screen[Any]) -> list[Binding]:
    """The bindings of devdb's own that hold now, the screen's first, each once."""
    by_action: dict[tuple[str, str], Binding] = {}
    actives = screen.active_bindings.values()
    for active in sorted(actives, key=lambda active: active.node is not screen):
        # Ours all say what they do; those that Textual's own widgets bring do not.
        if active.enabled and active.binding.tooltip:
            by_action.setdefault(
                (active.binding.action, active.binding.description), active.binding
            )
    return list(by_action.values())


def _item(key: str, binding: Binding) -> Content:
    pressed = Style.from_meta({"key": binding.key})
    return Content.assemble((key, KEY), " ", binding.description).stylize(pressed)


def _wrap(items: list[Content], width: int) -> Content:
    lines: list[Content] = []
    for item in items:
        if lines and lines[-1].cell_length + len(GAP) + item.cell_length <= width:
            lines[-1] = Content.assemble(lines[-1], GAP, item)
        else:
            lines.append(item)
    return Content("\n").join(lines)
