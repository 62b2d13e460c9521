"""The words that command line, dashboard and errors share: sizes, times, counts, likely names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

_SIZES = ("kB", "MB", "GB", "TB")
_TIMES = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def size(count: int) -> str:
    """Bytes as people read them, e.g. `7.4 MB`."""
    amount, unit = float(count), "B"
    for larger in _SIZES:
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"


def span(seconds: float) -> str:
    """A long time in its largest unit and the next one, e.g. `3 h 12 min`, `1 min 30 s`, `1 h`.

    What is negative is `0 s`. No unit is skipped: beside hours no seconds count.
    """
    left = max(0, int(seconds))
    for (unit, length), (smaller, its_length) in pairwise(_TIMES):
        if left >= length:
            rest = left % length // its_length
            return f"{left // length} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{left} s"


def since(moment: datetime | None) -> str:
    """How long ago that was; empty for never."""
    return span((datetime.now(UTC) - moment).total_seconds()) if moment else ""


def elapsed(seconds: float) -> str:
    """What a step took, to the tenth: `0.4 s`; in minutes from 100 s on: `2:05 min`."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02} min"


def count(number: int, thing: str) -> str:
    """`1 session`, `2 sessions`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def env_change(action: str, *, old: str | None = None, places: int = 1) -> str:
    """What became of a key in a `.env` file, e.g. `replaced in 2 places (was postgresql://...)`."""
    where = f" in {places} places" if places > 1 else ""
    return f"{action}{where}{f' (was {old})' if old else ''}"


def env_warnings(path: Path, *, is_open: bool, git: str | None) -> list[str]:
    """What is to be done for the passwords in a `.env` file to stay with its owner.

    `is_open`: others on the machine can read it. `git` as in `envfile.Git`.
    """
    found = []
    if is_open:
        found.append(f"others can read {path}; chmod 600 {path}")
    if git == "tracked":
        other = ", or write another: devdb env --file .env.local"
        instead = other if path.name != ".env.local" else ""
        found.append(
            f"git tracks {path}, so a commit has its passwords; "
            f"git rm --cached {path.name}{instead}"
        )
    elif git == "offered":
        found.append(f"git does not ignore {path}; echo {path.name} >> .gitignore")
    return found


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant; None where none is like it, or several are."""
    return meaning(name, {word: word for word in known})


def meaning(typed: str, words: Mapping[str, str]) -> str | None:
    """What the word stands for that was probably meant; None where that is not beyond doubt.

    That is one which begins with what was typed (three letters at least), or which is one slip of
    the finger from it, two in a long word, with the first letter right. Rather none than a wrong
    one: people type what they are told.
    """
    typed = typed.lower()
    for word, meant in words.items():
        if word.lower() == typed:
            return meant
    begun = {meant for word, meant in words.items() if word.lower().startswith(typed)}
    if begun and len(typed) >= _BEGINNING:
        return begun.pop() if len(begun) == 1 else None
    by_slips: dict[int, set[str]] = {}
    for word, meant in words.items():
        by_slips.setdefault(_slips(typed, word.lower()), set()).add(meant)
    fewest = min(by_slips, default=0)
    is_near = fewest <= (2 if len(typed) >= _LONG else 1)
    return by_slips[fewest].pop() if is_near and len(by_slips.get(fewest, ())) == 1 else None


_BEGINNING, _LONG = 3, 10
_FAR = 99


def _slips(typed: str, word: str) -> int:
    """How many letters are wrong, missing, too many or swapped with their neighbour."""
    if typed[1:2] + typed[:1] + typed[2:] == word:
        return 1
    if typed[:1] != word[:1] or len(typed) < _BEGINNING:
        return _FAR
    before: list[int] = []
    row = list(range(len(word) + 1))
    for i, letter in enumerate(typed, 1):
        older, before, row = before, row, [i]
        for j, other in enumerate(word, 1):
            least = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and (letter, typed[i - 2]) == (word[j - 2], other):
                least = min(least, older[j - 2] + 1)
            row.append(least)
    return row[-1]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`Did you mean 'shop'? `, to stand before what else there is; empty where none is like it."""
    meant = nearest(name, known)
    return f"Did you mean '{meant}'? " if meant else ""
