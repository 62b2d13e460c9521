"""Get a PgBouncer for the native engine where the system has none that is good enough.

It has to track prepared statements, and nobody may be able to crash it. It ends up as
`<cache>/pgbouncer/<version of the Debian package>/bin/pgbouncer`, its libraries in `lib` beside
`bin`. An older one stays: an instance may be running it.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from system import debian
from system.shell import CommandFailed, run, say

from devdb import paths
from devdb.engines.native import binaries, packages
from devdb.engines.native.binaries import Pooler
from devdb.errors import DevdbError
from devdb.pgbouncer import TRACKS_PREPARED, crash_warning, parse_version

Version = tuple[int, int, int]

SUITES = {"Debian": ("sid", "testing", "stable"), "Ubuntu": ("devel",)}
"""Where a newer source package may be, the newest first."""
BUILD_NEEDS = ("gcc", "libc6-dev", "make", "patch", "pkg-config", "libevent-dev", "libssl-dev")
PATIENCE = 7 * 24 * 3600
"""Seconds in which building is not tried again after it did not work."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A source package that a suite lists."""

    suite: str
    """E.g. `Debian sid`."""
    version: str
    """E.g. `1.24.1-1+deb13u2`."""
    place: Path
    """Where it goes."""
    options: tuple[str, ...]
    """With which apt knows it."""


def version_of(binary: Path) -> Version | None:
    """What the binary says of itself; None when it does not run."""
    libraries = binary.parent.parent / "lib"
    env = {"LD_LIBRARY_PATH": str(libraries)} if libraries.is_dir() else {}
    try:
        return parse_version(run(binary, "--version", env=env))
    except (CommandFailed, ValueError):
        return None


def there() -> Pooler | None:
    """The PgBouncer that an instance would get now; None when there is none that runs."""
    try:
        return binaries.pooler()
    except DevdbError:
        return None


def good_enough() -> bool:
    """Whether there is a PgBouncer that has all it needs, or one that was named by the user.

    Or one that cannot be bettered from here.
    """
    found = there()
    if found is None:
        return False
    tracks = found.version[:2] >= TRACKS_PREPARED
    if found.origin == "DEVDB_PGBOUNCER" or (tracks and not found.crash_warning):
        return True
    if may_build():
        return tried_lately()
    # What an older devdb unpacked may be older than what the release has by now.
    return found.origin != "devdb's cache" or found.package is not None


def home() -> Path:
    return paths.cache_home() / "pgbouncer"


def not_built() -> Path:
    """A file that says why building a good one did not work."""
    return home() / "not-built"


def leave_note(why: str) -> None:
    home().mkdir(parents=True, exist_ok=True)
    not_built().write_text(f"{why}\n")


def tried_lately() -> bool:
    """Whether building a good one did not work, and not long ago: not tried at every start."""
    try:
        return time.time() - not_built().stat().st_mtime < PATIENCE
    except OSError:
        return False


def get(*, with_packages: list[str]) -> None:
    """Get the best this Debian or Ubuntu offers, and other packages meanwhile.

    What cannot be bettered stays as it is. Raises CommandFailed when there is none after that.
    """
    with tempfile.TemporaryDirectory(prefix="devdb-") as name:
        directory = Path(name)
        apt = debian.lists(directory)
        offered = debian.candidate("pgbouncer", apt)
        if may_build() and (lack := what_lacks(offered)):
            say(f"{lack}. Building a newer one.")
            try:
                build(directory, apt, with_packages, only_safe=bool(offered) and tracks(offered))
                return
            except CommandFailed as error:
                leave_note(str(error))
                say(f"That did not work; {not_built()} says why. Without that file it is tried")
                say("again at the next start, with it in a week.")
            if found := there():
                say(f"Going on with PgBouncer {found.package or found.text}")
                return
        try:
            if debian.as_root() is not None:
                debian.try_to_install("pgbouncer", *with_packages)
            else:
                unpack(directory, apt)
        except CommandFailed as error:
            if (found := there()) is None:
                raise
            say(f"Going on with PgBouncer {found.package or found.text}: {error}")


