"""The line that shows the keys, made of the bindings that hold just now."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from textual import on
from textual.binding import ActiveBinding, Binding
from textual.content import Content
from textual.events import Click, Mount, Resize
from textual.screen import Screen
from textual.style import Style
from textual.widgets import Static

GAP = "  "
KEY = "b $text-accent"
"""The style of a key wherever one is named."""


LOW, NARROW = 16, 60
"""With fewer lines or columns there is one line of keys."""
HIGH, MANY = 30, 9
"""With fewer lines there are two at most, else as many as they need."""


class KeyBar(Static):
    """Like Textual's Footer, but it wraps where the terminal is narrow and high enough.

    What has the focus has a line of its own for its keys. Where not all of the others fit, help is
    the last one: that has them all.
    """

    _shown: Content | None = None

    @on(Mount)
    def follow_the_bindings(self) -> None:
        """Show them, and again whenever they change."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _screen: self.show_keys())
        self.show_keys()

    @on(Resize)
    def show_keys(self) -> None:
        """Write the keys, in as many lines as they need or may have."""
        if not self.is_attached:
            return
        width, height = self.app.size
        most = 1 if width < NARROW or height < LOW else 2 if height < HIGH else MANY
        held = [each for each in distinct(self.screen) if each.binding.show]
        of_focused = [each for each in held if each.node is not self.screen]
        if most > 1 and of_focused:
            general = self._lines([each for each in held if each not in of_focused], most - 1)
            lines = [*general, *self._lines(of_focused, 1)]
        else:
            lines = self._lines(held, most)
        content = Content("\n").join(lines)
        if self._shown is None or not content.is_same(self._shown):
            self._shown = content
            self.update(content)

    def _lines(self, keys: list[ActiveBinding], most: int) -> list[Content]:
        """The keys in so many lines, `? more` at their end where not all fit."""
        urgent: Collection[str] = getattr(self.screen, "urgent_keys", ())
        pairs = [(self.app.get_key_display(each.binding), each.binding) for each in keys]
        more = [_item(key, each, "more") for key, each in pairs if each.action == "help"]
        items = [_item(key, each, is_urgent=each.key in urgent) for key, each in pairs]
        return _wrap(items, more, self.app.size.width - 2, most)

    @on(Click)
    def _press(self, event: Click) -> None:
        """A click on a key is a press of it."""
        if key := event.style.meta.get("key"):
            self.app.simulate_key(key)


def distinct(screen: Screen[Any]) -> list[ActiveBinding]:
    """The bindings of devdb's own that hold now, the screen's first, each once."""
    by_action: dict[tuple[str, str], ActiveBinding] = {}
    actives = screen.active_bindings.values()
    for active in sorted(actives, key=lambda active: active.node is not screen):
        # Ours all say what they do; those that Textual's own widgets bring do not.
        if active.enabled and active.binding.tooltip:
            by_action.setdefault((active.binding.action, active.binding.description), active)
    return list(by_action.values())


def _item(key: str, binding: Binding, words: str = "", *, is_urgent: bool = False) -> Content:
    pressed = Style.from_meta({"key": binding.key})
    item = Content.assemble((key, KEY), " ", words or binding.description).stylize(pressed)
    return item.stylize("reverse bold") if is_urgent else item


def _wrap(items: list[Content], more: list[Content], width: int, most: int) -> list[Content]:
    """The items in lines, at most so many; `more` is the end of the last one if not all fit."""
    lines = _filled(items, width)
    while len(lines) > most and items:
        items = items[:-1]
        lines = _filled([*items, *more], width)
    return lines


def _filled(items: list[Content], width: int) -> list[Content]:
    lines: list[Content] = []
    for item in items:
        if lines and lines[-1].cell_length + len(GAP) + item.cell_length <= width:
            lines[-1] = Content.assemble(lines[-1], GAP, item)
        else:
            lines.append(item)
    return lines
