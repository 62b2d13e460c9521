"""A PgBouncer that tracks prepared statements and that nobody can crash, in devdb's cache.

The release's own package is unpacked where it is such a one; else a newer one is built from
Debian's source package, with its patches. It ends up as `<cache>/pgbouncer/<version of the Debian
package>/bin/pgbouncer`, the libraries that the system lacks in `lib` beside `bin`. An older one
stays: an instance may be running it.
"""

from __future__ import annotations

import os
import re
import shutil
import tarfile
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from devdb import paths, pgbouncer
from devdb.engines.native import binaries, cache, owner, packages
from devdb.engines.native.binaries import Pooler
from devdb.engines.native.commands import CommandFailed, reason, run
from devdb.engines.native.installing import apt, toolchain
from devdb.engines.waiting import Beats, Work
from devdb.errors import DevdbError

SUITES = {"Debian": ("sid", "testing", "stable"), "Ubuntu": ("devel",)}
"""Where a newer source package may be, the newest first."""
PATIENCE = 7 * 24 * 3600
"""Seconds in which what could not be bettered is not tried again unasked."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A source package that a suite lists."""

    suite: str
    """E.g. `Debian sid`."""
    version: str
    """E.g. `1.24.1-1+deb13u2`."""
    place: Path
    """Where it goes."""
    options: apt.Options
    """With which apt knows it."""

    def __str__(self) -> str:
        return f"PgBouncer {self.version} of {self.suite}"


def there() -> Pooler | None:
    """The PgBouncer that an instance would get now; None when there is none that runs."""
    try:
        return binaries.pooler()
    except DevdbError:
        return None


def lack(found: Pooler | None) -> str | None:
    """What speaks against that one, in a sentence; None: nothing."""
    if found is None:
        return "There is no PgBouncer on this machine that runs."
    return _speaks_against(found.version, found.package, found.text)


def tried_lately() -> bool:
    """Whether a better one could not be had, and not long ago."""
    try:
        return time.time() - not_had().stat().st_mtime < PATIENCE
    except OSError:
        return False


def home() -> Path:
    """The directory in the cache with one directory a version."""
    return paths.cache_home() / "pgbouncer"


def not_had() -> Path:
    """A file that says why a better one could not be had."""
    return home() / "not-built"


def get() -> Work[str]:
    """Get the best that this Debian or Ubuntu offers; returns what came of it, in a few words.

    Raises CommandFailed, OSError when there is none after that, or none better than before.
    """
    with tempfile.TemporaryDirectory(prefix="devdb-", dir=_place_to_build()) as name:
        directory = Path(name)
        options = yield from apt.lists(directory)
        offered = yield from apt.candidate("pgbouncer", options)
        against = _speaks_against(pgbouncer.parse_version(offered), offered) if offered else ""
        if against is None:
            return (yield from _unpack(directory, options))
        is_usable = bool(offered) and pgbouncer.tracks(pgbouncer.parse_version(offered))
        try:
            return (yield from build(directory, options, only_safe=is_usable))
        except CommandFailed as error:
            _note(str(error))
            if there() is not None or not offered:
                raise
        return (yield from _unpack(directory, options))


def _place_to_build() -> Path:
    """Where programs can be run: /tmp keeps them from it on some machines, the cache must not."""
    place = Path(tempfile.gettempdir())
    if os.statvfs(place).f_flag & os.ST_NOEXEC:
        return cache.make_shared(home(), owner.choose())
    return place


def _speaks_against(
    version: tuple[int, int, int], package: str | None, text: str = ""
) -> str | None:
    if not pgbouncer.tracks(version):
        return f"PgBouncer {text or package} cannot track prepared statements."
    return pgbouncer.crash_warning(version, package)


def _unpack(directory: Path, options: apt.Options) -> Work[str]:
    """The release's own package, and the libraries that the system lacks."""
    wanted = yield from apt.lacking(["pgbouncer"], options)
    # It also depends on Postgres' setup scripts, and through them on much of Perl.
    wanted = [each for each in wanted if re.match(r"pgbouncer$|lib(?!.*perl)", each)]
    yield f"PgBouncer and its libraries: {' '.join(wanted)}"
    if "pgbouncer" not in wanted:
        wanted.append("pgbouncer")  # it is installed, and does not run, or is not on PATH
    versions = yield from apt.unpack(wanted, directory, options)
    root, version = directory / "root", versions["pgbouncer"]
    yield from _keep(root / "usr" / "sbin" / "pgbouncer", root, version)
    return f"PgBouncer {version}, this release's own"


def build(directory: Path, options: apt.Options, *, only_safe: bool) -> Work[str]:
    """Build the newest source package of the machine's mirror that can be built.

    One that can be crashed is the last choice, and none if `only_safe`; returns what was built.
    Raises CommandFailed with all reasons, a line each.
    """
    origin, address = yield from apt.mirror(options)
    reasons: list[str] = []
    seen: set[str] = set()
    last_choices: list[Offer] = []
    for suite in SUITES[origin]:
        label = f"{origin} {suite}"
        yield f"PgBouncer's source package of {label}"
        try:
            offer = yield from _look(directory / suite, origin, address, suite)
        except CommandFailed as error:
            reasons.append(f"{label}: {reason(error, first=True)}")
            continue
        if offer.version in seen:
            continue  # the same files, of which it was said
        seen.add(offer.version)
        if _may_crash(offer):
            reasons.append(f"{offer}: a packet can crash it")
            last_choices.append(offer)
        elif (yield from _take(offer, directory, options, reasons)):
            not_had().unlink(missing_ok=True)
            return f"{offer}, built"
    for offer in () if only_safe else last_choices:
        if (yield from _take(offer, directory, options, reasons)):
            _note("\n".join(reasons))
            return f"{offer}, built"
    raise CommandFailed("\n".join(reasons))


