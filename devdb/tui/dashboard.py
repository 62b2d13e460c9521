"""The screen of a running instance."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.screen import Screen

from devdb import temporary
from devdb.config import Settings
from devdb.errors import DevdbError
from devdb.model import Spec
from devdb.tui import psql
from devdb.tui.banner import Banner
from devdb.tui.ending import Ending, Unfinished, detached
from devdb.tui.facts import Facts
from devdb.tui.help import HelpScreen
from devdb.tui.keybar import KeyBar, distinct
from devdb.tui.keys import KEYS
from devdb.tui.logview import LogView
from devdb.tui.messages import ClientChosen, Done, Failed, Looked, NotDone, Stopped
from devdb.tui.notice import Notice
from devdb.tui.servers import Servers, uptime, verdict
from devdb.tui.temporaries import Temporaries
from devdb.tui.urlpanel import UrlPanel
from devdb.tui.watch import Watch
from devdb.workspace import down, instances
from devdb.workspace.instances import State
from devdb.workspace.up import Ready

STALE = 3.0
"""Seconds after which a look that has not come back is itself the news."""


@dataclass
class Restart(Message):
    """The user wants the instance stopped and started."""

    spec: Spec
    stopped: bool
    """Whether nothing of it ran: then this dashboard is the one that starts it."""


class Dashboard(Screen[None]):
    """Shows the instance, and does what its keys say."""

    BINDINGS: ClassVar[list[BindingType]] = [*KEYS]

    def __init__(
        self,
        ready: Ready,
        settings: Settings,
        project: Path,
        unfinished: Unfinished,
        *,
        owned: bool,
    ) -> None:
        super().__init__()
        self._found = ready
        self._settings = settings
        self._project = project
        self._spec = ready.instance.spec
        self._unfinished = unfinished
        self._owned = owned
        self._watch = Watch(self._spec, self.post_message)
        self._seen: Looked | None = None
        self._seen_at = time.monotonic()
        self._leaving = False
        self._said: tuple[str | tuple[str, str], ...] = ()

    def compose(self) -> ComposeResult:
        """URLs first: they are what one comes for."""
        yield Banner(self._spec.name)
        with VerticalScroll(id="body"):
            yield UrlPanel(self._spec, self._settings, self._project, self._unfinished)
            yield Servers()
            yield Temporaries(self._spec, self._unfinished)
            yield Facts()
        with Vertical(id="foot"):
            yield Notice()
            yield KeyBar()

    def on_mount(self) -> None:
        """Show what `up` found, then look for oneself."""
        ready = self._found
        self.show(Looked(ready.instance, None), known_ready=True)
        news = (*ready.changes, *ready.notes)
        self.query_one(Facts).show(self._spec, ready.instance.server, ready.reason, news)
        self._watch.start()
        self.set_interval(1, self._tick)

    def on_unmount(self) -> None:
        """Look no more."""
        self._watch.stop()

    @on(Looked)
    def _take_a_look(self, message: Looked) -> None:
        self._watch.taken()
        self.show(message)

    def show(self, seen: Looked, *, known_ready: bool = False) -> None:
        """Show what was seen; `known_ready`: `up` has logged in, though nobody asked since."""
        self._seen, self._seen_at = seen, time.monotonic()
        words, style = ("● ready", "$text-success") if known_ready else verdict(seen)
        self._say_state(words, style, uptime(seen))
        self.query_one(Servers).show(seen)
        self.query_one(Temporaries).show(seen.temporaries)
        self.refresh_bindings()

    def _tick(self) -> None:
        silence = time.monotonic() - self._seen_at
        if silence > STALE and not self._leaving:
            self._say_state(f"◐ no answer for {silence:.0f} s", "$text-warning", "")

    def _say_state(self, words: str, style: str, up: str) -> None:
        if not self._leaving:
            rest = ("  ·  up ", "$foreground-muted"), up
            self._said = ((words, style), *(rest if up else ()))
            self._repeat_state()

    def _repeat_state(self) -> None:
        for screen in self.app.screen_stack:
            for banner in screen.query(Banner):
                banner.say(*self._said)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """`q` is the one or the other; while it stops, nothing else can be done."""
        if action == "stop":
            return self._owned and not self._leaving
        if action == "make":
            return self._seen is not None and self._seen.temporaries is not None
        if action in ("claim", "drop"):
            return self._chosen is not None and self._chosen.state == temporary.Stage.READY
        if action == "urls":
            return self._chosen is not None
        if self._leaving and action in ("restart", "psql", "write_env", "choose_client"):
            return False
        return super().check_action(action, parameters)

    def action_show(self, key: str) -> None:
        """Show one URL whole and copy it."""
        self.query_one(UrlPanel).show(key)

    def action_mask(self) -> None:
        """Hide the passwords, and what was said."""
        self._notice.clear_away()
        self.query_one(UrlPanel).rest()

    def action_choose_client(self) -> None:
        """Whom the URLs are for."""
        self.query_one(UrlPanel).choose()

    @on(ClientChosen)
    def _spell_for(self, message: ClientChosen) -> None:
        self.query_one(Temporaries).client = message.name

    def action_write_env(self) -> None:
        """What `devdb env` writes."""
        self.query_one(UrlPanel).write_env()

    def action_psql(self) -> None:
        """Lend the terminal to psql."""
        try:
            argv = instances.psql_argv(self._spec)
            with self.app.suspend():
                psql.run(argv, self._spec)
        except DevdbError as error:
            self._notice.complain(error)
        except SuspendNotSupported:
            self._notice.complain(
                DevdbError(
                    "This terminal cannot be lent to psql.",
                    f"In another one: devdb psql -n {self._spec.name}",
                )
            )

    async def action_logs(self) -> None:
        """Open the logs, under the same state on the right of the banner."""
        await self.app.push_screen(LogView(self._spec))
        self._repeat_state()

    def action_help(self) -> None:
        """Open the help."""
        self.app.push_screen(HelpScreen(distinct(self)))

    def action_make(self) -> None:
        """A new temporary database."""
        self.query_one(Temporaries).make()

    def action_claim(self) -> None:
        """Keep the chosen one."""
        self.query_one(Temporaries).claim()

    def action_drop(self) -> None:
        """Drop the chosen one."""
        self.query_one(Temporaries).drop()

    def action_urls(self) -> None:
        """Show the chosen one's."""
        self.query_one(Temporaries).show_urls()

    @on(Done)
    def _tell(self, message: Done) -> None:
        self._notice.tell(*message.lines)
        self._watch.hurry()

    @on(NotDone)
    def _complain(self, message: NotDone) -> None:
        self._notice.complain(message.error)
        self._watch.hurry()

    def action_restart(self) -> None:
        """The app changes the screen."""
        self._watch.stop()
        stopped = self._seen is not None and self._seen.instance.state == State.STOPPED
        self.post_message(Restart(self._spec, stopped))

    def action_detach(self) -> None:
        """Leave it running."""
        self.app.exit(detached(self._spec.name))

    def action_stop(self) -> None:
        """Stop it, then leave."""
        self._say_state("◐ stopping", "$text-warning", "")
        self._leaving = True
        self._watch.stop()
        self.refresh_bindings()
        self._stop()

    @work(thread=True, exclusive=True)
    def _stop(self) -> None:
        try:
            with self._unfinished.work():
                down.down(self._spec)
        except DevdbError as error:
            self.post_message(Failed(error))
        else:
            self.post_message(Stopped())

    @on(Stopped)
    def _leave_stopped(self) -> None:
        words = f"'{self._spec.name}' is stopped, its data is kept. devdb up starts it again."
        self.app.exit(Ending(words=words))

    @on(Failed)
    def _leave_with_error(self, message: Failed) -> None:
        self.app.exit(Ending(error=message.error))

    def interrupt(self) -> None:
        """Ctrl-C is `q`."""
        if not self._leaving:
            self.action_stop() if self._owned else self.action_detach()

    def terminate(self) -> None:
        """SIGTERM is `d`."""
        if not self._leaving:
            self.action_detach()

    @property
    def _chosen(self) -> temporary.TemporaryDatabase | None:
        return self.query_one(Temporaries).chosen if self.is_mounted else None

    @property
    def _notice(self) -> Notice:
        return self.query_one(Notice)
