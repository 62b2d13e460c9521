"""Writing a `.env` file: whole or not at all, to the file that is meant, with its mode kept."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from devdb import replacing
from devdb.decoding import decoded
from devdb.envfile.text import Change, assignments, edit
from devdb.errors import DevdbError

FILES = (".env", ".env.development", ".env.local", ".env.development.local")
"""What the frameworks read on a developer's machine, the later above the earlier."""

# A repository's own configuration may name a program for git to run; not for a look at a file.
_GIT = ("git", "-c", "core.fsmonitor=false")
_PRINT = "see what to write with: devdb env --print"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written where, or would have been."""

    path: Path
    """The file that has the text: the target, where a symbolic link was named."""
    link: Path | None
    """The symbolic link that was followed (inside the project), if any."""
    created: bool
    changed: bool
    """Whether the file's bytes differ from before."""
    changes: tuple[Change, ...]
    diff: str = field(repr=False)
    mode: int
    """The file's permission bits, e.g. 0o600."""

    @property
    def readable_by_others(self) -> bool:
        """Whether the group or everybody may read the passwords in it."""
        return os.name == "posix" and bool(self.mode & (stat.S_IRGRP | stat.S_IROTH))


def write(
    path: Path,
    values: Mapping[str, str],
    *,
    project: Path | None,
    comments: Mapping[str, str] = {},
    dry_run: bool = False,
) -> Written:
    """Set the keys in the file; a new one is 0600, one that was there keeps mode and owner.

    A symbolic link is followed within the project (outside of one: within its directory), and
    refused where it leads out. Nothing is touched with `dry_run`, or where nothing changes.
    Raises DevdbError; then the file is as it was.
    """
    target = _target(path, project)
    status = _status(target)
    before = _read(target) if status else ""
    edited = edit(before, values, comments=comments)
    changed = edited.text != before or status is None
    if changed and status:
        _refuse_read_only(target, status)
    if changed and not dry_run:
        _replace(target, edited.text.encode("utf-8", "surrogateescape"), status)
    return Written(
        path=target,
        link=path if path.is_symlink() else None,
        created=status is None,
        changed=changed,
        changes=edited.changes,
        diff=edited.diff,
        mode=stat.S_IMODE(status.st_mode) if status else 0o600,
    )


def read(path: Path) -> dict[str, str]:
    """What the file assigns; nothing where there is none, or none that can be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a FIFO would wait for a writer
            return {}
        return assignments(decoded(path.read_bytes(), errors="replace"))
    except (OSError, ValueError):
        return {}


def present(directory: Path, names: Iterable[str] = FILES) -> dict[str, dict[str, str]]:
    """Those of these files in the directory that assign something, by name, and what."""
    found = {name: read(directory / name) for name in names}
    return {name: values for name, values in found.items() if values}


class Git(StrEnum):
    """What git does with a file."""

    TRACKED = "tracked"
    """It is in the repository, whatever .gitignore says."""
    IGNORED = "ignored"
    OFFERED = "offered"
    """`git add .` would take it."""


def git_has(path: Path) -> Git | None:
    """What git does with the file; None outside a repository or without git."""
    if _git("--literal-pathspecs", "ls-files", "--error-unmatch", path=path) == 0:
        return Git.TRACKED
    return {0: Git.IGNORED, 1: Git.OFFERED}.get(_git("check-ignore", "-q", path=path))


def _git(*command: str, path: Path) -> int:
    import subprocess  # 5 ms that a look at a file does not need

    try:
        return subprocess.run(
            [*_GIT, "-C", str(path.parent), *command, "--", path.name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=5,
            check=False,
        ).returncode
    except (OSError, subprocess.TimeoutExpired):
        return -1


def _target(path: Path, project: Path | None) -> Path:
    """The file behind the path, all symbolic links followed."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps its '..'
    try:
        target = absolute.resolve()
        fence = _fence(absolute, project)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        raise DevdbError(
            f"{path} cannot be followed: {_reason(error)}.", "Remove or mend the symbolic link."
        ) from error
    if not target.is_relative_to(fence):
        raise DevdbError(
            f"{path} is a symbolic link to {target}, outside {fence}.",
            f"If that file is meant, name it: devdb env --file {target}",
        )
    return target


def _fence(absolute: Path, project: Path | None) -> Path:
    """The directory that links may not lead out of."""
    directory = absolute.parent.resolve()
    if project is None:
        return directory
    root = project.resolve()
    inside = absolute.is_relative_to(project.absolute()) or directory.is_relative_to(root)
    return root if inside else directory


def _status(target: Path) -> os.stat_result | None:
    """The file's status; None where there is no file yet."""
    try:
        status = target.stat()
    except FileNotFoundError:
        if target.parent.is_dir():
            return None
        raise DevdbError(
            f"There is no directory {target.parent}.", f"Make it: mkdir -p {target.parent}"
        ) from None
    except OSError as error:
        raise DevdbError(
            f"{target} cannot be looked at: {_reason(error)}.",
            f"Fix the modes of its directories, or {_PRINT}",
        ) from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise DevdbError(f"{target} is {kind}.", "Name another file: devdb env --file FILE")
    return status


def _read(target: Path) -> str:
    try:
        content = target.read_bytes()
    except OSError as error:
        raise DevdbError(
            f"{target} cannot be read: {_reason(error)}.", f"Make it readable, or {_PRINT}"
        ) from error
    if b"\0" in content:
        raise DevdbError(
            f"{target} is not UTF-8 text (it has NUL bytes; UTF-16?).",
            f"Save it as UTF-8, or {_PRINT}",
        )
    return content.decode("utf-8", "surrogateescape")


def _refuse_read_only(target: Path, status: os.stat_result) -> None:
    # Renaming over it would work, and for root writing would too: but its owner said read-only.
    if not status.st_mode & 0o222 or not os.access(target, os.W_OK):
        raise DevdbError(
            f"{target} is read-only.", f"Make it writable: chmod u+w {target}; or {_PRINT}"
        )


def _replace(target: Path, content: bytes, status: os.stat_result | None) -> None:
    try:
        replacing.rewrite(target, content, status, mode=0o600)
    except OSError as error:
        raise DevdbError(
            f"{target} cannot be written: {_reason(error)}.",
            f"It is as it was. Make room or fix the directory's mode, or {_PRINT}",
        ) from error


def _reason(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