def what_lacks(offered: str) -> str | None:
    """What speaks against the release's own package, of that version; None: nothing does."""
    if not offered:
        return "PgBouncer is not packaged here"
    if not tracks(offered):
        return f"PgBouncer {offered} is packaged here: it cannot track prepared statements"
    if may_crash(offered):
        return f"PgBouncer {offered} is packaged here: a packet can crash it"
    return None


def tracks(package: str) -> bool:
    """Whether prepared statements work in transaction mode."""
    return parse_version(package)[:2] >= TRACKS_PREPARED


def may_crash(package: str) -> bool:
    return crash_warning(parse_version(package), package) is not None


def may_build() -> bool:
    return debian.as_root() is not None or all(map(debian.installed, BUILD_NEEDS))


def unpack(directory: Path, apt: list[str]) -> None:
    """The release's own package and the libraries the system lacks, into the user's cache."""
    plan = run("apt-get", *apt, "--simulate", "--no-install-recommends", "install", "pgbouncer")
    lacking = re.findall(r"^Inst (\S+)", plan, re.MULTILINE)
    # It also depends on Postgres' setup scripts, and through them on much of Perl.
    wanted = [each for each in lacking if re.match(r"pgbouncer$|lib(?!.*perl)", each)]
    say(f"Downloading into {home()}: {' '.join(wanted)}")
    version = ""
    for each in debian.download(wanted, directory, apt):
        run("dpkg-deb", "-x", each, directory / "root")
        if each.name.startswith("pgbouncer_"):
            version = run("dpkg-deb", "-f", each, "Version")
    libraries = [each for each in (directory / "root").glob("**/lib*.so*") if each.is_file()]
    keep(directory / "root" / "usr" / "sbin" / "pgbouncer", libraries, version)


def build(directory: Path, apt: list[str], with_packages: list[str], *, only_safe: bool) -> None:
    """Build the newest source package of the machine's mirror that can be built.

    One that can be crashed is the last choice, and none if `only_safe`. Raises CommandFailed.
    """
    with ThreadPoolExecutor() as pool:
        needs = pool.submit(debian.try_to_install, *BUILD_NEEDS)
        built = pool.submit(build_one, directory, apt, needs.result, only_safe=only_safe)
        wait([needs])
        debian.install(*with_packages)
        built.result()


def build_one(
    directory: Path, apt: list[str], ready: Callable[[], None], *, only_safe: bool
) -> None:
    """Try one suite after the other, saying why one was not taken, and which one was.

    `ready` returns when there is all that building needs. Raises CommandFailed with all reasons.
    """
    origin, address = debian.mirror(apt)
    reasons: list[str] = []
    seen: set[str] = set()
    last_choices: list[Offer] = []

    def turn_down(what: str, why: CommandFailed) -> None:
        say(f"{what} is not taken: {in_a_line(why)}")
        reasons.append(f"{what}: {why}")

    def take(offer: Offer) -> bool:
        try:
            source = fetch(offer)
        except CommandFailed as error:
            turn_down(f"PgBouncer {offer.version} of {offer.suite}", error)
            return False
        ready()
        say(f"Building PgBouncer {offer.version} of {offer.suite}")
        try:
            make(source, offer.version)
        except CommandFailed as error:
            turn_down(f"PgBouncer {offer.version} of {offer.suite}", error)
            return False
        if may_crash(offer.version):
            leave_note("\n".join(reasons))
        else:
            not_built().unlink(missing_ok=True)
        return True

    for suite in SUITES[origin]:
        try:
            offer = look(directory / suite, origin, address, suite)
        except CommandFailed as error:
            turn_down(f"{origin} {suite}", error)
            continue
        if offer.version in seen:
            continue  # the same files, of which it was said
        seen.add(offer.version)
        if may_crash(offer.version):
            last_choices.append(offer)
            turn_down(
                f"PgBouncer {offer.version} of {offer.suite}",
                CommandFailed("a packet can crash it"),
            )
        elif take(offer):
            return
    if not only_safe and any(map(take, last_choices)):
        return
    raise CommandFailed("\n".join(reasons))


