"""The theme of the dashboard: the one that was chosen last, else what suits the terminal."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from contextlib import suppress

from devdb import paths, replacing
from devdb.errors import DevdbError
from devdb.marker import make_private_directory
from devdb.masking import visible
from devdb.tui import words

VARIABLE = "DEVDB_THEME"
FILE = "theme"
"""In the data directory: its content is the name of a theme of Textual's."""
_LONGEST = 100


def starting(
    known: Collection[str], color_system: str | None, environ: Mapping[str, str] = os.environ
) -> tuple[str, DevdbError | None]:
    """The theme to begin with, one of the known ones, and what is to be said of it, if anything.

    `color_system` as rich calls the terminal's: `standard` has the 16 colours that its user set.
    """
    named = environ.get(VARIABLE, "")
    if named in known:
        return named, None
    complaint = None
    if named:
        shown = words.shortened(visible(named), 40)
        complaint = DevdbError(f"{VARIABLE}: there is no theme '{shown}'.", "^p, Theme lists them.")
    kept = _kept()
    return (kept if kept in known else _suits(color_system, environ)), complaint


def keep(name: str) -> None:
    """Begin with this one from now on. Raises OSError, and DevdbError for who has no home."""
    home = paths.data_home()
    make_private_directory(home)
    with replacing.in_place_of(home / FILE) as (file, _):
        file.write(f"{name}\n".encode())


def _kept() -> str:
    """What the file says, be it a theme or not; empty where there is none to read."""
    with suppress(OSError, DevdbError), (paths.data_home() / FILE).open("rb") as file:
        return file.read(_LONGEST).decode(errors="replace").strip()
    return ""


def _suits(color_system: str | None, environ: Mapping[str, str]) -> str:
    """Dark, but on a light terminal that says so; its own colours where it has only 16."""
    shade = "light" if _is_light(environ.get("COLORFGBG", "")) else "dark"
    return f"{'ansi' if color_system == 'standard' else 'textual'}-{shade}"


def _is_light(colors: str) -> bool:
    """Whether the background is light by `COLORFGBG`, e.g. `0;15`, or with more in the middle.

    rxvt, Konsole and iTerm2 set it. Asking the terminal itself (OSC 11) would say more, but its
    answer, when it comes late, is read as typed keys.
    """
    background = colors.rpartition(";")[2]
    return background.isdecimal() and (int(background) == 7 or 9 <= int(background) <= 15)
