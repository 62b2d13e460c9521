"""The clipboard, and the truth about whether something reached it."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

_SECONDS = 3
_LIMIT = 74_994
"""Bytes that xterm takes in one OSC 52; what is longer is dropped without a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """Where the text went."""

    tool: str | None
    """The program that took it; None: no program did."""
    sent: bool
    """Whether it was sent to the terminal, which does not say what it does with it."""

    @property
    def words(self) -> str:
        """What may be claimed."""
        if self.tool is not None:
            return f"copied ({self.tool})"
        if self.sent:
            return "sent to the terminal's clipboard (it does not say whether it took it)"
        return "not copied: there is no clipboard here (wl-copy, xclip, xsel, pbcopy, clip.exe)"


def copy(text: str, *, terminal: TextIO | None) -> Copied:
    """Put the text into the clipboard of the machine that the user sits at.

    `terminal`: one that understands OSC 52, if there is any; over SSH it is the only way, for
    the tools would fill the clipboard of the wrong machine.
    """
    remote = bool(os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY"))
    if not remote:
        for argv in _tools():
            if _took(argv, text):
                return Copied(tool=argv[0], sent=False)
    if terminal is None or len(text.encode()) > _LIMIT:
        return Copied(tool=None, sent=False)
    encoded = base64.b64encode(text.encode()).decode()
    try:
        terminal.write(f"\x1b]52;c;{encoded}\x07")
        terminal.flush()
    except OSError:
        return Copied(tool=None, sent=False)
    return Copied(tool=None, sent=True)


def _tools() -> list[Sequence[str]]:
    """The tools that can work here: those for X or Wayland hang or fail without a display."""
    candidates: list[tuple[bool, Sequence[str]]] = [
        (True, ["pbcopy"]),
        (bool(os.environ.get("WAYLAND_DISPLAY")), ["wl-copy"]),
        (bool(os.environ.get("DISPLAY")), ["xclip", "-selection", "clipboard"]),
        (bool(os.environ.get("DISPLAY")), ["xsel", "--clipboard", "--input"]),
        (True, ["clip.exe"]),
    ]
    return [argv for possible, argv in candidates if possible and shutil.which(argv[0])]


def _took(argv: Sequence[str], text: str) -> bool:
    try:
        done = subprocess.run(
            argv,
            input=text.encode(),
            # The tools stay behind to serve the clipboard: with a pipe we would wait for them.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
