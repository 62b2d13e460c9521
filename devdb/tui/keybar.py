"""The line that shows the keys, made of the bindings that hold just now."""

from __future__ import annotations

from typing import Any

from textual import on
from textual.binding import Binding
from textual.content import Content
from textual.events import Mount, Resize
from textual.screen import Screen
from textual.widgets import Static

GAP = "  "


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


def shown(screen: Screen[Any]) -> list[Binding]:
    """The bindings of the screen that are for the eye, in the order they were written."""
    return [binding for binding in distinct(screen) if binding.show]


def distinct(screen: Screen[Any]) -> list[Binding]:
    """The bindings of devdb's own that hold now, each once however many keys it has."""
    by_action: dict[tuple[str, str], Binding] = {}
    for active in screen.active_bindings.values():
        # Ours all say what they do; those that Textual's own widgets bring do not.
        if active.enabled and active.binding.tooltip:
            by_action.setdefault(
                (active.binding.action, active.binding.description), active.binding
            )
    return list(by_action.values())


def _item(key: str, binding: Binding) -> Content:
    return Content.from_markup(
        f"[@click=app.simulate_key('{binding.key}')][b $accent]$key[/] [$foreground]$words[/][/]",
        key=key,
        words=binding.description,
    )


def _wrap(items: list[Content], width: int) -> Content:
    lines: list[Content] = []
    for item in items:
        if lines and lines[-1].cell_length + len(GAP) + item.cell_length <= width:
            lines[-1] = Content.assemble(lines[-1], GAP, item)
        else:
            lines.append(item)
    return Content("\n").join(lines)
