"""Completion: what a shell is told so that it asks devdb, printed or put where it looks."""

from __future__ import annotations

import importlib
import os
import shlex
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Any

import typer

from devdb import replacing
from devdb.cli.grammar import DETECTED
from devdb.config.table import one_of
from devdb.errors import UsageError

SHELLS = ("bash", "zsh", "fish", "powershell")
VARIABLE = "_DEVDB_COMPLETE"
"""With it in the environment a shell asks what may come next."""


def option(flag: str, verb: str) -> Any:
    """The option that prints or installs completion, for the shell named or that in use."""
    return typer.Option(
        flag,
        metavar="[SHELL]",
        help=f"{verb} completion for {', '.join(SHELLS[:-1])} or {SHELLS[-1]}.",
        autocompletion=lambda: list(SHELLS),
        show_default=False,
    )


def prepare() -> None:
    """Make typer able to answer a shell."""
    _typers().completion_init()


def script(name: str, flag: str) -> str:
    """What that shell has to read; raises UsageError for one that is unknown or cannot be told."""
    shell = _chosen(name, flag)
    scripts = _typers()
    return str(scripts.get_completion_script(prog_name="devdb", complete_var=VARIABLE, shell=shell))


def install(name: str, flag: str) -> str:
    """Put it where that shell looks, and say where that is; raises UsageError and OSError."""
    shell = _chosen(name, flag)
    try:
        home = Path.home()
    except RuntimeError as error:  # neither HOME nor a passwd entry
        raise UsageError(
            "There is no home directory, where shells look.", f"devdb --show-completion {shell}"
        ) from error
    if shell == "bash":
        path = home / ".bash_completions" / "devdb.sh"
        start, line = home / ".bashrc", f"source {shlex.quote(str(path))}"
    elif shell == "zsh":
        path = home / ".zfunc" / "_devdb"
        start = Path(os.environ.get("ZDOTDIR") or home) / ".zshrc"
        line = "fpath+=~/.zfunc; autoload -Uz compinit; compinit"
    elif shell == "fish":  # which looks there by itself
        path = home / ".config" / "fish" / "completions" / "devdb.fish"
        start, line = None, ""
    else:  # it would have to be run to say where it looks
        raise UsageError(
            "devdb does not change what PowerShell reads at its start.",
            "In it: devdb --show-completion powershell >> $PROFILE",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    replacing.rewrite(path, f"{script(shell, flag)}\n".encode(), None, mode=0o644)
    if start is not None:
        _add_line(start, line)
    return f"completion for {shell} is in {path}; the next {shell} has it"


def _add_line(path: Path, line: str) -> None:
    """The line at the end of somebody's file, whose other bytes stay; once."""
    before = path.read_bytes() if path.exists() else b""
    if line.encode() in before.splitlines():
        return
    with path.open("ab") as file:
        file.write(b"" if before.endswith(b"\n") or not before else b"\n")
        file.write(f"{line}\n".encode())


def detected(ancestors: Iterable[str], login: str) -> str | None:
    """The shell that a command was typed in: the nearest program around it that is one.

    `ancestors` are the names of those programs, nearest first; `login` is the path in SHELL.
    """
    for name in (*ancestors, PurePath(login).name):
        shell = name.lower().lstrip("-").removesuffix(".exe")
        shell = "powershell" if shell == "pwsh" else shell
        if shell in SHELLS:
            return shell
    return None


def _typers() -> Any:
    """Typer's part in it, 20 ms that only completion needs; its types declare none of it."""
    return importlib.import_module("typer.completion")


def _chosen(name: str, flag: str) -> str:
    if name != DETECTED:
        return str(one_of(SHELLS)(flag, name))
    import psutil

    shell = detected(
        (each.name() for each in psutil.Process().parents()), os.environ.get("SHELL", "")
    )
    if shell is None:
        raise UsageError(
            "Which shell it is for cannot be told here.", f"devdb {flag} {'|'.join(SHELLS)}"
        )
    return shell
