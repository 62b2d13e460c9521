"""What a project says of its template, beside the function that builds it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Template:
    """A function that builds the template, and the files that it depends on.

    `files` are globs from pytest's rootdir; what a directory has in it counts too. The file that
    the function is in always does, and nothing else: one of them that changes, and the template is
    built anew.
    """

    build: Callable[[str], object]
    files: Sequence[str] = ()
