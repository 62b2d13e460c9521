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
from textual.theme import Theme

from devdb.config import Settings
from devdb.errors import DevdbError
from devdb.model import Spec
from devdb.tui import copying, theme
from devdb.tui.commands import KeyCommands
from devdb.tui.dashboard import Dashboard, Restart
from devdb.tui.ending import Ending, Unfinished
from devdb.tui.instancelist import Changed, InstanceList, Open
from devdb.tui.messages import ClientChosen, Moved, NotDone, ShowInstances, Started
from devdb.tui.notice import Notice
from devdb.tui.start_messages import start
from devdb.tui.starting import Start, Starting
from devdb.tui.target import Target, at_home
from devdb.tui.visible import Visible
from devdb.workspace.up import Outcome, as_it_is

_VISIBLE = Visible()
_INTERRUPT = "Quit; while starting: undo what was begun"


class DevdbApp(App[Ending]):
    """Starting, then Dashboard; a restart goes through Starting again.

    The list of all instances lies over one of them, or stands where none was opened yet.
    """

    TITLE = "devdb"
    CSS_PATH = "devdb.tcss"
    COMMANDS = App.COMMANDS | {KeyCommands}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "interrupt", "Quit", show=False, priority=True, tooltip=_INTERRUPT),
        Binding("ctrl+q", "interrupt", "Quit", show=False, priority=True),
    ]
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - as Textual declares it
        (0, "-thin"),
        (60, "-narrow"),
        (110, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012
        (0, "-tiny"),
        (16, "-low"),
        (34, "-high"),
    ]

    def __init__(
        self,
        settings: Settings,
        project: Path,
        name: str | None,
        unfinished: Unfinished,
        consent: Collection[str] = (),
    ) -> None:
        """`name`: the instance to start with; None: the list of all of them."""
        super().__init__()
        self._here = Target(settings, project, name or "", Path.cwd())
        self._target = self._here
        self._is_list_first = name is None
        self._unfinished = unfinished
        self._consent = consent
        self._ours: dict[str, bool] = {}
        """By name, of each instance that was opened or started here: whether `q` stops it."""
        self.bug: BaseException | None = None
        """What ended the app that nobody expected."""
        self._complaint: DevdbError | None = None
        """To be said as soon as there is a place for it."""

    def wear(self) -> None:
        """Put on the theme that was chosen last, or one that suits the terminal."""
        self.theme, self._complaint = theme.starting(
            self.available_themes.keys(), self.console.color_system
        )

    def on_mount(self) -> None:
        """The start is the first thing there is to see, or the list."""
        self.theme_changed_signal.subscribe(self, self._keep_theme)
        if self._is_list_first:
            self.push_screen(self._list(None))
            return
        name, begin = self._target.name, self.first_start()
        self.push_screen(Starting(name, begin, self._unfinished, self._consent))

    def first_start(self) -> Start:
        """What brings up the instance to start with."""
        target = self._target
        return partial(start, target.settings, target.project, target.name)

    @property
    def started_here(self) -> Collection[str]:
        """The instances that were started here and, in the list, not stopped again."""
        return [name for name, is_ours in self._ours.items() if is_ours]

    def _list(self, current: str | None) -> InstanceList:
        return InstanceList(
            self._unfinished,
            self._here.project,
            self._target_of,
            current,
            is_first=current is None,
        )

    @on(Started)
    async def open_dashboard(self, message: Started) -> None:
        """The instance is ready."""
        target = self._target
        is_ours = self._ours.setdefault(target.name, message.ready.outcome != Outcome.ATTACHED)
        dashboard = Dashboard(
            message.ready,
            target.settings,
            target.project,
            self._unfinished,
            directory=target.directory,
            owned=is_ours and not self.is_web,  # a tab that is left stops nothing
        )
        await self.switch_screen(dashboard)
        if self._complaint is not None:
            dashboard.post_message(NotDone(self._complaint))
            self._complaint = None

    def _keep_theme(self, chosen: Theme) -> None:
        try:
            theme.keep(chosen.name)
        except (OSError, DevdbError) as error:
            reason = error.strerror if isinstance(error, OSError) else error.message
            for screen in self.screen_stack:
                for notice in screen.query(Notice):
                    notice.tell(
                        f"The theme is not kept: {reason}",
                        f"{theme.VARIABLE}={chosen.name} does the same",
                        style="$text-warning",
                    )

    @on(ClientChosen)
    def remember(self, message: ClientChosen) -> None:
        """A restart does not forget it."""
        self._set(client=message.name)

    def _set(self, **settings: Any) -> None:
        """Other settings for the instance that is shown."""
        self._target = replace(self._target, settings=replace(self._target.settings, **settings))
        if self._target.name == self._here.name:
            self._here = self._target

    @on(Restart)
    async def restart(self, message: Restart) -> None:
        """Stop and start the instance."""
        target = self._target
        self._ours[target.name] = self._ours.get(target.name, False) or message.stopped
        begin = partial(start, target.settings, target.project, target.name, restart=message.spec)
        await self.switch_screen(Starting(target.name, begin, self._unfinished))

    @on(Moved)
    async def follow(self, message: Moved) -> None:
        """Open it anew as somebody else has made it: theirs, and not as was asked for here."""
        self._ours[message.spec.name] = False
        self._set(port=None, pool_port=None, http_port=None)
        begin = partial(start, *as_it_is(message.spec, self._target.project))
        await self.switch_screen(Starting(message.spec.name, begin, self._unfinished))

    @on(ShowInstances)
    def show_instances(self, message: ShowInstances) -> None:
        """Over the screen that it was asked for in, which stays."""
        self.push_screen(self._list(message.name))

    @on(Open)
    async def open_instance(self, message: Open) -> None:
        """In place of what is below the list; that one is only gone back to."""
        spec = message.spec
        below = [screen for screen in self.screen_stack if isinstance(screen, Starting | Dashboard)]
        is_shown = any(isinstance(screen, Dashboard) for screen in below)
        if is_shown and spec.name == self._target.name:
            self.pop_screen()
            return
        try:
            self._target = self._target_of(spec)
        except DevdbError as error:
            self.screen.post_message(NotDone(error))
            return
        if below:
            await self.pop_screen()
        if not message.runs:  # then it is ours, whosever it was before
            self._ours.pop(spec.name, None)
        target = self._target
        how = (target.settings, target.project, target.name)
        if message.runs:  # one that runs is not restarted for being looked at
            how = as_it_is(spec, target.project)
        await self.switch_screen(Starting(spec.name, partial(start, *how), self._unfinished))

    def _target_of(self, spec: Spec) -> Target:
        """As it was asked for here, else where it is at home; raises UsageError."""
        return self._here if spec.name == self._here.name else at_home(spec, self._here.project)

    @on(Changed)
    def note_change(self, message: Changed) -> None:
        """What the list has started is ours, and what it has stopped is nobody's."""
        if message.is_ours:
            self._ours[message.name] = True
        elif message.is_stopped:
            self._ours.pop(message.name, None)

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
            self.run_worker(self._copy(selected))
            self.screen.clear_selection()
            return
        if (screen := self._main_screen()) is not None:
            screen.leave()

    async def _copy(self, text: str) -> None:
        told = copying.told(await copying.copy(self, text))
        for notice in self.screen.query(Notice):
            notice.tell(told)

    def interrupt(self) -> None:
        """Leave as `q` does, and ask nothing; while starting: cancel."""
        if (screen := self._main_screen()) is not None:
            screen.interrupt()

    def terminate(self) -> None:
        """Leave as `d` does; while starting: cancel."""
        if (screen := self._main_screen()) is not None:
            screen.terminate()

    def _fatal_error(self) -> None:
        """Leave a bug to whoever runs the app.

        Textual's own method, and private: there is no other way to have it not print the
        traceback with all local variables, and there are URLs with passwords among them.
        """
        self.bug = self.bug or sys.exception()
        self.panic()

    def _main_screen(self) -> Starting | Dashboard | InstanceList | None:
        """The upmost of them, below what may lie over it."""
        for screen in reversed(self.screen_stack):
            if isinstance(screen, Starting | Dashboard | InstanceList):
                return screen
        return None
