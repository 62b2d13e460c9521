"""The clipboard: whichever tool is here, tmux's buffer, or the terminal's own by OSC 52."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

SECONDS = 2
"""A clipboard tool that takes longer waits for a display that does not answer."""


class Way(Enum):
    """Which way a text went."""

    TOOL = "tool"
    """To the clipboard of the desktop that one sits at."""
    TMUX = "tmux"
    TERMINAL = "terminal"
    """To the terminal, by OSC 52; no terminal answers, and some drop it."""
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What became of a text that was to be copied."""

    way: Way
    words: str
    """What can truthfully be said of it."""

    @property
    def is_confirmed(self) -> bool:
        """Whether somebody said that they have it."""
        return self.way in (Way.TOOL, Way.TMUX)


def copy(text: str) -> Copied:
    """Copy the text, by the first of what is here that confirms it.

    Where nothing does, the way is TERMINAL: whoever has the terminal is to send it there, and
    then the words are true. The text never stands in an argument.
    """
    return _copy(text, os.environ)


def not_copied() -> Copied:
    """What came of it where there is no terminal to send it to either."""
    tools = "wl-copy, xclip, xsel, pbcopy, clip.exe"
    return Copied(way=Way.NOWHERE, words=f"not copied: no clipboard here ({tools})")


def _copy(text: str, environment: Mapping[str, str]) -> Copied:
    for argv in _tools(environment):
        if _feed(argv, text):
            return Copied(way=Way.TOOL, words=f"copied ({argv[0]})")
    if "TMUX" in environment:
        # It swallows OSC 52 as it comes out of the box (`set-clipboard external`), but has its own
        # word for it from 3.2 on. Before, `-w` is an error.
        if _feed(["tmux", "load-buffer", "-w", "-"], text):
            return Copied(way=Way.TMUX, words="in tmux's buffer and sent to the terminal")
        if _feed(["tmux", "load-buffer", "-"], text):
            return Copied(way=Way.TMUX, words="in tmux's buffer: prefix ] pastes it")
    by = "by OSC 52, which GNU screen may keep" if "STY" in environment else "by OSC 52"
    return Copied(way=Way.TERMINAL, words=f"sent {by}: select it here if nothing arrives")


def _tools(environment: Mapping[str, str]) -> list[list[str]]:
    # Over SSH they would fill the clipboard of the far machine, which nobody sits at.
    if "SSH_CONNECTION" in environment or "SSH_TTY" in environment:
        return []
    if sys.platform == "darwin":
        return [["pbcopy"]]
    tools = []
    if "WAYLAND_DISPLAY" in environment:
        tools += [["wl-copy"]]
    if "DISPLAY" in environment:
        tools += [["xclip", "-selection", "clipboard"], ["xsel", "--clipboard", "--input"]]
    return [*tools, ["clip.exe"]]


def _feed(argv: list[str], text: str) -> bool:
    if shutil.which(argv[0]) is None:
        return False
    # xclip stays behind to serve the text: with a pipe for its output we would wait for it.
    try:
        done = subprocess.run(
            argv,
            input=text.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