def in_a_line(error: CommandFailed) -> str:
    """What is most telling of all that a program said."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if re.match(r"E: |.*\berror: |.*FAILED", line)]
    return (telling or lines[-1:] or ["no reason given"])[0]


def look(place: Path, origin: str, address: str, suite: str) -> Offer:
    """What the suite lists; apt checks the list against the archive keyring.

    Raises CommandFailed.
    """
    component = "universe" if origin == "Ubuntu" else "main"
    line = f"deb-src [signed-by={debian.KEYRINGS[origin]}] {address} {suite} {component}\n"
    options = debian.scratch(place, sources=line)
    run("apt-get", *options, "update", "-qq", "--error-on=any")
    version = max(debian.source_versions("pgbouncer", options), key=packages.order)
    return Offer(f"{origin} {suite}", version, place, tuple(options))


def fetch(offer: Offer) -> Path:
    """The source with Debian's patches; apt checks it against the list. Raises CommandFailed."""
    place = offer.place
    package = f"pgbouncer={offer.version}"
    run("apt-get", *offer.options, "source", "--download-only", package, cwd=place)
    run("tar", "-xf", the_one(place, "pgbouncer_*.orig.tar.?z"), cwd=place)
    source = the_one(place, "pgbouncer-*/configure").parent
    shutil.rmtree(source / "debian", ignore_errors=True)
    run("tar", "-xf", the_one(place, "pgbouncer_*.debian.tar.?z"), cwd=source)
    apply_patches(source)
    return source


def the_one(place: Path, pattern: str) -> Path:
    """The file in there that has to be there once. Raises CommandFailed."""
    found = list(place.glob(pattern))
    if len(found) != 1:
        raise CommandFailed(f"{len(found)} files {pattern} in the source package")
    return found[0]


def apply_patches(source: Path) -> None:
    """Debian's patches: all of `debian/patches/series`, as strictly as dpkg-source takes them.

    Raises CommandFailed.
    """
    patches = source / "debian" / "patches"
    series = patches / "series"
    for line in series.read_text().splitlines() if series.exists() else ():
        if name := re.sub(r"(^|\s+)#.*$", "", line).strip():
            options = ("-p1", "--batch", "--forward", "--fuzz=0", "--input", patches / name)
            run("patch", *options, cwd=source)


def make(source: Path, version: str) -> None:
    # c-ares is left out: libevent resolves names well enough, and it is one thing less to install.
    run("./configure", "--without-cares", cwd=source)
    run("make", f"-j{os.cpu_count()}", "pgbouncer", cwd=source)
    keep(source / "pgbouncer", [], version)


def keep(binary: Path, libraries: list[Path], package: str) -> None:
    """Put it into the cache, whole or not at all, and where root's servers reach it.

    `package` is the version of its Debian package. Raises CommandFailed when it does not run.
    """
    home().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home(), prefix=".new-") as name:
        new = Path(name) / "new"
        for directory, files in (("bin", [binary]), ("lib", libraries)):
            (new / directory).mkdir(parents=True, mode=0o755)
            for file in files:
                shutil.copy2(file, new / directory / file.name, follow_symlinks=False)
        if not libraries:
            (new / "lib").rmdir()
        if version_of(new / "bin" / "pgbouncer") is None:
            raise CommandFailed(f"{binary} does not run")
        run("sync", "--file-system", new)  # a power cut leaves all of it or nothing
        target = home() / package
        if version_of(target / "bin" / "pgbouncer") is None:
            if target.exists():  # of another machine, or cut short
                target.rename(Path(name) / "old")
            try:
                new.replace(target)
            except OSError:
                if version_of(target / "bin" / "pgbouncer") is None:
                    raise  # else another devdb was faster
