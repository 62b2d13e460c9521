"""What the dashboard asks for in a few words before it does something."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Click
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, Static

from devdb import databases
from devdb.errors import DevdbError
from devdb.masking import visible
from devdb.workspace.databases import Database

Answer = TypeVar("Answer")

LABEL = 10
_LIFE = f"{databases.DEFAULT_TTL // timedelta(hours=1)}h"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a new temporary database is to be."""

    ttl: timedelta
    source: str | None
    """The database that it is a copy of; None: it is empty."""
    seed: Path | None
    name: str | None
    """None: one is invented."""


class Choice(Static, can_focus=True):
    """One of a few texts; the arrows go through them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,space", "turn(1)", show=False),
        Binding("left", "turn(-1)", show=False),
    ]

    def __init__(self, choices: Sequence[str], *, id: str) -> None:
        super().__init__(id=id)
        self._choices = choices
        self.index = 0

    def on_mount(self) -> None:
        """Show the first."""
        self.action_turn(0)

    def action_turn(self, by: int) -> None:
        """Go to the next, or back; from the last one to the first."""
        self.index = (self.index + by) % len(self._choices)
        text = visible(self._choices[self.index])
        arrows = len(self._choices) > 1
        self.update(Content.assemble("◂ " if arrows else "", (text, "b"), " ▸" if arrows else ""))

    @on(Click)
    def _turn(self) -> None:
        self.action_turn(1)


class Form(ModalScreen[Answer | None], Generic[Answer]):
    """Lines of a label and a field; Enter in any of them answers, Escape gives up."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "answer", "Do it", tooltip="Do it", priority=True),
        Binding("escape", "dismiss", "Back", tooltip="Leave it as it is"),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    def __init__(self, title: str, button: str) -> None:
        super().__init__()
        self._title = title
        self._button = button

    def fields(self) -> Sequence[tuple[str, Widget]]:
        """The labels and their fields."""
        raise NotImplementedError

    def answer(self) -> Answer:
        """What the fields say; raises DevdbError."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """The lines, and room for what is wrong with one."""
        with Vertical(classes="dialog form") as box:
            box.border_title = Content.styled(self._title, "b")
            box.border_subtitle = f"enter {self._button}, esc closes"
            for label, field in self.fields():
                with Horizontal():
                    yield Static(f"{label:<{LABEL}}", classes="label")
                    yield field
            yield Static(classes="wrong")

    def action_answer(self) -> None:
        """Close with the answer, or say why there is none."""
        try:
            answer = self.answer()
        except DevdbError as error:
            self.say(f"{error.message} {error.hint}", "$text-error")
        else:
            self.dismiss(answer)

    def say(self, text: str, style: str) -> None:
        """Say something below the fields."""
        self.query_one(".wrong", Static).update(Content.styled(text, style))

    def text(self, name: str) -> str:
        """What stands in the field of that id."""
        return self.query_one(f"#{name}", Input).value.strip()


class NewDatabase(Form[Wanted]):
    """A new temporary database: how long, of what, from which file, under which name."""

    def __init__(self, databases: Sequence[Database], chosen: Database | None) -> None:
        super().__init__("New temporary database", "makes it")
        alive = [each for each in databases if each.is_alive]
        # The one that the cursor is on is one step away.
        self._sources = sorted(alive, key=lambda each: each != chosen)

    def fields(self) -> Sequence[tuple[str, Widget]]:
        """As the options of `devdb temp`."""
        names = ["nothing: it is empty", *(each.name for each in self._sources)]
        return (
            ("lives for", Input(_LIFE, id="ttl", compact=True)),
            ("copy of", Choice(names, id="source")),
            ("seed", Input(id="seed", placeholder="a file: SQL or a dump", compact=True)),
            ("name", Input(id="name", placeholder="one is invented", compact=True)),
        )

    def answer(self) -> Wanted:
        """The database that is wanted."""
        source = self._source()
        seed, name = self.text("seed"), self.text("name")
        return Wanted(
            ttl=databases.parse_ttl(self.text("ttl")),
            source=source.name if source else None,
            seed=Path(seed).expanduser() if seed else None,
            name=name or None,
        )

    def _source(self) -> Database | None:
        index = self.query_one("#source", Choice).index
        return self._sources[index - 1] if index else None


class Ask(Form[str]):
    """One line."""

    def __init__(
        self, title: str, button: str, label: str, value: str, check: Callable[[str], object]
    ) -> None:
        """`check` raises DevdbError for a text that cannot be."""
        super().__init__(title, button)
        self._label = label
        self._value = value
        self._check = check

    def fields(self) -> Sequence[tuple[str, Widget]]:
        """The one."""
        return ((self._label, Input(self._value, id="text", compact=True)),)

    def answer(self) -> str:
        """What was typed."""
        text = self.text("text")
        self._check(text)
        return text
