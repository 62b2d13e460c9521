"""Other programs, run while the start goes on telling that it lives."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from devdb.engines.native.owner import Owner
from devdb.engines.waiting import HEARTBEAT, Beats

_COLOUR = re.compile(r"\x1b\[[\d;]*m")
"""Where a program is told to, it colours what it prints into a pipe, too (FORCE_COLOR)."""
_TELLING = r"No space left|could not|FATAL|FAILED|error:|ERROR:|^E: "


class CommandFailed(Exception):
    """The program ended with an error; the message is what it printed."""


def reason(error: OSError | CommandFailed, *, first: bool = False) -> str:
    """What went wrong, in the last telling words of a program, or the `first`, or the system's."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if re.search(_TELLING, line)]
    return (telling or lines)[0 if first else -1].rstrip(".")


def run(
    argv: Sequence[str | Path],
    *,
    owner: Owner | None = None,
    env: dict[str, str] | None = None,
    text: str = "",
    cwd: Path = Path("/"),
    stderr: bool = True,
    umask: int = -1,
) -> Beats[str]:
    """Run a program to its end, as `owner`, with `text` on its stdin; returns its output.

    What it says on stderr is part of that, unless not `stderr`: nobody hears it then; colours are
    not. Raises CommandFailed. Abandoned half-way (the generator is closed), it is killed, and what
    it started.
    """
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if stderr else subprocess.DEVNULL,
        env=env,
        cwd=cwd,
        umask=umask,
        process_group=0,
        **(owner.credentials if owner else {}),
    )
    output = b""
    with process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(text.encode())
            process.stdin.close()
            # The end of the output is noticed at once; Popen.wait(timeout) polls up to 50 ms.
            while True:
                if not select.select([process.stdout], [], [], HEARTBEAT)[0]:
                    yield
                elif chunk := os.read(process.stdout.fileno(), 65536):
                    output += chunk
                else:
                    break
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    printed = _COLOUR.sub("", output.decode(errors="replace")).strip()
    if process.returncode != 0:
        raise CommandFailed(printed or f"{argv[0]} ended with {process.returncode}")
    return printed


def copy_tree(source: Path, target: Path) -> Beats[None]:
    """Copy a directory with owners and modes; shares blocks where the file system can."""
    if sys.platform == "darwin":
        argv = ["cp", "-cpR"]
    else:
        argv = ["cp", "-a", "--reflink=auto"]
    yield from run([*argv, source, target])
