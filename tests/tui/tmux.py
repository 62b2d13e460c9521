"""A command in a real terminal: tmux draws its screen, and types at it."""

from __future__ import annotations

import os
import secrets
import shlex
import subprocess
from pathlib import Path

import world

COLUMNS, LINES = 80, 24


class Tmux:
    """A tmux server of its own, with one window in which the command runs under a shell.

    `command` is what speaks to that server; tmux' own words go behind it.
    """

    def __init__(
        self,
        directory: Path,
        argv: list[str],
        *,
        env: dict[str, str],
        size: tuple[int, int] = (COLUMNS, LINES),
    ) -> None:
        # Not in `directory`: a socket's path is at most 107 characters long.
        socket = Path(os.environ["DEVDB_DATA_DIR"]) / f"tmux-{secrets.token_hex(2)}"
        self.command = ["tmux", "-S", str(socket), "-f", os.devnull]
        # A typed Ctrl-C goes to the shell too, which must live to tell the exit code.
        line = f"trap : INT; {shlex.join(argv)}; echo exit-code-$?; exec cat"
        columns, lines = map(str, size)
        subprocess.run(
            [*self.command, "new-session", "-d", "-x", columns, "-y", lines, "sh", "-c", line],
            cwd=directory,
            # What these say of another terminal would be believed.
            env={name: env[name] for name in env.keys() - {"COLUMNS", "LINES"}},
            check=True,
        )

    def press(self, *keys: str) -> None:
        self._run("send-keys", *keys)

    def screen(self) -> str:
        return self._run("capture-pane", "-p")

    def sees(self, *words: str) -> str:
        """The screen, once all of these are on it at once."""

        def seen() -> str:
            screen = self.screen()
            return screen if all(each in screen for each in words) else ""

        try:
            return str(world.eventually(seen, f"{words} on the screen"))
        except AssertionError as error:
            error.add_note(self.screen())
            raise

    def loses(self, words: str) -> None:
        """Return once the words are not on the screen any more."""
        world.eventually(lambda: words not in self.screen(), f"{words!r} gone from the screen")

    def resize(self, columns: int, lines: int) -> None:
        self._run("resize-window", "-x", str(columns), "-y", str(lines))

    def shell(self) -> int:
        """The pid of the shell in the window."""
        return int(self._run("list-panes", "-F", "#{pane_pid}"))

    def buffer(self) -> str:
        """What prefix ] would paste; empty where there is nothing."""
        shown = subprocess.run(
            [*self.command, "show-buffer"], capture_output=True, text=True, check=False
        )
        return shown.stdout

    def kill(self) -> None:
        """End the terminal with all that is in it."""
        subprocess.run([*self.command, "kill-server"], capture_output=True, check=False)

    def _run(self, *args: str) -> str:
        return subprocess.run(
            [*self.command, *args], capture_output=True, text=True, check=True
        ).stdout
