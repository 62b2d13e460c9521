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
    """A tmux server of its own, with one window in which the command runs under a shell."""

    def __init__(self, directory: Path, argv: list[str], *, env: dict[str, str]) -> None:
        # Not in `directory`: a socket's path is at most 107 characters long.
        socket = Path(os.environ["DEVDB_DATA_DIR"]) / f"tmux-{secrets.token_hex(2)}"
        self._command = ["tmux", "-S", str(socket), "-f", os.devnull]
        # A typed Ctrl-C goes to the shell too, which must live to tell the exit code.
        line = f"trap : INT; {shlex.join(argv)}; echo exit-code-$?; exec cat"
        size = ["-x", str(COLUMNS), "-y", str(LINES)]
        subprocess.run(
            [*self._command, "new-session", "-d", *size, "sh", "-c", line],
            cwd=directory,
            env=env,
            check=True,
        )

    def press(self, *keys: str) -> None:
        self._run("send-keys", *keys)

    def screen(self) -> str:
        return self._run("capture-pane", "-p")

    def sees(self, words: str) -> str:
        """The screen, once the words are on it."""
        return str(
            world.eventually(
                lambda: screen if words in (screen := self.screen()) else "",
                f"{words!r} on the screen",
            )
        )

    def shell(self) -> int:
        """The pid of the shell in the window."""
        return int(self._run("list-panes", "-F", "#{pane_pid}"))

    def kill(self) -> None:
        """End the terminal with all that is in it."""
        subprocess.run([*self._command, "kill-server"], capture_output=True, check=False)

    def _run(self, *args: str) -> str:
        return subprocess.run(
            [*self._command, *args], capture_output=True, text=True, check=True
        ).stdout
