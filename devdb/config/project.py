"""Where a project begins, and the repository that it is in."""

from __future__ import annotations

from pathlib import Path

from devdb.config.file import FILE

_MARKS = (FILE, ".git", "pyproject.toml", "package.json")
_REPOSITORY = (".git", ".hg", ".jj", ".svn")


def project_root(start: Path) -> Path:
    """The nearest directory upward with a project's mark in it; `start` where there is none."""
    start = start.absolute()
    return next((each for each in (start, *start.parents) if is_project(each)), start)


def is_project(directory: Path) -> bool:
    """Whether the directory has a project's mark in it."""
    return any((directory / mark).exists() for mark in _MARKS)


def repository_root(start: Path) -> Path | None:
    """The root of the repository that a directory is in; None outside of one.

    A git worktree's and a submodule's are their own.
    """
    around = (start, *start.parents)
    return next((each for each in around for mark in _REPOSITORY if (each / mark).exists()), None)
