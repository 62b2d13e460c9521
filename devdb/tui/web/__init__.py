"""The dashboard in a browser: what `devdb up --web` serves on 127.0.0.1, and a tab of it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from devdb.config import Settings
from devdb.errors import DevdbError, ExitCode
from devdb.model import Spec
from devdb.tui import ending
from devdb.workspace import down

Say = Callable[[str], None]

_PACKAGES = {"aiohttp": "aiohttp", "textual_serve": "textual-serve"}
"""What is imported, and what it is called where it is installed from."""


_OF_A_TERMINAL = ("TMUX", "TMUX_PANE", "STY", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "COLORFGBG")
"""Variables that speak of the terminal of the command; a tab is in none."""


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """That of a tab's process, made of that of the command."""
    kept = {name: value for name, value in given.items() if name not in _OF_A_TERMINAL}
    return {**kept, "TERM": "xterm-256color", "TEXTUAL_COLOR_SYSTEM": "truecolor"}


def require() -> None:
    """Raises DevdbError where what `devdb[web]` brings is not installed."""
    absent = [package for module, package in _PACKAGES.items() if not find_spec(module)]
    if absent:
        raise DevdbError(
            f"--web needs what is not installed: {', '.join(absent)}.",
            "As devdb was installed: pip install 'devdb[web]', uv tool install 'devdb[web]' or "
            "pipx install --force 'devdb[web]'.",
        )


def serve(
    spec: Spec,
    *,
    owned: bool,
    tab: Sequence[str],
    environment: Mapping[str, str],
    publish: Say,
    narrate: Say,
) -> int:
    """Serve the running instance's dashboard until a signal comes; returns the exit code.

    Each tab is a process: the command `tab` in that environment (see `show`). `publish` is given
    the URL. Ctrl-C and SIGTERM stop the instance if it is `owned`, as `q` does on a terminal; a
    hang-up leaves it running. Raises DevdbError.
    """
    from devdb.tui.web.server import serve

    number = asyncio.run(
        serve(spec.name, tab, environment, publish=publish, narrate=narrate, owned=owned)
    )
    if number == signal.SIGHUP:
        return 128 + number
    if owned:
        narrate(f"stopping '{spec.name}'")
        down.down(spec)
        narrate(ending.stopped(spec.name).words)
    else:
        narrate(ending.detached(spec.name).words)
    return ExitCode.OK


def show(settings: Settings, project: Path, name: str) -> int:
    """Be the process of one tab: the dashboard, drawn for the server at the other end of the pipes.

    As `devdb.tui.run`, but it only attaches to the instance, and has no words when it ends well.
    """
    from devdb.tui.web.tabapp import show

    return show(settings, project, name)
