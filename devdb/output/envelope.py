"""The one JSON envelope of all commands; its version changes when a field changes its meaning."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import Any

from devdb.errors import DevdbError

VERSION = 1


@dataclass(frozen=True, slots=True)
class Written:
    """A value that is JSON already; beyond ASCII it has nothing but in strings."""

    text: str


def ok(command: str, data: dict[str, Any], *, success: bool = True) -> str:
    """What a command reports; `success` is whether its exit code is 0."""
    return _text({"version": VERSION, "ok": success, "command": command, "data": data})


def one_of_many(command: str, data: dict[str, Any]) -> str:
    """The same for one thing of a stream of them, on one line."""
    return _text({"version": VERSION, "ok": True, "command": command, "data": data}, indent=None)


def failed(error: DevdbError) -> str:
    """An error, as data."""
    return _text({"version": VERSION, "ok": False, "error": as_json(error)})


def as_json(error: DevdbError) -> dict[str, Any]:
    """The four fields of an error, and what else is known of it."""
    return {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "exit_code": int(error.exit_code),
        **error.more,
    }


def _text(envelope: dict[str, Any], *, indent: int | None = 2) -> str:
    # ASCII: a locale without UTF-8 must not be able to spoil it; DEL is no text either.
    written: list[str] = []

    def hold(value: Any) -> str:
        written.append(value.text)
        return _PLACE

    text = json.dumps(envelope, indent=indent, default=hold)
    first, *rest = text.split(f'"{_PLACE}"')
    whole = "".join((first, *(part for pair in zip(written, rest, strict=True) for part in pair)))
    return _UNWRITTEN.sub(_escaped, whole)


_PLACE = os.urandom(16).hex()
"""What stands for a Written; nobody else's text can be it."""
_UNWRITTEN = re.compile("[^\x00-\x7e]")


def _escaped(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1] if found[0] != "\x7f" else "\\u007f"
