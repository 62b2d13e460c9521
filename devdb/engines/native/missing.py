"""How to get what is missing on this system: the words for it, and the system's own command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

MANAGERS = {
    "brew": ("brew", "install"),
    "apt-get": ("apt-get", "install"),
    "dnf": ("dnf", "install", "--assumeyes"),
    "zypper": ("zypper", "--non-interactive", "install"),
    "pacman": ("pacman", "-S", "--noconfirm"),
    "apk": ("apk", "add"),
}
"""How each installs a package without asking anything."""
_FIX = "devdb doctor --fix"


def postgres(major: int | None = None) -> str:
    """What to do where Postgres, of that major, is missing."""
    from devdb.engines.native.installing import wheel

    system = system_postgres(major)
    if wheel.has(major) or postgres_command(major):
        return f"Get it: {_FIX}; or {system}"
    return f"Install it: {system}"


def pgbouncer() -> str:
    """What to do where PgBouncer is missing."""
    from devdb.engines.native.installing import apt

    if apt.here() or pgbouncer_command():
        return f"Get it: {_FIX}; or {system_pgbouncer()}"
    return f"Install it: {system_pgbouncer()}"


def system_postgres(major: int | None = None) -> str:
    """The command that installs Postgres, of that major where the system tells them apart."""
    return (
        _text(_postgres_package(major))
        or f"your system's package of Postgres {major or ''}".rstrip()
    )


def system_pgbouncer() -> str:
    """The command that installs PgBouncer."""
    return _text("pgbouncer") or "your system's package of PgBouncer"


def postgres_command(major: int | None) -> list[str] | None:
    """The same, to be run without anybody being asked for a password; None where that cannot be.

    Not apt's: what devdb gets on Debian changes nothing of the system.
    """
    return _command(_postgres_package(major))


def pgbouncer_command() -> list[str] | None:
    """That for PgBouncer."""
    return _command("pgbouncer")


def _postgres_package(major: int | None) -> str:
    packages = {
        "brew": f"postgresql@{major or 18}",
        "apt-get": f"postgresql-{major}" if major else "postgresql",
        "dnf": f"postgresql{major or ''}-server",
        "zypper": f"postgresql{major or ''}-server",
        "pacman": "postgresql",
        "apk": f"postgresql{major or 18}",
    }
    return packages.get(_manager() or "", "")


def _text(package: str) -> str | None:
    manager = _manager()
    if manager is None:
        # The one that a Mac would have it by.
        return (
            f"brew install {package or 'postgresql'} (https://brew.sh)"
            if sys.platform == "darwin"
            else None
        )
    sudo = "" if manager == "brew" or os.geteuid() == 0 else "sudo "
    words = [word for word in MANAGERS[manager] if not word.startswith("--")]
    return f"{sudo}{' '.join([*words, package])}"


def _command(package: str) -> list[str] | None:
    manager = _manager()
    if manager in (None, "apt-get"):
        return None
    if manager == "brew":
        return None if os.geteuid() == 0 else [*MANAGERS[manager], package]  # it refuses root
    prefix = as_root()
    return None if prefix is None else [*prefix, *MANAGERS[manager], package]


def _manager() -> str | None:
    linux_first = [*list(MANAGERS)[1:], "brew"]
    order = list(MANAGERS) if sys.platform == "darwin" else linux_first
    return next((name for name in order if shutil.which(name)), None)


def as_root() -> list[str] | None:
    """What to put before a command that root must run; None: it would take a password."""
    if os.geteuid() == 0:
        return []
    try:
        asked = subprocess.run(["sudo", "-n", "true"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ["sudo", "-n"] if asked.returncode == 0 else None
