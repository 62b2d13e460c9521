"""Setting one key of a project's `devdb.toml`, and leaving every other byte of it as it is."""

from __future__ import annotations

import errno
import os
import re
import tomllib
from pathlib import Path

from devdb import replacing
from devdb.config.file import FILE
from devdb.errors import DevdbError

_MARK = "\ufeff"  # the byte order mark, which TOML has no room for
_LINE_FEED = re.compile(r"(?<!\r)\n")


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
    text = before.removeprefix(_MARK)
    after = before[: len(before) - len(text)] + edited(text, key, value)
    if after == before:
        return
    # Renaming over it would work, and for root writing would too: but its owner said read-only.
    if status and not (status.st_mode & 0o222 and os.access(target, os.W_OK)):
        raise PermissionError(errno.EACCES, "it is read-only")
    replacing.rewrite(target, after.encode(), status, mode=0o644)


def edited(text: str, key: str, value: str) -> str:
    """The text with the key set at the top level.

    Raises ValueError where the text is no TOML.
    """
    import tomlkit  # 30 ms that only who chooses a client needs

    if tomllib.loads(text).get(key) == value:
        return text
    document = tomlkit.parse(text)
    document[key] = value
    after = tomlkit.dumps(document)
    has_crlf = "\r\n" in text and not _LINE_FEED.search(text)
    return _LINE_FEED.sub("\r\n", after) if has_crlf else after  # what it adds ends in \n
