"""The dashboard in the process of a tab: it attaches, and never starts or stops by itself."""

from __future__ import annotations

import signal
import threading
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

from textual.driver import Driver
from textual.drivers.web_driver import WebDriver
from textual.message import Message

from devdb import marker, tui
from devdb.config import Settings
from devdb.errors import DevdbError, NotFound
from devdb.tui import app
from devdb.tui.app import DevdbApp
from devdb.tui.ending import Unfinished
from devdb.tui.messages import Failed, Started
from devdb.tui.starting import Start
from devdb.workspace.instances import find
from devdb.workspace.up import Outcome, Ready


def show(settings: Settings, project: Path, name: str) -> int:
    """See `devdb.tui.web.show`."""
    unfinished = Unfinished()
    return tui.shown(TabApp(settings, project, name, unfinished), unfinished)


class TabDriver(WebDriver):
    """Textual's, for which the end of its input is a hang-up: the tab, or the server, is gone."""

    def run_input_thread(self) -> None:
        """Take what the server sends until there is no more."""
        super().run_input_thread()
        main = threading.main_thread().ident
        if not self.exit_event.is_set() and main is not None:
            # To the thread that may be at writing what nobody reads any more.
            signal.pthread_kill(main, signal.SIGHUP)


class TabApp(DevdbApp):
    """Begins with the instance as it is, whether it runs or not."""

    CSS_PATH = str(Path(app.__file__).with_name("devdb.tcss"))

    def get_driver_class(self) -> type[Driver]:
        """Whatever the environment says."""
        return TabDriver

    def first_start(self) -> Start:
        """None: a look."""
        return partial(_look_in, self._target.name)


def _look_in(
    name: str, _cancelled: threading.Event, _consent: Collection[str]
) -> Iterator[Message]:
    try:
        yield Started(_as_it_is(name))
    except DevdbError as error:
        yield Failed(error)


def _as_it_is(name: str) -> Ready:
    """The instance, without a start; raises NotFound where it was removed."""
    spec = marker.load(name)
    if spec is None:
        raise NotFound(f"'{name}' was removed.", "End devdb up --web, and start it again.")
    reason = f"{spec.engine}: the instance was made with it"
    return Ready(instance=find(spec), outcome=Outcome.ATTACHED, reason=reason)
