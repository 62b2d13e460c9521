"""The one JSON envelope of all commands; its version changes when a field changes its meaning."""

from __future__ import annotations

import json
from typing import Any

from devdb.errors import DevdbError

VERSION = 1


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
    """The four fields of an error."""
    return {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "exit_code": int(error.exit_code),
    }


def _text(envelope: dict[str, Any], *, indent: int | None = 2) -> str:
    # ASCII: a locale without UTF-8 must not be able to spoil it; DEL is no text either.
    return json.dumps(envelope, indent=indent).replace("\x7f", "\\u007f")
