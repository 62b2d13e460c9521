"""How this machine reaches mirrors and package indexes, told so that another root can do the same.

Nothing is named here: it is read from apt, pip and the environment, whatever they are set up with.
"""

from __future__ import annotations

import ast
import configparser
import io
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from system import base
from system.shell import run

VARIABLES = re.compile(
    r"(PIP|UV)_.*|.*_PROXY|.*(SSL_CERT|CA_?BUNDLE|CA_?CERTS?|CAINFO).*", re.IGNORECASE
)
CERTIFICATES = Path("usr/local/share/ca-certificates")
TOLD = ("etc/resolv.conf", "etc/hosts")


def carry(root: Path) -> None:
    """Write it all into the root."""
    for each in TOLD:
        shutil.copyfile(Path("/", each), root / each)
    if Path("/", CERTIFICATES).is_dir():
        shutil.copytree(Path("/", CERTIFICATES), root / CERTIFICATES, dirs_exist_ok=True)
    settings = pip_settings()
    (root / "etc/pip.conf").write_text(pip_conf(settings))
    variables = environment()
    if index := settings.get("global.index-url"):
        variables.setdefault("UV_DEFAULT_INDEX", index)  # uv reads nothing of pip's
    # pam_env gives these to every login.
    lines = (f"{name}={value}\n" for name, value in variables.items())
    (root / "etc/environment").write_text("".join(lines))


def certificates() -> list[str]:
    """The texts of those that this machine trusts beside everybody's."""
    return [path.read_text() for path in sorted(Path("/", CERTIFICATES).glob("**/*.crt"))]


def environment(source: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables about proxies, certificates and package indexes."""
    return {name: value for name, value in source.items() if VARIABLES.fullmatch(name)}


def pip_settings() -> dict[str, str]:
    """pip's settings from all its files, `section.name` to value."""
    return parse_pip_settings(run(sys.executable, "-m", "pip", "config", "list"))


def parse_pip_settings(listing: str) -> dict[str, str]:
    """What `pip config list` says, without what comes from variables."""
    rows = (line.partition("=") for line in listing.splitlines())
    return {key: ast.literal_eval(value) for key, _, value in rows if not key.startswith(":env:")}


def pip_conf(settings: Mapping[str, str]) -> str:
    """The same as one file."""
    parser = configparser.RawConfigParser()
    for key, value in settings.items():
        section, _, name = key.partition(".")
        if not parser.has_section(section):
            parser.add_section(section)
        parser.set(section, name, value)
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


def places(values: Iterable[str]) -> list[Path]:
    """The directories and files of this machine that settings name, as far as they exist.

    Certificates are left out: a root has its own copies. What a local index lists lies beside it.
    """
    found = set()
    for word in " ".join(values).split():
        path = Path(word.removeprefix("file://"))
        if path.is_absolute() and path.exists() and not path.is_relative_to("/etc/ssl"):
            found.add(path.parent if word.startswith("file://") else path)
    return sorted(found - {Path("/")})


def apt_sources(suite: str) -> str:
    """Lines of a sources.list: what this machine has of Debian, its security updates too."""
    here = platform.freedesktop_os_release()["VERSION_CODENAME"]
    listing = run(
        *("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)"),
        *("Created-By: Packages", "Origin: Debian"),
    )
    rows = dict.fromkeys(tuple(line.split()) for line in listing.splitlines())
    return "".join(
        f"deb {base.resolved(uri)} {release.replace(here, suite, 1)} main\n"
        for uri, release in rows
    )
