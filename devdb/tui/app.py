"""The application: which screen is shown, and what holds for all of them."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.screen import Screen

from devdb.config import Settings
from devdb.model import Spec
from devdb.tui.commands import KeyCommands
from devdb.tui.dashboard import Dashboard, Restart
from devdb.tui.ending import Ending, Unfinished
from devdb.tui.messages import ClientChosen, Started
from devdb.tui.start_messages import start
from devdb.tui.starting import Starting
from devdb.tui.visible import Visible
from devdb.workspace.up import Outcome

_VISIBLE = Visible()
_INTERRUPT = "Quit; while starting: undo what was begun"


class DevdbApp(App[Ending]):
    """Starting, then Dashboard; a restart goes through Starting again."""

    TITLE = "devdb"
    CSS_PATH = "devdb.tcss"
    COMMANDS = App.COMMANDS | {KeyCommands}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "interrupt", "Quit", show=False, priority=True, tooltip=_INTERRUPT),
        Binding("ctrl+q", "interrupt", "Quit", show=False, priority=True),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-low"), (20, "-high")]  # noqa: RUF012 - as Textual declares it

    def __init__(
        self,
        settings: Settings,
        project: Path,
        name: str,
        unfinished: Unfinished,
        consent: Collection[str] = (),
    ) -> None:
        super().__init__()
        self._settings = settings
        self._project = project
        self._instance = name
        self._unfinished = unfinished
        self._consent = consent
        self._owned: bool | None = None
        self.bug: BaseException | None = None
        """What ended the app that nobody expected."""

    def on_mount(self) -> None:
        """The start is the first thing there is to see."""
        self.push_screen(self._starting(None))

    def _starting(self, restart: Spec | None) -> Starting:
        begin = partial(start, self._settings, self._project, self._instance, restart=restart)
        # What was said yes to was this start, and none that comes later.
        consent = self._consent if restart is None else ()
        return Starting(self._instance, begin, self._unfinished, consent)

    @on(Started)
    async def open_dashboard(self, message: Started) -> None:
        """The instance is ready."""
        if self._owned is None:
            self._owned = message.ready.outcome != Outcome.ATTACHED
        dashboard = Dashboard(
            message.ready, self._settings, self._project, self._unfinished, owned=self._owned
        )
        await self.switch_screen(dashboard)

    @on(ClientChosen)
    def remember(self, message: ClientChosen) -> None:
        """A restart does not forget it."""
        self._settings = replace(self._settings, client=message.name)

    @on(Restart)
    async def restart(self, message: Restart) -> None:
        """Stop and start the instance."""
        self._owned = self._owned or message.stopped
        await self.switch_screen(self._starting(message.spec))

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's own, and the one that lets nothing through that the terminal would obey."""
        return [*super().get_line_filters(), _VISIBLE]

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Of Textual's own commands the theme only: leaving has a meaning here."""
        del screen
        yield SystemCommand("Theme", "Change the colours", self.action_change_theme)

    def action_interrupt(self) -> None:
        """Ctrl-C, but for text that was selected with the mouse: then it is to copy that."""
        if selected := self.screen.get_selected_text():
            self.copy_to_clipboard(selected)
            self.screen.clear_selection()
            return
        self.interrupt()

    def interrupt(self) -> None:
        """Leave as `q` does; while starting: cancel."""
        for screen in self._main_screens():
            screen.interrupt()

    def terminate(self) -> None:
        """Leave as `d` does; while starting: cancel."""
        for screen in self._main_screens():
            screen.terminate()

    def _fatal_error(self) -> None:
        """Leave a bug to whoever runs the app.

        Textual's own method, and private: there is no other way to have it not print the
        traceback with all local variables, and there are URLs with passwords among them.
        """
        self.bug = self.bug or sys.exception()
        self.panic()

    def _main_screens(self) -> list[Starting | Dashboard]:
        """The one of them that is open, below whatever lies over it."""
        return [screen for screen in self.screen_stack if isinstance(screen, Starting | Dashboard)]
