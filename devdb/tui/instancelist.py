"""The key `i`, and `devdb ui`: all instances of the user; opens, starts and stops them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static

from devdb.errors import DevdbError
from devdb.masking import visible
from devdb.model import Spec
from devdb.tui import words
from devdb.tui.banner import Banner
from devdb.tui.ending import Ending, Unfinished
from devdb.tui.grid import Column, Grid, Row
from devdb.tui.help import HelpScreen
from devdb.tui.keybar import KeyBar, distinct
from devdb.tui.messages import Done, NotDone
from devdb.tui.notice import Notice
from devdb.tui.stopping import Answer, StopQuestion, connected
from devdb.tui.target import Target
from devdb.wording import count, size
from devdb.workspace import down, instances, up
from devdb.workspace.instances import Instance, State
from devdb.workspace.overview import Overview, Seen
from devdb.workspace.up import Outcome, Ready

INTERVAL = 2.0

_STATES = {
    State.RUNNING: ("● running", "$text-success"),
    State.DEGRADED: ("◐ not all runs", "$text-error"),
    State.STOPPED: ("○ stopped", "$text-muted"),
    State.UNKNOWN: ("? no answer", "$text-warning"),
    State.UNMARKED: ("! no marker", "$text-warning"),
}
STARTING, STOPPING = "starting", "stopping"


@dataclass
class Open(Message):
    """An instance is to be shown; started first where it does not run."""

    spec: Spec
    runs: bool


@dataclass
class Changed(Message):
    """The list has started or stopped an instance."""

    name: str
    is_ours: bool = False
    """Whether it runs because of that."""
    is_stopped: bool = False


@dataclass
class _Listed(Message):
    seen: Seen


@dataclass
class _Counted(Message):
    """Who is connected to an instance that is to be stopped."""

    key: str
    spec: Spec
    clients: str


@dataclass
class _Over(Message):
    """What the list was doing with an instance has come to its end."""

    key: str


class InstanceList(Screen[None]):
    """Looks at all of them every two seconds, in a thread of its own until it is left."""

    AUTO_FOCUS = "Grid"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", tooltip="Open the chosen one's dashboard; starts it"),
        Binding("u", "start", "Start", tooltip="Start the chosen one, and stay here"),
        Binding("x", "stop", "Stop", tooltip="Stop the chosen one; asks if clients are connected"),
        Binding("escape,i", "back", "Back", key_display="esc", tooltip="To the dashboard"),
        Binding("q", "leave", "Quit (leaves all running)", tooltip="Leave, and stop nothing"),
        Binding("question_mark", "help", "Help", tooltip="Show this"),
    ]

    def __init__(
        self,
        unfinished: Unfinished,
        project: Path,
        target_of: Callable[[Spec], Target],
        current: str | None,
        *,
        is_first: bool,
    ) -> None:
        """`current` is the one to begin at, else that of `project`; `target_of` says what one is
        started with, and raises UsageError; `is_first`: no dashboard is below the list."""
        super().__init__()
        self._unfinished = unfinished
        self._project = project
        self._target_of = target_of
        self._current = current
        self._is_first = is_first
        self._overview = Overview()
        self._instances: dict[str, Instance] = {}
        self._doing: dict[str, str] = {}
        self._seen: Seen | None = None
        self._left = threading.Event()
        self._wake = threading.Event()

    def compose(self) -> ComposeResult:
        """The table, and below it what is to be said of the chosen one."""
        yield Banner(None)
        columns = (
            Column("name", 16, most=32),
            Column("state", 14, most=20),
            Column("direct", 6, right=True),
            Column("pooled", 6, right=True),
            Column("postgres", 8),
            Column("size", 8, right=True),
            Column("engine", 7),
            Column("project", 12, flexible=True),
        )
        yield Grid(columns, empty="Looking for your instances")
        yield Static(id="about")
        with Vertical(id="foot"):
            yield Notice()
            yield KeyBar()

    def on_mount(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._keep_looking, name="devdb-instances", daemon=True).start()

    def on_unmount(self) -> None:
        """Look no more; a look that is under way is not waited for."""
        self._left.set()
        self._wake.set()

    def _keep_looking(self) -> None:
        while not self._left.is_set():
            self._wake.clear()
            seen = self._overview.look()
            self._post(seen)
            if not self._left.is_set() and self._overview.weigh(seen):
                continue
            self._wake.wait(INTERVAL)

    def _post(self, seen: Seen) -> None:
        if not self._left.is_set():
            self.post_message(_Listed(seen))

    @on(_Listed)
    def _take(self, message: _Listed) -> None:
        self._seen = message.seen
        is_new = not self._instances
        self._instances = {_key(each): each for each in message.seen.instances}
        self._draw()
        if is_new:
            self._begin_at_the_current()

    def _begin_at_the_current(self) -> None:
        mine = (key for key, one in self._instances.items() if one.spec.project == self._project)
        key = self._current or next(mine, None)
        if key is not None:
            self.query_one(Grid).go_to(key)

    def _draw(self) -> None:
        grid = self.query_one(Grid)
        none = "There is no instance; devdb up makes one."
        rows = [self._row(key, each) for key, each in self._instances.items()]
        grid.show(rows, empty=none if self._seen is not None else None)
        running = sum(each.state == State.RUNNING for each in self._instances.values())
        there_are = count(len(self._instances), "instance")
        self.query_one(Banner).say((f"{there_are}, {running} running", "$foreground-muted"))
        self._tell_about_the_chosen()
        self.refresh_bindings()

    def _row(self, key: str, instance: Instance) -> Row:
        spec, server = instance.spec, instance.server
        postgres = server.part("postgres") if server is not None else None
        version = (postgres and postgres.version) or (str(spec.major) if spec.major else "")
        bytes_ = self._seen.sizes.get(spec.name) if self._seen is not None else None
        doing = self._doing.get(key)
        state = (f"◐ {doing}", "$text-warning") if doing else _STATES[instance.state]
        cells = (
            spec.name,
            Content.styled(*state),
            str(spec.port or ""),
            str(spec.pool_port or ""),
            version,
            size(bytes_) if bytes_ is not None else "",
            spec.engine,
            _project(spec),
        )
        return Row(key, cells)

    @on(Grid.Moved)
    def _tell_about_the_chosen(self) -> None:
        about = self.query_one("#about", Static)
        chosen = self._chosen
        if chosen is not None and chosen.trouble is not None:
            said = Content.assemble((visible(chosen.trouble.message), "$text-warning"))
            about.update(Content.assemble(said, "\n", visible(chosen.trouble.hint)))
        else:
            silent = self._seen.silent if self._seen is not None else ()
            lines = [f"Not asked for others: {visible(error.message)}" for error in silent]
            about.update(Content.styled("\n".join(lines), "$text-muted"))
        about.display = bool(str(about.content))
        self.refresh_bindings()

    @property
    def _chosen(self) -> Instance | None:
        if not self.is_mounted:
            return None
        return self._instances.get(self.query_one(Grid).chosen or "")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What works for the chosen one."""
        if action == "back":
            return not self._is_first
        if action in ("open", "start", "stop"):
            chosen = self._chosen
            if chosen is None or _key(chosen) in self._doing:
                return False
            state = chosen.state
            if action == "open":
                return state in (State.RUNNING, State.STOPPED, State.DEGRADED)
            if action == "start":
                return state in (State.STOPPED, State.DEGRADED)
            is_up = chosen.server is not None and not chosen.server.stopped
            return is_up and state != State.UNKNOWN
        return super().check_action(action, parameters)

    @on(Grid.Chosen)
    def action_open(self) -> None:
        """The app changes the screen."""
        chosen = self._chosen
        if chosen is not None and self.check_action("open", ()):
            self.post_message(Open(chosen.spec, chosen.state != State.STOPPED))

    def action_start(self) -> None:
        """Start it beside the list."""
        if (chosen := self._chosen) is not None:
            self._do(_key(chosen), STARTING)
            self._start(_key(chosen), chosen.spec)

    def action_stop(self) -> None:
        """Stop it, once it is known who is connected."""
        if (chosen := self._chosen) is not None:
            self._do(_key(chosen), STOPPING)
            if chosen.is_marked:
                self._count_clients(_key(chosen), chosen.spec)
            else:
                self._stop(_key(chosen), chosen.spec)

    @on(_Counted)
    def _ask(self, message: _Counted) -> None:
        def take(answer: Answer | None) -> None:
            if answer is Answer.STOP:
                self._stop(message.key, message.spec)
            else:
                self._end(_Over(message.key))

        if message.clients:
            self.app.push_screen(StopQuestion(message.clients, detaches=False), take)
        else:
            self._stop(message.key, message.spec)

    @on(_Over)
    def _end(self, message: _Over) -> None:
        self._doing.pop(message.key, None)
        self._draw()
        self._wake.set()

    @on(Done)
    def _tell(self, message: Done) -> None:
        self.query_one(Notice).tell(*message.lines)

    @on(NotDone)
    def complain(self, message: NotDone) -> None:
        """Show an error's two lines."""
        self.query_one(Notice).complain(message.error)

    def action_back(self) -> None:
        """To the dashboard below."""
        self.app.pop_screen()

    def action_help(self) -> None:
        """Open the help."""
        self.app.push_screen(HelpScreen(distinct(self)))

    def action_leave(self) -> None:
        """Leave all of them as they are."""
        names = [
            each.spec.name
            for key, each in self._instances.items()
            if each.state in (State.RUNNING, State.DEGRADED) or self._doing.get(key) == STARTING
        ]
        self.app.exit(Ending(words=_run_on(names), told=names))

    def leave(self) -> None:
        """Ctrl-C is `q`."""
        self.action_leave()

    def interrupt(self) -> None:
        """So is SIGINT."""
        self.action_leave()

    def terminate(self) -> None:
        """And SIGTERM."""
        self.action_leave()

    def _do(self, key: str, what: str) -> None:
        self._doing[key] = what
        self._draw()

    @work(thread=True)
    def _start(self, key: str, spec: Spec) -> None:
        try:
            with self._unfinished.work():
                target = self._target_of(spec)
                for item in up.up(target.settings, target.project, target.name):
                    if isinstance(item, Ready):
                        is_ours = item.outcome != Outcome.ATTACHED
                        self.post_message(Changed(spec.name, is_ours=is_ours))
                        self.post_message(Done((f"'{spec.name}' runs", *item.changes, *item.notes)))
        except DevdbError as error:
            self.post_message(NotDone(error))
        self.post_message(_Over(key))

    @work(thread=True)
    def _count_clients(self, key: str, spec: Spec) -> None:
        try:
            self.post_message(_Counted(key, spec, connected(instances.health(spec))))
        except DevdbError as error:
            self.post_message(NotDone(error))
            self.post_message(_Over(key))

    @work(thread=True)
    def _stop(self, key: str, spec: Spec) -> None:
        try:
            with self._unfinished.work():
                down.down(spec)
            self.post_message(Changed(spec.name, is_stopped=True))
            self.post_message(Done((f"'{spec.name}' is stopped", "Its data is kept.")))
        except DevdbError as error:
            self.post_message(NotDone(error))
        self.post_message(_Over(key))


def _key(instance: Instance) -> str:
    """One without a marker may bear the name of another in another engine."""
    spec = instance.spec
    return spec.name if instance.is_marked else f"{spec.name} {spec.engine}"


def _project(spec: Spec) -> str:
    if spec.project is None:
        return ""
    gone = "" if spec.project.is_dir() else " (gone)"
    return f"{words.path(spec.project)}{gone}"


def _run_on(names: Sequence[str]) -> str:
    if not names:
        return ""
    if len(names) == 1:
        return f"'{names[0]}' runs on. devdb down {names[0]} stops it."
    quoted = ", ".join(f"'{name}'" for name in names)
    return f"{quoted} run on. devdb down NAME stops one, devdb down --all all of them."
