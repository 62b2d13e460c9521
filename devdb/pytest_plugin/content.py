"""A digest of what could make another schema: a project's files, and the packages it runs with."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

LARGE = 8 * 1024 * 1024
"""Bytes from which on a file is known by its size and time, and not read."""
MOST = 100_000
"""Files of a project that are looked at; with more of them it is another one in each run."""

_NEVER = frozenset({"__pycache__", "node_modules"})
# What a run of tests writes, and nobody ignored.
_WRITTEN = ("*.pyc", "*.log", ".coverage*", "coverage.xml", "junit*.xml")
_INSTALLED = (".dist-info", ".egg-info")
_TESTS = re.compile(rb"def test|class Test|TestCase")

_File = tuple[bytes, bytes]
"""A path, and what tells its content."""


class TooMany(Exception):
    """It is no project's directory: it has more files than can be looked at."""


def of_project(root: Path, tests: Sequence[str]) -> str:
    """The digest of all that could take part: what git tracks in the directory or would, else
    what is in it and not hidden; the same of packages that are installed as links to their source;
    the names of all other packages.

    Files with tests in them, and with a name of these patterns, do not count.
    Raises TooMany.
    """
    roots = [root, *(each for each in _linked() if not _is_below(each, root))]
    found = [b"packages", *_packages()]
    for each in roots:
        found.append(os.fsencode(each))
        found += [b"\0".join(file) for file in sorted(_tree(each, tests))]
    return digest(found)


def of_files(root: Path, files: Iterable[Path]) -> str:
    """The digest of these files, and of all that is in those that are directories."""
    found: list[bytes] = []
    for file in sorted(files):
        name = os.fsencode(os.path.relpath(file, root))
        inside = _walk(file) if file.is_dir() else [(b"", _told(file))]
        found += [b"\0".join((name, *each)) for each in sorted(inside)]
    return digest(found)


def digest(parts: Iterable[bytes]) -> str:
    """One of all these parts, in their order; in hexadecimal."""
    made = hashlib.sha256()
    for part in parts:
        made.update(b"%d:%b" % (len(part), part))
    return made.hexdigest()


def shared_file(run: str) -> Path:
    """Where the processes of that run of xdist's tell each other what the project's content is."""
    return Path(tempfile.gettempdir()) / f"devdb-tests-{run}"


def once_a_run(path: Path, make: Callable[[], str]) -> str:
    """What `make` returned to the first process that asked; `path` is where the others read it.

    Files that the tests write as they run would else be other content to each of them.
    """
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        known = file.read()
        if not known:
            known = make()
            file.write(known)
        return known


def _tree(root: Path, tests: Sequence[str]) -> Iterator[_File]:
    listed = _tracked(root)
    for count, (path, told) in enumerate(
        _walk(root, and_beyond=True) if listed is None else listed
    ):
        if count >= MOST:
            raise TooMany
        if not _is_test(root, path, tests):
            yield path, told
    for file in root.glob(".env*"):  # mostly ignored, and mostly read
        if file.is_file():
            yield os.fsencode(file.name), _told(file)


def _is_test(root: Path, path: bytes, tests: Sequence[str]) -> bool:
    """Whether it is one of pytest's files. The name is not enough: `ab_test.py` may be a model."""
    name = os.fsdecode(path)
    within = (name, name.rpartition("/")[2])
    if not any(fnmatch.fnmatchcase(each, pattern) for pattern in tests for each in within):
        return False
    try:
        return _TESTS.search((root / name).read_bytes()) is not None
    except OSError:
        return False


def _tracked(root: Path) -> list[_File] | None:
    """What git tracks there or does not ignore; None where there is no git or no repository.

    Unchanged files are not read: git knows their content by their size, times and inode.
    """
    entries = _git(root, "ls-files", "-z", "-s", "-v")
    changed = _git(root, "ls-files", "-z", "-m", "-o", "--exclude-standard")
    if entries is None or changed is None:
        return None
    found: dict[bytes, bytes] = {}
    beyond: list[bytes] = []
    for entry in entries:
        facts, _, path = entry.partition(b"\t")
        tag, mode, identity, _ = facts.split(b" ")
        found[path] = found.get(path, b"") + identity
        # Git was told not to look at those that are `h` or `S`.
        if tag != b"H":
            found[path] = _told(root / os.fsdecode(path))
        if mode in (b"120000", b"160000"):
            beyond.append(path)
    venvs = tuple(each[: -len(b"pyvenv.cfg")] for each in changed if each.endswith(b"/pyvenv.cfg"))
    for path in changed:
        if path.endswith(b"/"):  # a repository in the repository
            beyond.append(path)
        elif path in found or not (_is_written(path) or path.startswith(venvs)):
            found[path] = _told(root / os.fsdecode(path))
            if (root / os.fsdecode(path)).is_symlink():
                beyond.append(path)
    return [
        *found.items(),
        *(file for each in dict.fromkeys(beyond) for file in _beyond(root, each)),
    ]


