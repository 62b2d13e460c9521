"""The screen of a running instance."""

from __future__ import annotations

import shlex
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

from devdb import urls
from devdb.config import Settings
from devdb.errors import DevdbError
from devdb.model import DATABASE, USER, Endpoint, PartState, Spec
from devdb.monitor.history import History
from devdb.tui import psql
from devdb.tui.banner import Banner
from devdb.tui.ending import Ending, Unfinished, detached, stopped
from devdb.tui.envline import EnvLine
from devdb.tui.facts import Facts
from devdb.tui.help import HelpScreen
from devdb.tui.httpurl import HttpUrl
from devdb.tui.keybar import KeyBar, distinct
from devdb.tui.keys import KEYS
from devdb.tui.logs.kept import Choices
from devdb.tui.logview import LogView
from devdb.tui.messages import (
    Begun,
    ClientChosen,
    Done,
    Failed,
    Looked,
    Moved,
    NotDone,
    Served,
    ShowInstances,
    Stopped,
)
from devdb.tui.notice import Notice
from devdb.tui.panes.activity import Activity
from devdb.tui.panes.databases import Databases
from devdb.tui.panes.middle import Middle
from devdb.tui.panes.pools import Pools
from devdb.tui.servers import Said, Servers, standing
from devdb.tui.stopping import Answer, StopQuestion, connected
from devdb.tui.urlpanel import UrlPanel
from devdb.tui.watch import Watch
from devdb.workspace import down, gateway, instances
from devdb.workspace.envwatch import EnvWatch
from devdb.workspace.instances import State
from devdb.workspace.up import Ready

