"""Setting one key of a project's `devdb.toml`, and leaving every other byte of it as it is."""

from __future__ import annotations

import errno
import json
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from devdb import replacing
from devdb.config.settings import FILE
from devdb.errors import DevdbError

_HEADER = re.compile(r"[ \t]*\[")
_COMMENT = re.compile(r"[ \t]*#")


def keep(project: Path, key: str, value: str) -> Path:
    """Set the key to that text, in place where it stands, else above the tables; returns the file.

    A project without a `devdb.toml` gets one. Raises DevdbError; then the file is as it was.
    """
    path = project / FILE
    try:
        _set(path.resolve(), key, value)
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DevdbError(
            f"{path} was not changed: {reason}.", f'Write it there yourself: {key} = "{value}"'
        ) from error
    return path


def _set(target: Path, key: str, value: str) -> None:
    status = target.stat() if target.exists() else None
    before = target.read_bytes().decode() if status else ""
    after = edited(before, key, value)
    if after == before:
        return
    # Renaming over it would work, and for root writing would too: but its owner said read-only.
    if status and not (status.st_mode & 0o222 and os.access(target, os.W_OK)):
        raise PermissionError(errno.EACCES, "it is read-only")
    replacing.rewrite(target, after.encode(), status, mode=0o644)


def edited(text: str, key: str, value: str) -> str:
    """The text with the key set at the top level.

    Raises ValueError where the text is no TOML, and where the key has no line of its own.
    """
    before = tomllib.loads(text)
    if before.get(key) == value:
        return text
    wanted = {**before, key: value}
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    candidates = _replaced(lines, key, value) if key in before else _inserted(lines, key, value)
    # What a line means depends on the lines above it (a text of many lines, a table), so the
    # reader decides: a candidate is right if it reads as the same file with the key set.
    for candidate in candidates:
        if _reads_as(candidate, wanted):
            return candidate
    raise ValueError(f"its '{key}' is not on a line of its own")


def _replaced(lines: list[str], key: str, value: str) -> Iterator[str]:
    assignment = re.compile(
        rf"""([ \t]*(?:{key}|"{key}"|'{key}')[ \t]*=[ \t]*)"""
        r"""("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^\s#"']+)"""
    )
    for index, line in enumerate(lines):
        if match := assignment.match(line):
            new = match[1] + _quoted(value) + line[match.end() :]
            yield "".join([*lines[:index], new, *lines[index + 1 :]])


def _inserted(lines: list[str], key: str, value: str) -> Iterator[str]:
    newline = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    for index in (_end_of_top(lines), *range(len(lines), -1, -1)):
        above = lines[:index]
        if above and not above[-1].endswith("\n"):
            above[-1] += newline
        yield "".join([*above, f"{key} = {_quoted(value)}{newline}", *lines[index:]])


def _end_of_top(lines: list[str]) -> int:
    """Where the top level ends: above the first table, its comment, and what is blank there."""
    end = next((at for at, line in enumerate(lines) if _HEADER.match(line)), len(lines))
    if end < len(lines):
        while end and _COMMENT.match(lines[end - 1]):
            end -= 1
        while end and not lines[end - 1].strip():
            end -= 1
    return end


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _reads_as(text: str, wanted: dict[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        return False