def _beyond(root: Path, path: bytes) -> Iterator[_File]:
    """What a link leads to outside of the directory, and what is in a repository within."""
    place = root / os.fsdecode(path)
    if place.is_symlink() and _is_below(place.resolve(), root.resolve()):
        return
    if not place.is_dir():
        yield path + b"/", _told(place.resolve())
    elif place.name not in _NEVER and not (place / "pyvenv.cfg").exists():
        inside = _tracked(place) if (place / ".git").exists() else None
        for name, told in _walk(place) if inside is None else inside:
            yield b"/".join((path, name)), told


def _git(root: Path, *words: str) -> list[bytes] | None:
    command = ["git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", *words]
    # Those of a hook of git's speak of what is being committed.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        done = subprocess.run(
            command, cwd=root, env=environment, stdin=subprocess.DEVNULL, capture_output=True
        )
    except OSError:
        return None
    return [each for each in done.stdout.split(b"\0") if each] if done.returncode == 0 else None


def _is_written(path: bytes) -> bool:
    """Whether it is nobody's source, though git would take it."""
    *above, name = os.fsdecode(path).split("/")
    if any(each in _NEVER or each.startswith(".") for each in above):
        return True
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in _WRITTEN)


def _walk(root: Path, *, and_beyond: bool = False) -> Iterator[_File]:
    """What is in the directory, without what is hidden, cached or installed there.

    `and_beyond`: what links lead to, too. Raises TooMany.
    """
    count = 0
    for directory, inner, files in os.walk(root):
        inner[:] = [
            each
            for each in inner
            if each not in _NEVER
            and not each.startswith(".")
            and not Path(directory, each, "pyvenv.cfg").exists()
        ]
        links = [each for each in inner if Path(directory, each).is_symlink()]
        for name in (*files, *links):
            here = Path(directory, name)
            path = os.fsencode(os.path.relpath(here, root))
            if name.startswith(".") or _is_written(path):
                continue
            yield path, _told(here)
            count += 1
            if count > MOST:
                raise TooMany
            if and_beyond and here.is_symlink():
                yield from _beyond(root, path)


def _told(path: Path) -> bytes:
    """What tells the content of a file, as git has it: committing it makes it no other."""
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            content = os.fsencode(path.readlink())
        elif not stat.S_ISREG(status.st_mode):
            return b"special"
        elif status.st_size >= LARGE:
            return b"%d %d" % (status.st_size, status.st_mtime_ns)
        else:
            content = path.read_bytes()
    except OSError:
        return b"unreadable"
    blob = hashlib.sha1(b"blob %d\0" % len(content), usedforsecurity=False)
    blob.update(content)
    return blob.hexdigest().encode()


def _packages() -> Iterator[bytes]:
    """Python, and each package that is installed, with the time of that."""
    yield sys.version.encode()
    for entry in _installed():
        yield b"%b %d" % (os.fsencode(entry.path), entry.stat().st_mtime_ns)


def _linked() -> list[Path]:
    """The directories of packages that were installed as links (`pip install -e`)."""
    found = []
    for entry in _installed():
        try:
            origin = json.loads(Path(entry.path, "direct_url.json").read_bytes())
            if origin["dir_info"]["editable"]:
                found.append(Path(unquote(urlsplit(origin["url"]).path)))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sorted(each for each in found if each.is_dir())


def _installed() -> list[os.DirEntry[str]]:
    found = []
    for place in dict.fromkeys(sys.path):
        try:
            with os.scandir(place or ".") as entries:
                found += [each for each in entries if each.name.endswith(_INSTALLED)]
        except OSError:
            continue
    return sorted(found, key=lambda entry: entry.path)


def _is_below(path: Path, root: Path) -> bool:
    return path == root or root in path.parents
