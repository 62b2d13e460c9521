"""What other tools call a command: typed here it means the same, and nothing shows it."""

from __future__ import annotations

from collections.abc import Iterable

HELP = "help"
"""In front of a command it is its `--help`."""

ALIASES = {
    "up": ("start", "open"),
    "down": ("stop",),
    "rm": ("delete", "destroy", "remove"),
    "ls": ("list", "ps"),
    "sql": ("query",),
    "psql": ("connect", "shell"),
    "run": ("exec", "with"),
    "drop": ("rm", "delete", "destroy", "remove"),
}


def meanings(names: Iterable[str]) -> dict[str, str]:
    """Every word that stands for one of these commands, its own name among them, and for which."""
    own = {name: name for name in names}
    return {alias: name for name in own for alias in ALIASES.get(name, ())} | own
