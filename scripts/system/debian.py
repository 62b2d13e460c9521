"""apt for the scripts: what the product gets without root, waited for; packages as root."""

from __future__ import annotations

import os
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import TypeVar

from system.shell import ROOT, SCRIPTS, CommandFailed, fail, run, say

sys.path.insert(0, str(ROOT))
from devdb.engines.native import commands, missing
from devdb.engines.native.installing import apt
from devdb.engines.waiting import Work

T = TypeVar("T")
KEYRINGS = apt.KEYRINGS
here = apt.here


def told(work: Work[T]) -> T:
    """Its result; what it is at is said. Raises CommandFailed."""
    while True:
        try:
            if (at := next(work)) is not None:
                say(at)
        except StopIteration as done:
            result: T = done.value
            return result
        except commands.CommandFailed as error:
            raise CommandFailed(str(error)) from error


def unpack(package: str, directory: Path) -> Path:
    """The directory below which it was unpacked. Raises CommandFailed."""
    told(apt.unpack([package], directory, told(apt.lists(directory))))
    return directory / "root"


def leave_system_alone() -> None:
    """From here on nothing is done as root, also not by root."""
    os.environ["DEVDB_NO_SYSTEM"] = "1"


@cache
def as_root() -> list[str] | None:
    """What to put before a command that root must run; None: it must not, or needs a password."""
    return None if os.environ.get("DEVDB_NO_SYSTEM") else missing.as_root()


def install(*packages: str) -> None:
    """Install packages, their own servers kept from starting. Needs `as_root`."""
    missing = [each for each in packages if not installed(each)]
    if not missing:
        return
    prefix = as_root()
    if prefix is None:
        fail(f"Without root apt cannot install {' '.join(missing)}.", "Run this as root.")
    say(f"Installing with apt: {' '.join(missing)}")
    # As text: the root of sudo need not be able to read this checkout.
    text = (SCRIPTS / "apt-install").read_text()
    try:
        run(*prefix, "bash", "-c", text, "apt-install", *missing)
    except CommandFailed as error:
        fail(f"apt could not install {' '.join(missing)}: {error}", "Mend apt, run this again.")


def installed(package: str) -> bool:
    try:
        return run("dpkg-query", "-Wf", "${db:Status-Status}", package) == "installed"
    except CommandFailed:
        return False


def offers(package: str) -> bool:
    with tempfile.TemporaryDirectory() as name:
        return told(apt.candidate(package, told(apt.lists(Path(name))))) != ""