def _take(offer: Offer, directory: Path, options: apt.Options, reasons: list[str]) -> Work[bool]:
    """Whether it could be fetched and built; else why is one of the reasons."""
    try:
        yield f"{offer}: fetching"
        source = yield from _fetch(offer)
        environment = yield from toolchain.get(directory, options)
        yield f"{offer}: building"
        yield from _apply_patches(source, environment)
        yield from _make(source, environment)
        yield from _keep(source / "pgbouncer", directory / "root", offer.version)
    except CommandFailed as error:
        reasons.append(f"{offer}: {reason(error, first=True)}")
        return False
    return True


def _note(why: str) -> None:
    """Leave word that there is no better one, and why."""
    cache.make_shared(home(), owner.choose())
    not_had().write_text(f"{why}\n")


def _may_crash(offer: Offer) -> bool:
    return (
        pgbouncer.crash_warning(pgbouncer.parse_version(offer.version), offer.version) is not None
    )


def _look(place: Path, origin: str, address: str, suite: str) -> Work[Offer]:
    """What the suite lists. Raises CommandFailed."""
    options = yield from apt.suite(origin, address, suite, place)
    listed = yield from apt.source_versions("pgbouncer", options)
    return Offer(f"{origin} {suite}", max(listed, key=packages.order), place, options)


def _fetch(offer: Offer) -> Work[Path]:
    """The directory of the source, with Debian's beside it. Raises CommandFailed."""
    place = offer.place
    yield from apt.source("pgbouncer", offer.version, place, offer.options)
    _extract(_the_one(place, "pgbouncer_*.orig.tar.?z"), place)
    source = _the_one(place, "pgbouncer-*/configure").parent
    shutil.rmtree(source / "debian", ignore_errors=True)
    _extract(_the_one(place, "pgbouncer_*.debian.tar.?z"), source)
    return source


def _extract(archive: Path, place: Path) -> None:
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(place)  # noqa: S202 - apt checked its sum against the signed list
    except tarfile.TarError as error:
        raise CommandFailed(f"{archive.name}: {error}") from error


def _the_one(place: Path, pattern: str) -> Path:
    """The file in there that has to be there once. Raises CommandFailed."""
    found = list(place.glob(pattern))
    if len(found) != 1:
        raise CommandFailed(f"{len(found)} files {pattern} in the source package")
    return found[0]


def _apply_patches(source: Path, environment: dict[str, str]) -> Work[None]:
    """Debian's patches: all of `debian/patches/series`, as strictly as dpkg-source takes them.

    Raises CommandFailed.
    """
    patches = source / "debian" / "patches"
    series = patches / "series"
    for line in series.read_text().splitlines() if series.exists() else ():
        if name := re.sub(r"(^|\s+)#.*$", "", line).strip():
            argv = ("patch", "-p1", "--batch", "--forward", "--fuzz=0", "--input", patches / name)
            yield from _built(argv, source, environment)


def _make(source: Path, environment: dict[str, str]) -> Work[None]:
    # c-ares is left out: libevent resolves names well enough, and it is one thing less to have.
    # Without -g, which autoconf adds, it is compiled in 7/8 of the time.
    yield from _built(["./configure", "--without-cares", "CFLAGS=-O2"], source, environment)
    yield from _built(["make", f"-j{os.cpu_count()}", "pgbouncer"], source, environment)


def _built(argv: Sequence[str | Path], source: Path, environment: dict[str, str]) -> Work[None]:
    yield from run(argv, cwd=source, env={**os.environ, **environment})


def _keep(binary: Path, root: Path, package: str) -> Work[None]:
    """Put it into the cache, whole or not at all, and where root's servers reach it.

    `package` is the version of its Debian package; `root` has what was unpacked for it. Raises
    CommandFailed when it does not run, DevdbError when it cannot be put there.
    """
    libraries = yield from _libraries(binary, root)
    yield from run([binary, "--version"], env=_with_libraries(root))
    final = cache.make_shared(home(), owner.choose()) / package

    def copy(new: Path) -> Beats[None]:
        for directory, files in (("bin", [binary]), ("lib", libraries)):
            for file in files:
                (new / directory).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, new / directory / file.name)
        for path in (new, *new.rglob("*")):
            path.chmod(0o755)
        yield

    yield from cache.make(
        final, copy, is_whole=lambda: _runs(final), failed="PgBouncer could not be put into"
    )


def _libraries(binary: Path, root: Path) -> Work[list[Path]]:
    """The shared libraries below `root` that it needs."""
    try:
        needed = yield from run(["ldd", binary], env=_with_libraries(root))
    except CommandFailed:
        return []  # it is no dynamic executable
    found = [Path(each) for each in re.findall(r"=> (/\S+)", needed)]
    return [each for each in found if each.is_relative_to(root)]


def _with_libraries(root: Path) -> dict[str, str]:
    places = apt.libraries(root)
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(map(str, places))}


def _runs(directory: Path) -> bool:
    with suppress(DevdbError):
        return bool(binaries.asked(directory / "bin" / "pgbouncer", "devdb's cache"))
    return False
