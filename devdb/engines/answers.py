"""What was asked once and is kept in the cache: believed only when it is whole."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from devdb import paths
from devdb.marker import make_private_directory
from devdb.replacing import in_place_of

Answer = TypeVar("Answer", str, str | None)


def asked(kind: str, question: str, ask: Callable[[], Answer]) -> Answer:
    """The answer to that question: the one that is kept, else what `ask` returns, kept from now.

    None is no answer, and asked for again.
    """
    known = recall(kind, question)
    if known is not None:
        return known
    answer = ask()
    if answer is not None:
        keep(kind, question, answer)
    return answer


def recall(kind: str, question: str) -> str | None:
    """The answer to that question; None when it was not asked before.

    Nor when a power cut left the file empty, half or full of zeros: it begins with its own sum.
    """
    try:
        told, _, answer = _place(kind, question).read_bytes().partition(b"\n")
        return answer.decode() if told == _sum(answer) else None
    except (OSError, UnicodeDecodeError):
        return None


def keep(kind: str, question: str, answer: str) -> None:
    """Write the answer down; it is no loss when it cannot be: it is asked again."""
    place = _place(kind, question)
    data = answer.encode()
    with contextlib.suppress(OSError):
        make_private_directory(place.parent)
        with in_place_of(place) as (file, _):
            file.write(_sum(data) + b"\n" + data)


def _sum(answer: bytes) -> bytes:
    return hashlib.sha256(answer).hexdigest().encode()


def _place(kind: str, question: str) -> Path:
    return paths.cache_home() / "answers" / kind / question
