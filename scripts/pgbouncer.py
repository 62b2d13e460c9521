"""Get a PgBouncer for the native engine where the system has none that tracks prepared statements.

It ends up as `<cache>/pgbouncer/<version>/bin/pgbouncer`, its libraries in `lib` beside `bin`.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import debian
from shell import CommandFailed, run, say

from devdb import paths
from devdb.engines.native import binaries
from devdb.errors import DevdbError
from devdb.pgbouncer import TRACKS_PREPARED, parse_version

Version = tuple[int, int, int]

SUITES = {"Debian": ("sid", "testing", "stable"), "Ubuntu": ("devel",)}
"""Where a newer source package may be, the newest first."""
BUILD_NEEDS = ("gcc", "libc6-dev", "make", "pkg-config", "libevent-dev", "libssl-dev")


def version_of(binary: Path) -> Version | None:
    """What the binary says of itself; None when it does not run."""
    libraries = binary.parent.parent / "lib"
    env = {"LD_LIBRARY_PATH": str(libraries)} if libraries.is_dir() else {}
    try:
        return parse_version(run(binary, "--version", env=env))
    except (CommandFailed, ValueError):
        return None


def good_enough() -> bool:
    """Whether there is a PgBouncer that tracks prepared statements, or none better to be had."""
    try:
        found = binaries.pooler()
    except DevdbError:
        return False
    tracks = found.version[:2] >= TRACKS_PREPARED
    return tracks or found.origin == "DEVDB_PGBOUNCER" or not may_build() or not_built().exists()


def not_built() -> Path:
    """A file that says why building one did not work: it is not tried at every start."""
    return home() / "not-built"


def home() -> Path:
    return paths.cache_home() / "pgbouncer"


def get(*, with_packages: list[str]) -> None:
    """Get the best this Debian or Ubuntu offers, and other packages meanwhile.

    Raises CommandFailed.
    """
    with tempfile.TemporaryDirectory(prefix="devdb-") as name:
        directory = Path(name)
        apt = debian.lists(directory)
        offered = debian.candidate("pgbouncer", apt)
        if may_build() and not (offered and tracks_prepared(offered)):
            say(
                f"PgBouncer is {offered or 'not'} packaged here. Building a newer one: from 1.21 on"
            )
            say("prepared statements work in transaction mode.")
            build(directory, apt, with_packages)
        elif debian.as_root() is not None:
            debian.install("pgbouncer", *with_packages)
        else:
            unpack(directory, apt)


def tracks_prepared(version: str) -> bool:
    return parse_version(version)[:2] >= TRACKS_PREPARED


def may_build() -> bool:
    return debian.as_root() is not None or all(map(debian.installed, BUILD_NEEDS))


def unpack(directory: Path, apt: list[str]) -> None:
    """The release's own package and the libraries the system lacks, into the user's cache."""
    plan = run("apt-get", *apt, "--simulate", "--no-install-recommends", "install", "pgbouncer")
    lacking = re.findall(r"^Inst (\S+)", plan, re.MULTILINE)
    # It also depends on Postgres' setup scripts, and through them on much of Perl.
    wanted = [each for each in lacking if re.match(r"pgbouncer$|lib(?!.*perl)", each)]
    say(f"Downloading into {home()}: {' '.join(wanted)}")
    for each in debian.download(wanted, directory, apt):
        run("dpkg-deb", "-x", each, directory / "root")
    libraries = [each for each in (directory / "root").glob("**/lib*.so*") if each.is_file()]
    keep(directory / "root" / "usr" / "sbin" / "pgbouncer", libraries)


def build(directory: Path, apt: list[str], with_packages: list[str]) -> None:
    """Build the newest source package of the machine's mirror, or take the package after all."""
    with ThreadPoolExecutor() as pool:
        source = pool.submit(fetch_source, directory, apt)
        debian.install(*BUILD_NEEDS)
        built = pool.submit(lambda: make(source.result()))
        debian.install(*with_packages)
        try:
            built.result()
            return
        except CommandFailed as error:
            say(f"That did not work, so the package is taken as it is: {error}")
            say(f"To try again later, remove {not_built()}")
            home().mkdir(parents=True, exist_ok=True)
            not_built().write_text(f"{error}\n")
    if debian.as_root() is not None:
        debian.install("pgbouncer")
    else:
        unpack(directory, apt)


def fetch_source(directory: Path, apt: list[str]) -> Path:
    """The unpacked source; apt checks it against the archive keyring. Raises CommandFailed."""
    origin, address = debian.mirror(apt)
    component = "universe" if origin == "Ubuntu" else "main"
    said = ""
    for suite in SUITES[origin]:
        say(f"Fetching the source package of {origin} {suite}")
        place = directory / suite
        line = f"deb-src [signed-by={debian.KEYRINGS[origin]}] {address} {suite} {component}\n"
        options = debian.scratch(place, sources=line)
        try:
            run("apt-get", *options, "update", "-qq", "--error-on=any")
            run("apt-get", *options, "source", "--download-only", "pgbouncer", cwd=place)
            run("tar", "-xf", *place.glob("pgbouncer_*.orig.tar.*"), cwd=place)
        except CommandFailed as error:
            said = str(error)
            continue
        [configure] = place.glob("pgbouncer-*/configure")
        return configure.parent
    raise CommandFailed(said)


def make(source: Path) -> None:
    say(f"Building {source.name}")
    # c-ares is left out: libevent resolves names well enough, and it is one thing less to install.
    run("./configure", "--without-cares", cwd=source)
    run("make", f"-j{os.cpu_count()}", "pgbouncer", cwd=source)
    keep(source / "pgbouncer", [])


def keep(binary: Path, libraries: list[Path]) -> None:
    """Put it into the cache, whole or not at all, and where root's servers reach it."""
    home().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home(), prefix=".new-") as name:
        new = Path(name) / "new"
        for directory, files in (("bin", [binary]), ("lib", libraries)):
            (new / directory).mkdir(parents=True, mode=0o755)
            for file in files:
                shutil.copy2(file, new / directory / file.name, follow_symlinks=False)
        if not libraries:
            (new / "lib").rmdir()
        version = version_of(new / "bin" / "pgbouncer")
        if version is None:
            raise CommandFailed(f"{binary} does not run")
        target = home() / ".".join(map(str, version))
        if not target.exists():
            new.replace(target)
