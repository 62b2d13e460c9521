"""Whose a thing in an engine is, as eight hex digits: this user's, on this machine."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from pathlib import Path

from devdb import marker, paths
from devdb.errors import DevdbError
from devdb.replacing import in_place_of

_LOCK = ".id"
"""No instance has this name."""


def ensure() -> str:
    """This data home's digits; raises DevdbError where its id is not there and cannot be made.

    The path alone would not tell two machines apart, where both have a user of one name.
    """
    while (known := existing()) is None:
        _make()
    return known


def existing() -> str | None:
    """This data home's digits; None where nothing was made from it yet."""
    try:
        kept = _place().read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DevdbError(
            f"Cannot read {_place()}: {error.strerror or error}.", paths.way_out(error, _place())
        ) from error
    if not re.fullmatch(rb"[0-9a-f]{32}", kept):
        raise DevdbError(
            f"{_place()} is not as devdb wrote it, and says which containers and volumes are ours.",
            "Restore it from a backup, or delete it: then devdb makes new ones beside them.",
        )
    return _digits(os.fsencode(paths.data_home()) + b"\0" + kept)


def of_path() -> str:
    """The digits that devdb gave until its data home had an id: of the path alone."""
    return _digits(os.fsencode(paths.data_home()))


def _digits(words: bytes) -> str:
    return hashlib.sha256(words).hexdigest()[:8]


def _place() -> Path:
    return paths.data_home() / "id"


def _make() -> None:
    """Write an id, unless another devdb did meanwhile."""
    with marker.locked(_LOCK, timeout=10):
        if _place().exists():
            return
        try:
            with in_place_of(_place(), durable=True) as (file, _):
                file.write(secrets.token_hex(16).encode())
        except OSError as error:
            raise DevdbError(
                f"Cannot write {_place()}: {error.strerror or error}.",
                paths.way_out(error, _place()),
            ) from error
