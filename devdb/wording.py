"""Words that more than one room has to find."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant; None where none is like it."""
    import difflib  # 3 ms that only a mistake costs

    return next(iter(difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.5)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`Did you mean 'shop'? `, to stand before what else there is; empty where none is like it."""
    meant = nearest(name, known)
    return f"Did you mean '{meant}'? " if meant else ""
