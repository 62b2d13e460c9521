"""Building a PgBouncer from a source package: with its patches, and only when it is needed."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from system import debian, pgbouncer
from system.shell import CommandFailed

from devdb.engines.native import binaries

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
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cache of the test's own."""
    monkeypatch.setenv("DEVDB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("DEVDB_PGBOUNCER", raising=False)


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
    monkeypatch.setitem(debian.KEYRINGS, "Debian", keyring)
    root = tmp_path / "mirror"
    monkeypatch.setattr(debian, "mirror", lambda _: ("Debian", f"file:{root}/"))
    yield Mirror(root)
    subprocess.run(["gpgconf", "--kill", "all"], check=True)


def build(mirror: Mirror, work: Path, *, only_safe: bool = False) -> str:
    """Build from the mirror; what the one that would now be used says of itself."""
    mirror.publish(pgbouncer.SUITES["Debian"])
    pgbouncer.build_one(work / "work", [], lambda: None, only_safe=only_safe)
    path = binaries.pooler().path
    said = subprocess.run([path, "--version"], check=True, capture_output=True, text=True).stdout
    return f"{path.parts[-3]}: {said.strip()}"


def cached(name: str) -> Path:
    """A PgBouncer in the cache."""
    path = pgbouncer.home() / name / "bin" / "pgbouncer"
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho PgBouncer {name.split('-')[0]}\n")
    path.chmod(0o755)
    return path


def test_debians_patches_are_in_what_is_built(mirror: Mirror, tmp_path: Path) -> None:
    old = cached("1.24.1")
    mirror.add("stable", PATCHED, HUNK.format("raw", "half"), HUNK.format("half", "mended"))
    assert build(mirror, tmp_path) == f"{PATCHED}: PgBouncer 1.24.1 mended"
    assert old.exists(), "an instance may be running it"
    assert pgbouncer.good_enough()


def test_a_source_that_cannot_be_had_is_said_in_a_line_and_the_next_is_taken(
    mirror: Mirror, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mirror.add("sid", "1.26.1-1", has_files=False)
    mirror.add("testing", "1.26.0-1", HUNK.format("unlike what is there", "mended"))
    mirror.add("stable", PATCHED, HUNK.format("raw", "mended"))
    assert build(mirror, tmp_path) == f"{PATCHED}: PgBouncer 1.24.1 mended"
    missing, misfit, taken = capsys.readouterr().err.splitlines()
    assert missing.startswith("PgBouncer 1.26.1-1 of Debian sid is not taken: ")
    assert "1.26.1" in missing.split(": ", 1)[1]
    assert misfit.startswith("PgBouncer 1.26.0-1 of Debian testing is not taken: ")
    assert "FAILED" in misfit
    assert taken == f"Building PgBouncer {PATCHED} of Debian stable"


def test_one_that_can_be_crashed_is_the_last_choice_and_not_built_at_each_start(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pgbouncer, "may_build", lambda: True)
    mirror.add("sid", "1.26.1-1", configure="echo no compiler; exit 1")
    mirror.add("testing", "1.25.1-1")
    mirror.add("stable", "1.24.1-1")
    assert build(mirror, tmp_path) == "1.25.1-1: PgBouncer 1.25.1 raw"
    assert pgbouncer.good_enough()
    assert "1.26.1-1 of Debian sid" in pgbouncer.not_built().read_text()


def test_a_mirror_with_nothing_better_is_said_with_every_reason(
    mirror: Mirror, tmp_path: Path
) -> None:
    mirror.add("sid", "1.26.1-1", has_files=False)
    mirror.add("testing", "1.25.1-1")
    with pytest.raises(CommandFailed) as caught:
        build(mirror, tmp_path, only_safe=True)
    for reason in ("1.26.1-1 of Debian sid", "1.25.1-1 of Debian testing", "Debian stable"):
        assert reason in str(caught.value)


def test_a_build_that_was_cut_short_is_made_anew(mirror: Mirror, tmp_path: Path) -> None:
    cached(PATCHED).write_text("")
    mirror.add("stable", PATCHED)
    assert build(mirror, tmp_path) == f"{PATCHED}: PgBouncer 1.24.1 raw"
    assert [path.name for path in pgbouncer.home().iterdir()] == [PATCHED]


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
def test_what_an_older_devdb_built_is_not_good_enough(
    monkeypatch: pytest.MonkeyPatch, name: str, good: bool
) -> None:
    monkeypatch.setattr(pgbouncer, "may_build", lambda: True)
    cached(name)
    assert pgbouncer.good_enough() is good


def test_what_could_not_be_built_is_tried_again_after_a_week_and_goes_on_meanwhile(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(pgbouncer, "may_build", lambda: True)
    monkeypatch.setattr(debian, "lists", lambda _: [])
    monkeypatch.setattr(debian, "candidate", lambda *_: "1.18.0-1+deb12u1")
    monkeypatch.setattr(debian, "mirror", lambda _: ("Debian", f"file:{tmp_path}/none/"))
    monkeypatch.setattr(pgbouncer, "BUILD_NEEDS", ())
    cached("1.24.1")
    pgbouncer.get(with_packages=[])
    assert "Going on with PgBouncer 1.24.1\n" in capsys.readouterr().err
    assert "Debian stable" in pgbouncer.not_built().read_text()
    assert pgbouncer.good_enough()
    a_week_ago = time.time() - 7 * 24 * 3600 - 1
    os.utime(pgbouncer.not_built(), (a_week_ago, a_week_ago))
    assert not pgbouncer.good_enough()
