"""Which way a text goes that is to be copied, by what is there, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from devdb import clipboard
from devdb.clipboard import Way
from devdb.tui import copying

SECRET = "postgresql://devdb:secret@127.0.0.1:15432/main"
TAKES = 'echo "$*" >> {log}; cat >> {log}'
REFUSES = 'echo "$*" >> {log}; exit 1'
OLD_TMUX = 'echo "$*" >> {log}; case "$*" in *-w*) exit 1; esac; cat >> {log}'
"""One below 3.2: its load-buffer has no `-w`."""

VARIABLES = ("TMUX", "STY", "DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION", "SSH_TTY")


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the tools were told; nothing of this machine's terminal is known."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    (tmp_path / "log").touch()
    tool(tmp_path / "log", "clip.exe", REFUSES)
    return tmp_path / "log"


def tool(log: Path, name: str, script: str) -> None:
    path = log.parent / "bin" / name
    path.write_text(f"#!/bin/sh\n{script.format(log=log)}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("variables", "tools", "way", "words"),
    [
        ({"DISPLAY": ":7", "TMUX": "x"}, {"xclip": TAKES, "tmux": TAKES}, "TOOL", "copied (xclip)"),
        (
            {"DISPLAY": ":7", "TMUX": "x"},
            {"xclip": REFUSES, "xsel": REFUSES, "tmux": TAKES},
            "TMUX",
            "in tmux's buffer and sent to the terminal",
        ),
        (
            {"DISPLAY": ":7", "TMUX": "x", "SSH_TTY": "/dev/pts/1"},
            {"xclip": TAKES, "tmux": TAKES},
            "TMUX",
            "in tmux's buffer and sent to the terminal",
        ),
        ({"TMUX": "x"}, {"tmux": OLD_TMUX}, "TMUX", "in tmux's buffer: prefix ] pastes it"),
        (
            {"TMUX": "x"},
            {"tmux": REFUSES},
            "TERMINAL",
            "sent by OSC 52: select it here if nothing arrives",
        ),
        ({}, {"tmux": TAKES}, "TERMINAL", "sent by OSC 52: select it here if nothing arrives"),
        (
            {"STY": "1.pts"},
            {},
            "TERMINAL",
            "sent by OSC 52, which GNU screen may keep: select it here if nothing arrives",
        ),
    ],
)
def test_the_first_that_confirms_it_has_it(
    log: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    tools: dict[str, str],
    way: str,
    words: str,
) -> None:
    for name, script in tools.items():
        tool(log, name, script)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    copied = clipboard.copy(SECRET)
    assert (copied.way, copied.words) == (Way[way], words)
    told = log.read_text().splitlines()
    assert not any(SECRET in line for line in told if line != SECRET), "never in an argument"
    assert told.count(SECRET) == (way != "TERMINAL")


def test_what_nobody_confirmed_is_not_green() -> None:
    for way in Way:
        told = copying.told(clipboard.Copied(way=way, words="so"))
        (style,) = {str(span.style) for span in told.spans}
        is_green = way in (Way.TOOL, Way.TMUX)
        assert (told.plain, "success" in style) == ("✓ so" if is_green else "→ so", is_green)
