"""Debian's and Ubuntu's packages, listed, fetched and unpacked by whoever runs devdb.

Nothing of the system changes, and no root is needed: lists and packages are files of a scratch
directory, and apt checks them against the archive's keyring as it always does.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from devdb.engines.native import commands
from devdb.engines.native.commands import CommandFailed
from devdb.engines.waiting import Work

KEYRINGS = {
    "Debian": Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    "Ubuntu": Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg"),
}

Options = Sequence[str]
"""Arguments with which apt knows what it can offer."""


def here() -> bool:
    """Whether this is a system of theirs."""
    if sys.platform != "linux":
        return False
    return shutil.which("apt-get") is not None and shutil.which("dpkg-deb") is not None


def lists(directory: Path) -> Work[Options]:
    """The options for the system's own sources; lists are fetched where there are none.

    Raises CommandFailed.
    """
    if any(Path("/var/lib/apt/lists").glob("*_Packages*")):
        return ()
    return (yield from fresh_lists(directory))


def fresh_lists(directory: Path) -> Work[Options]:
    """The same, fetched now. A source that fails does not keep the others from being used.

    Raises CommandFailed where all fail.
    """
    yield "apt's package lists"
    options = scratch(directory)
    why = ""
    try:
        why = yield from run(["apt-get", *options, "update", "-qq"])
    except CommandFailed as error:
        why = str(error)
    # Without network it warns, and ends well.
    if not any((directory / "lists").glob("*_Packages*")):
        raise CommandFailed(why or "apt could fetch no package lists")
    return options


def scratch(directory: Path, *, sources: str | None = None) -> Options:
    """Options for lists and files below `directory`, the system's left alone.

    `sources` are lines of a sources.list instead of the system's own. Proxies, certificates and
    the like come from the system's apt configuration all the same.
    """
    options = {
        "Dir::State::Lists": f"{directory}/lists",
        "Dir::Cache": f"{directory}/cache",
        "Dir::State::status": "/var/lib/dpkg/status",
        "Debug::NoLocking": "true",
        "APT::Sandbox::User": "",  # the _apt user cannot write here
    }
    for each in ("lists/partial", "cache/archives/partial"):
        (directory / each).mkdir(parents=True, exist_ok=True)
    if sources is not None:
        (directory / "sources.list").write_text(sources)
        options["Dir::Etc::SourceList"] = f"{directory}/sources.list"
        options["Dir::Etc::SourceParts"] = "/dev/null"
    return [part for key, value in options.items() for part in ("-o", f"{key}={value}")]


def candidate(package: str, options: Options) -> Work[str]:
    """The version apt would install, e.g. `1.18.0-1+deb12u1`; empty when it has none."""
    policy = ["apt-cache", *options, "policy", package]
    for line in (yield from run(policy, stderr=False)).splitlines():
        if line.strip().startswith("Candidate:"):
            return line.split(":", 1)[1].strip().removeprefix("(none)")
    return ""


def lacking(packages: Sequence[str], options: Options) -> Work[list[str]]:
    """What apt would install for these: they and what they need, but for what is there already.

    Raises CommandFailed.
    """
    plan = ["apt-get", *options, "--simulate", "--no-install-recommends", "install", *packages]
    found = re.findall(r"^Inst (\S+)", (yield from run(plan)), re.MULTILINE)
    return [str(each) for each in found]


def unpack(packages: Sequence[str], directory: Path, options: Options) -> Work[dict[str, str]]:
    """Unpack them below `directory`/root; returns the version of each. Raises CommandFailed."""
    place, root = directory / "packages", directory / "root"
    place.mkdir(exist_ok=True)
    if packages:
        try:
            yield from run(["apt-get", *options, "download", *packages], cwd=place)
        except CommandFailed:
            # The lists may be older than what the mirror has.
            fresh = yield from fresh_lists(directory / "fresh")
            yield from run(["apt-get", *fresh, "download", *packages], cwd=place)
    root.mkdir(exist_ok=True)
    versions = {}
    for file in sorted(place.glob("*.deb")):
        yield from run(("dpkg-deb", "--extract", file, root))
        show = ("dpkg-deb", "--show", "--showformat", "${Package} ${Version}", file)
        package, version = (yield from run(show, stderr=False)).split()
        versions[package] = version
        file.unlink()
    return versions


def libraries(root: Path) -> list[Path]:
    """The directories below `root` that unpacked packages have shared libraries in."""
    places = ("usr/lib/*-linux-gnu*", "lib/*-linux-gnu*")
    return [path for place in places for path in sorted(root.glob(place)) if path.is_dir()]


def mirror(options: Options) -> Work[tuple[str, str]]:
    """Whose distribution this is (`Debian`, `Ubuntu`), and where apt gets its own archive from.

    Raises CommandFailed.
    """
    form = "$(ORIGIN) $(LABEL) $(REPO_URI)"
    targets = ["apt-get", *options, "indextargets", "--format", form]
    for line in (yield from run(targets, stderr=False)).splitlines():
        origin, label, address = line.split(maxsplit=2)
        if origin == label and origin in KEYRINGS:
            return origin, address
    raise CommandFailed("apt on this machine knows no mirror of Debian or Ubuntu")


def suite(origin: str, address: str, name: str, directory: Path) -> Work[Options]:
    """The options for the source packages of another suite of that mirror, e.g. `sid`.

    apt checks its list against the archive's keyring. Raises CommandFailed.
    """
    component = "universe" if origin == "Ubuntu" else "main"
    line = f"deb-src [signed-by={KEYRINGS[origin]}] {address} {name} {component}\n"
    options = scratch(directory, sources=line)
    yield from run(["apt-get", *options, "update", "-qq", "--error-on=any"])
    return options


def source_versions(package: str, options: Options) -> Work[list[str]]:
    """The versions of a source package that are listed. Raises CommandFailed when none is."""
    show = ["apt-cache", *options, "showsrc", "--only-source", package]
    versions = re.findall(r"^Version: (\S+)$", (yield from run(show, stderr=False)), re.MULTILINE)
    if not versions:
        raise CommandFailed(f"no source package {package} is listed")
    return versions


def source(package: str, version: str, directory: Path, options: Options) -> Work[None]:
    """Fetch the files of a source package into `directory`, checked. Raises CommandFailed."""
    wanted = f"{package}={version}"
    fetch = ["apt-get", *options, "source", "--download-only", wanted]
    yield from run(fetch, cwd=directory)


def run(argv: Sequence[str | Path], *, cwd: Path = Path("/"), stderr: bool = True) -> Work[str]:
    """As `commands.run`, untranslated."""
    environment = {**os.environ, "LC_ALL": "C"}
    return (yield from commands.run(argv, cwd=cwd, stderr=stderr, env=environment))
