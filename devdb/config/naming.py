"""What an instance may be called, and what one is called that nobody named."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

from devdb.errors import UsageError

_LENGTH = 40


def slug(text: str) -> str:
    """An instance name made of a directory's name: ASCII, lower case, at most 40 characters."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "-", ascii_text).strip("-")[:_LENGTH].strip("-")
    return name or "project"


def suffixed(name: str, project: Path) -> str:
    """The name with four hex digits of the project's path behind it."""
    import hashlib  # loads OpenSSL, which most commands need nothing of

    digits = hashlib.sha256(os.fsencode(project)).hexdigest()[:4]
    return f"{name[: _LENGTH - 5]}-{digits}"


def check_name(name: str, source: str = "--name") -> str:
    """The name as it was given; raises UsageError when it is none."""
    if re.fullmatch(rf"[a-z0-9][a-z0-9_-]{{0,{_LENGTH - 1}}}", name) is None:
        shown = name if len(name) <= _LENGTH else f"{name[:_LENGTH]}..."
        raise UsageError(
            f"{source}: {shown!r} is no instance name.",
            f"Lower-case letters, digits, - and _, at most {_LENGTH}; try '{slug(name)}'.",
        )
    return name
