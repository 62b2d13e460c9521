"""apt: packages as root, and as an ordinary user without changing the system."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path

from system.shell import SCRIPTS, CommandFailed, fail, run, say, succeeds

KEYRINGS = {
    "Debian": Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    "Ubuntu": Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg"),
}


def here() -> bool:
    return shutil.which("apt-get") is not None and shutil.which("dpkg-deb") is not None


def leave_system_alone() -> None:
    """From here on nothing is done as root, also not by root."""
    os.environ["DEVDB_NO_SYSTEM"] = "1"


@cache
def as_root() -> list[str] | None:
    """What to put before a command that root must run; None: it must not, or needs a password."""
    if os.environ.get("DEVDB_NO_SYSTEM"):
        return None
    if os.geteuid() == 0:
        return []
    return ["sudo", "-n"] if succeeds("sudo", "-n", "true") else None


def install(*packages: str) -> None:
    """Install packages, their own servers kept from starting. Needs `as_root`."""
    try:
        try_to_install(*packages)
    except CommandFailed as error:
        fail(str(error), "Mend apt and run this again.")


def try_to_install(*packages: str) -> None:
    """The same for what can be done without. Raises CommandFailed."""
    missing = [each for each in packages if not installed(each)]
    if not missing:
        return
    prefix = as_root()
    if prefix is None:
        raise CommandFailed(f"without root apt cannot install {' '.join(missing)}")
    say(f"Installing with apt: {' '.join(missing)}")
    # As text: the root of sudo need not be able to read this checkout.
    text = (SCRIPTS / "apt-install").read_text()
    try:
        run(*prefix, "bash", "-c", text, "apt-install", *missing)
    except CommandFailed as error:
        raise CommandFailed(f"apt could not install {' '.join(missing)}: {error}") from error


def installed(package: str) -> bool:
    try:
        return run("dpkg-query", "-Wf", "${db:Status-Status}", package) == "installed"
    except CommandFailed:
        return False


def offers(package: str) -> bool:
    with tempfile.TemporaryDirectory() as name:
        return candidate(package, lists(Path(name))) != ""


def candidate(package: str, apt: list[str]) -> str:
    """The version apt would install, e.g. `1.18.0-1+deb12u1`; empty when it has none."""
    for line in run("apt-cache", *apt, "policy", package, env={"LC_ALL": "C"}).splitlines():
        if line.strip().startswith("Candidate:"):
            return line.split(":", 1)[1].strip().removeprefix("(none)")
    return ""


def download(packages: list[str], directory: Path, apt: list[str]) -> list[Path]:
    """The packages as files; apt checks them against the signed lists."""
    place = directory / "downloads"
    place.mkdir()
    try:
        run("apt-get", *apt, "download", *packages, cwd=place)
    except CommandFailed:
        # The lists may be older than what the mirror has.
        run("apt-get", *fresh_lists(directory), "download", *packages, cwd=place)
    return sorted(place.glob("*.deb"))


def lists(directory: Path) -> list[str]:
    """apt options with which it knows what it can offer; fetches lists where there are none."""
    if any(Path("/var/lib/apt/lists").glob("*_Packages*")):
        return []
    say("Fetching apt's package lists")
    prefix = as_root()
    if prefix is not None:
        # One source that fails must not keep the others from being used.
        succeeds(*prefix, "apt-get", "update", "-qq")
        return []
    return fresh_lists(directory)


def fresh_lists(directory: Path) -> list[str]:
    options = scratch(directory)
    succeeds("apt-get", *options, "update", "-qq")
    return options


def scratch(directory: Path, *, sources: str | None = None) -> list[str]:
    """apt options for lists and files of its own below `directory`, the system's left alone.

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


def source_versions(package: str, apt: list[str]) -> list[str]:
    """The versions of a source package that are listed. Raises CommandFailed when none is."""
    shown = run("apt-cache", *apt, "showsrc", "--only-source", package)
    versions = re.findall(r"^Version: (\S+)$", shown, re.MULTILINE)
    if not versions:
        raise CommandFailed(f"no source package {package} is listed")
    return versions


def mirror(apt: list[str]) -> tuple[str, str]:
    """Whose distribution this is (`Debian`, `Ubuntu`), and where apt gets its own archive from."""
    form = "$(ORIGIN) $(LABEL) $(REPO_URI)"
    for line in run("apt-get", *apt, "indextargets", "--format", form).splitlines():
        origin, label, address = line.split(maxsplit=2)
        if origin == label and origin in KEYRINGS:
            return origin, address
    raise CommandFailed("apt on this machine knows no mirror of Debian or Ubuntu")
