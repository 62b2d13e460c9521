"""The smallest Debian of a suite, kept as an archive; apt in it reaches this machine's mirror."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from system import debian
from system.shell import CACHE, fail, run, say

UNREAD = ("usr/share/doc", "usr/share/man", "usr/share/locale")
SMALL = Path("etc/dpkg/dpkg.cfg.d/90small")
"""dpkg's settings there: leave out what nobody reads, and do not wait for the disk."""


@dataclass(frozen=True)
class Base:
    """A suite, and how apt on this machine reaches it."""

    suite: str
    mirror: str
    settings: str

    @property
    def key(self) -> str:
        """Changes with everything that it is made from."""
        return digest(self.suite, self.mirror, self.settings)

    @property
    def archive(self) -> Path:
        """Where it is kept."""
        return CACHE / f"{self.suite}-{self.key}.tar"


def of(suite: str) -> Base:
    """The base system of that suite, made or not. Ends the program where apt knows no mirror."""
    return Base(suite, debian_mirror(), apt_settings())


def digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def debian_mirror() -> str:
    """Where apt on this machine gets Debian itself from."""

    def ask() -> list[str]:
        filters = ("Created-By: Packages", "Origin: Debian", "Label: Debian")
        return run("apt-get", "indextargets", "--format", "$(REPO_URI)", *filters).split()

    found = ask()
    if not found and os.geteuid() == 0:  # whose archive it is stands in its index
        run("apt-get", "update", "-qq")
        found = ask()
    if not found:
        fail(
            "apt on this machine knows no Debian mirror to make a base system from.",
            "On Debian: apt-get update. Elsewhere: pull the images, or `docker load` them.",
        )
    return resolved(found[0])


def resolved(mirror: str) -> str:
    """The address itself, also where apt has a file that lists mirrors, as in cloud images."""
    if mirror.startswith("mirror+file:"):
        return Path(mirror.removeprefix("mirror+file:").rstrip("/")).read_text().split()[0]
    return mirror.rstrip("/")


def apt_settings() -> str:
    """How apt on this machine reaches the mirror: proxies, retries, which dates it believes."""
    lines = run("apt-config", "dump").splitlines()
    kept = [each for each in lines if re.match(r"Acquire::(https?::|Check-|Retries)", each)]
    return "".join(f"{line}\n" for line in kept)


def need_debootstrap(*, may_install: bool) -> None:
    """Ends the program where no base system can be made."""
    if os.geteuid() != 0:
        fail("Making a base system takes root.", "Run this as root once.")
    if shutil.which("debootstrap"):
        return
    if not may_install:
        fail("debootstrap is missing.", "Install it: apt-get install debootstrap")
    say("installing debootstrap")
    run("apt-get", "install", "-qq", "--no-install-recommends", "debootstrap")


def make(base: Base) -> None:
    """Make its archive. Raises CommandFailed."""
    started = time.monotonic()
    say(f"{base.suite}: making a base system from {base.mirror}")
    with scratch() as directory:
        root = directory / "root"
        _debootstrap(base, root)
        (root / "etc/apt/apt.conf.d/90mirror").write_text(base.settings)
        (root / SMALL).write_text(
            "force-unsafe-io\n" + "".join(f"path-exclude=/{path}/*\n" for path in UNREAD)
        )
        pack(root, base.archive, without=(*UNREAD, "var/cache/apt", "var/lib/apt/lists"))
    say(f"{base.suite}: base system made in {time.monotonic() - started:.0f} s")


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory for a root to be in, beside where it is kept."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, ignore_cleanup_errors=True) as directory:
        yield Path(directory)


def pack(root: Path, archive: Path, *, without: tuple[str, ...]) -> None:
    """The tree as an archive, whole or not at all; what is below `without` is left out."""
    unfinished = root.parent / "tar"
    options = ["--numeric-owner", *(f"--exclude=./{path}/*" for path in without)]
    run("tar", *options, "-C", root, "-cf", unfinished, ".")
    unfinished.replace(archive)


def _debootstrap(base: Base, root: Path) -> None:
    # With a keyring given, debootstrap stops at a release which that cannot verify: a suite signed
    # by newer keys needs a newer debian-archive-keyring first, and its error says so.
    options = ["--variant=minbase", f"--keyring={debian.KEYRINGS['Debian']}"]
    if base.mirror.startswith("https:"):
        options.append("--include=ca-certificates")
    arguments = [base.suite, str(root), base.mirror]
    scripts = Path("/usr/share/debootstrap/scripts")
    if not (scripts / base.suite).exists():  # a suite younger than this debootstrap
        arguments.append(str(scripts / "sid"))
    # In a mount namespace of its own: what it mounts goes with it if it is killed.
    run("unshare", "--mount", "debootstrap", *options, *arguments, env=_proxies())


def _proxies() -> dict[str, str]:
    """apt's proxies, as the environment that debootstrap's downloads read."""
    found = {}
    for scheme in ("http", "https"):
        value = run("apt-config", "shell", "value", f"Acquire::{scheme}::Proxy")
        if value:
            found[f"{scheme}_proxy"] = value.strip().removeprefix("value=").strip("'")
    return found