_NEED_IT = frozenset("show http choose_client write_env psql logs restart detach stop make".split())
"""The actions that need an instance which is there."""

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

    AUTO_FOCUS = "Databases Grid"
    BINDINGS: ClassVar[list[BindingType]] = [*KEYS]

    def __init__(
        self,
        ready: Ready,
        settings: Settings,
        project: Path,
        unfinished: Unfinished,
        *,
        directory: Path,
        owned: bool,
    ) -> None:
        super().__init__()
        self._found = ready
        self._settings = settings
        self._project = project
        self._directory = directory
        self._spec = ready.instance.spec
        self._unfinished = unfinished
        self._owned = owned
        env = EnvWatch(self._spec, directory, settings)
        self._watch = Watch(self._spec, self.post_message, env)
        self._seen: Looked | None = None
        self._seen_at = time.monotonic()
        self._leaving = False
        self._said: tuple[Said, ...] = ()
        self._history = History()
        self._logged = Choices()

    def compose(self) -> ComposeResult:
        """URLs first: they are what one comes for."""
        yield Banner(self._spec.name)
        with VerticalScroll(id="body", can_focus=False):
            yield UrlPanel(
                self._spec, self._settings, self._project, self._directory, self._unfinished
            )
            yield EnvLine()
            yield Servers()
            yield Facts()
            yield Middle(Pools(), Databases(self._spec, self._unfinished), Activity(self._spec))
        with Vertical(id="foot"):
            yield Notice()
            yield KeyBar()

    def on_mount(self) -> None:
        """Show what `up` found, then look for oneself."""
        ready = self._found
        self.show(Looked(ready.instance, None), known_ready=ready.instance.state == State.RUNNING)
        news = (*ready.changes, *ready.notes)
        if ready.failed is not None:
            news = (*news, f"{ready.failed.message} {ready.failed.hint}")
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
        self._say(*standing(seen, known_ready=known_ready))
        for widget in (self.query_one(UrlPanel), self.query_one(EnvLine)):
            widget.display = not self._is_removed
        self.query_one(EnvLine).show(seen.env)
        self.query_one(Servers).show(seen)
        self.query_one(Databases).show(seen.databases)
        if not known_ready:
            self._history.add(seen.look.pools)
            self.query_one(Pools).show(seen.look.pools, self._history.line)
            self.query_one(Activity).show(seen.look.backends)
        self.refresh_bindings()
        if seen.moved is not None and self.is_current and not self._leaving:
            self._watch.stop()
            self.post_message(Moved(seen.moved))

    @property
    def urgent_keys(self) -> frozenset[str]:
        """Those that would mend something: the line of keys shows them so."""
        return frozenset("e" if self.is_mounted and self.query_one(EnvLine).urgent else "")

    def _tick(self) -> None:
        silence = time.monotonic() - self._seen_at
        if silence > STALE and not self._leaving:
            self._say((f"◐ no answer for {silence:.0f} s", "$text-warning"))

    def _say(self, *said: Said) -> None:
        if not self._leaving:
            self._said = said
            self._repeat_state()

    def _repeat_state(self) -> None:
        for screen in self.app.screen_stack:
            for banner in screen.query(Banner):
                if banner.instance == self._spec.name:
                    banner.say(*self._said)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """`q` is the one or the other; while it stops, nothing else can be done."""
        if action == "psql" and self.app.is_web:
            return False  # there is no terminal to lend
        if action in ("anew", "leave"):
            return self._is_removed
        if action in _NEED_IT and self._is_removed:
            return False
        if action == "stop":
            return self._owned and not self._leaving
        if action == "make":
            return self._seen is not None and self._seen.databases is not None
        if self._leaving and action == "instances":
            return False
        if self._leaving and action in _NEED_IT - {"show", "logs"}:
            return False
        return super().check_action(action, parameters)

    def action_show(self, key: str) -> None:
        """Show one URL whole and copy it."""
        self.query_one(UrlPanel).show(key)

    def action_http(self) -> None:
        """Show the HTTP URL and copy it, where its gateway runs; else start that first."""
        instance = self._seen.instance if self._seen is not None else self._found.instance
        url = urls.http(instance.spec)
        if url and instance.gateway and instance.gateway.state == PartState.RUNNING:
            self._show_url(url)
        elif instance.state == State.STOPPED:
            name = instance.spec.name
            self._notice.complain(DevdbError(f"'{name}' is stopped.", "r starts it."))
        else:
            self.post_message(Begun("Starting the gateway"))
            self._serve()

    @work(thread=True, exclusive=True, group="gateway")
    def _serve(self) -> None:
        try:
            with self._unfinished.work():
                spec = gateway.open_for(self._spec.name)
        except DevdbError as error:
            self.post_message(NotDone(error))
        else:
            self.post_message(Served(str(urls.http(spec))))

    @on(Served)
    def _show_http(self, message: Served) -> None:
        self._notice.tell("The gateway runs")
        self._watch.hurry()
        if self.is_current:
            self._show_url(message.url)

    def _show_url(self, url: str) -> None:
        def seen(again: bool | None) -> None:
            if again:
                self.action_http()

        self.app.push_screen(HttpUrl(url), seen)

    def action_mask(self) -> None:
        """Hide the passwords, and what was said."""
        self._notice.clear_away()
        self.query_one(UrlPanel).rest()

    def action_choose_client(self) -> None:
        """Whom the URLs are for."""
        self.query_one(UrlPanel).choose()

    @on(ClientChosen)
    def _spell_for(self, message: ClientChosen) -> None:
        self.query_one(Databases).client = message.name

    def action_write_env(self) -> None:
        """What `devdb env` writes."""
        self.query_one(UrlPanel).write_env()

    def action_psql(self) -> None:
        """Lend the terminal to psql, in the database that is chosen among them, else in main."""
        pane = self.query_one(Databases)
        chosen = pane.chosen if pane.has_focus_within else None
        if chosen is not None and not chosen.is_alive:
            how = "It is being made, has expired, or is being dropped."
            self._notice.complain(DevdbError(f"'{chosen.name}' lets nobody in.", how))
            return
        endpoint = chosen.direct if chosen else self._spec.direct
        try:
            argv = psql.into(instances.psql_argv(self._spec), endpoint)
            with self.app.suspend():
                psql.run(argv, endpoint.password)
        except DevdbError as error:
            self._notice.complain(error)
        except SuspendNotSupported:
            self._notice.complain(
                DevdbError(
                    "This terminal cannot be lent to psql.",
                    f"In another one: {_psql_command(self._spec, endpoint)}",
                )
            )

    async def action_logs(self) -> None:
        """Open the logs, under the same state on the right of the banner."""
        await self.app.push_screen(LogView(self._spec, self._logged), self._keep)
        self._repeat_state()

    def _keep(self, choices: Choices | None) -> None:
        self._logged = choices or self._logged

    def action_instances(self) -> None:
        """The app opens the list of all of them."""
        self.post_message(ShowInstances(self._spec.name))

    def action_help(self) -> None:
        """Open the help."""
        self.app.push_screen(HelpScreen(distinct(self), self.query_one(Facts).rows))

    def action_make(self) -> None:
        """A new temporary database."""
        self.query_one(Databases).make()

    @on(Begun)
    def _say_that_it_takes_a_while(self, message: Begun) -> None:
        self._notice.tell(f"{message.words} …", style="$text-warning")

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
        self.post_message(Restart(self._spec, stopped or self._is_removed))

    def action_anew(self) -> None:
        """Make what was removed."""
        self.action_restart()

    def action_leave(self) -> None:
        """Leave what was removed."""
        self.app.exit(
            Ending(
                words=f"'{self._spec.name}' was removed. devdb up makes it anew, empty.",
                told=(self._spec.name,),
            )
        )

    def action_detach(self) -> None:
        """Leave it running."""
        self.app.exit(detached(self._spec.name))

    def action_stop(self) -> None:
        """Stop it, then leave; asks first where others are connected."""
        seen = self._seen
        clients = connected(seen.health, seen.look) if seen is not None else ""
        if clients:
            self.app.push_screen(StopQuestion(clients), self._take_answer)
        else:
            self._stop_now()

    def _take_answer(self, answer: Answer | None) -> None:
        if answer is Answer.STOP:
            self._stop_now()
        elif answer is Answer.DETACH:
            self.action_detach()

    def _stop_now(self) -> None:
        self._say(("◐ stopping", "$text-warning"))
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
        self.app.exit(stopped(self._spec.name))

    @on(Failed)
    def _leave_with_error(self, message: Failed) -> None:
        self.app.exit(Ending(error=message.error))

    def leave(self) -> None:
        """Ctrl-C is `q`; a second one is a yes to what that asks."""
        if isinstance(self.app.screen, StopQuestion):
            self.app.screen.action_answer(Answer.STOP.value)
        elif self._owned and not (self._leaving or self._is_removed):
            self.action_stop()
        else:
            self.interrupt()

    def interrupt(self) -> None:
        """SIGINT is `q` too, but who sends it sees no question."""
        if not self._leaving:
            is_ours = self._owned and not self._is_removed
            self._stop_now() if is_ours else self.terminate()

    def terminate(self) -> None:
        """SIGTERM is `d`."""
        if not self._leaving:
            self.action_leave() if self._is_removed else self.action_detach()

    @property
    def _is_removed(self) -> bool:
        """Whether it was seen that somebody else deleted it."""
        return self._seen is not None and not self._seen.instance.is_marked

    @property
    def _notice(self) -> Notice:
        return self.query_one(Notice)


def _psql_command(spec: Spec, endpoint: Endpoint) -> str:
    """What does the same in another terminal; no command says a role's password."""
    if endpoint.user != USER:
        return "psql and its URL, which Enter copies."
    into = f" -- -d {shlex.quote(endpoint.database)}" if endpoint.database != DATABASE else ""
    return f"devdb psql -n {spec.name}{into}"
