"""Setting keys in the text of a `.env` file.

What counts as an assignment is what the readers agree on (dotenv for Node, python-dotenv,
Docker Compose, dotenv for Ruby, a shell): `KEY=value`, perhaps `export` before it, the value bare
or in quotes and then perhaps many lines long, a comment behind it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from devdb.errors import UsageError
from devdb.masking import masked_value

COMMENT = "# devdb: "
"""How a comment line of devdb's own begins; above a key, it is devdb's to change."""

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNMENT = re.compile(
    r"""
    (?P<head> [ \t]* (?:export[ \t]+)? (?P<key>[A-Za-z_][\w.-]*) (?: [ \t]*=[ \t]* | :[ \t]+ ) )
    (?: (?P<quoted> '(?:\\'|[^'])*' | "(?:\\"|[^"])*" | `(?:\\`|[^`])*` )
        (?= [ \t]* (?: \#[^\r\n]* )? (?: [\r\n] | \Z ) )
      | (?P<bare> (?=\#) | [^\r\n]*? (?= [ \t]* (?: [\r\n] | \Z ) | [ \t]+\# ) )
    )
    (?P<tail> [^\r\n]* )
    """,
    re.VERBOSE | re.ASCII,
)
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)?")
_BARE = re.compile(r"[\w%+,./:=?@-]*", re.ASCII)
_NEVER = re.compile(r"[\x00-\x1f\x7f$\\`]")


class Action(StrEnum):
    """What became of a key."""

    ADDED = "added"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of one key."""

    key: str
    action: Action
    old: str | None = None
    """With REPLACED: the first value that was there, passwords hidden."""
    places: int = 1
    """How many lines of the file assign the key (the readers differ in which one they take)."""


@dataclass(frozen=True, slots=True)
class Edited:
    """The new text, and what became of each key in the order they were given."""

    text: str = field(repr=False)
    changes: tuple[Change, ...]
    diff: str = field(repr=False)
    """A unified diff without context; the removed values are masked, the added ones are not."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A line, or an assignment with all its lines; the text is what its parts join up to."""

    head: str
    value: str = ""
    tail: str = ""
    key: str | None = None
    quote: str = ""

    @property
    def text(self) -> str:
        return self.head + self.quote + self.value + self.quote + self.tail


def assignments(text: str) -> dict[str, str]:
    """What the file assigns, without the quotes; of a key that it assigns twice, the last value."""
    return {piece.key: piece.value for piece in _pieces(text) if piece.key}


def edit(text: str, values: Mapping[str, str], *, comments: Mapping[str, str] = {}) -> Edited:
    """Set each key: in place wherever it is assigned, at the end where it is not.

    `comments` has a line to stand above a key. A key that is commented out is not there.
    Raises UsageError for a key or a value that no two readers would read alike.
    """
    for key, value in values.items():
        _check(key, value, comments.get(key, ""))
    pieces = list(_pieces(text))
    changes = tuple(_change(key, value, pieces) for key, value in values.items())
    newline = _newline(text)
    new: list[str] = []
    for piece in pieces:
        if piece.key in values:
            _set_comment(new, piece.head, comments.get(piece.key or "", ""), newline)
            new.append(_with_value(piece, values[piece.key or ""]).text)
        else:
            new.append(piece.text)
    for change in changes:
        if change.action == Action.ADDED:
            if new and not new[-1].endswith(("\n", "\r")) and new != ["\ufeff"]:
                new.append(newline)
            if comment := comments.get(change.key):
                new.append(f"{COMMENT}{comment}{newline}")
            value = values[change.key]
            new.append(_Piece(f"{change.key}=", value, newline, quote=_quote(value)).text)
    after = "".join(new)
    _verify(pieces, values, after)
    return Edited(after, changes, _diff(pieces, values, after))


def check_key(key: str) -> None:
    """Raise UsageError for what no reader takes for a key."""
    if not _KEY.fullmatch(key):
        raise UsageError(
            f"'{key}' cannot be a key of a .env file.",
            "Use letters, digits and underscores, e.g. DATABASE_URL.",
        )


def _check(key: str, value: str, comment: str) -> None:
    check_key(key)
    if _NEVER.search(value) or ('"' in value and "'" in value):
        raise UsageError(
            f"The value of {key} has characters that .env readers disagree about.",
            "Percent-encode them: control characters, $, \\, `, and one of the two quotes.",
        )
    if re.search(r"[\r\n]", comment):
        raise UsageError(f"The comment above {key} has more than one line.", "Use one line.")


def _pieces(text: str) -> Iterator[_Piece]:
    position = 0
    if text.startswith("\ufeff"):
        yield _Piece("\ufeff")
        position = 1
    while position < len(text):
        match = _ASSIGNMENT.match(text, position)
        if match is None:
            line = _LINE.match(text, position)
            assert line is not None
            yield _Piece(line[0])
            position = line.end()
            continue
        line = _LINE.match(text, match.end())
        assert line is not None
        tail = match["tail"] + line[0]
        if quoted := match["quoted"]:
            yield _Piece(match["head"], quoted[1:-1], tail, match["key"], quoted[0])
        else:
            yield _Piece(match["head"], match["bare"], tail, match["key"])
        position = line.end()


def _newline(text: str) -> str:
    """The line ending of the file: that of its first line."""
    match = re.search(r"\r\n|\r|\n", text)
    return match[0] if match else "\n"


def _change(key: str, value: str, pieces: list[_Piece]) -> Change:
    found = [piece.value for piece in pieces if piece.key == key]
    if not found:
        return Change(key=key, action=Action.ADDED)
    others = [old for old in found if old != value]
    if not others:
        return Change(key=key, action=Action.UNCHANGED, places=len(found))
    old = masked_value(others[0])
    return Change(key=key, action=Action.REPLACED, old=old, places=len(found))


def _with_value(piece: _Piece, value: str) -> _Piece:
    if piece.value == value:
        return piece
    keep = piece.quote in ("'", '"') and piece.quote not in value
    quote = piece.quote if keep else _quote(value)
    # `KEY=#old` had its comment directly behind the equals sign; behind a value it would join it.
    gap = " " if piece.tail.startswith("#") else ""
    return _Piece(piece.head, value, gap + piece.tail, piece.key, quote)


def _quote(value: str) -> str:
    """The quote that some reader needs around the value, if any."""
    if _BARE.fullmatch(value):
        return ""
    return "'" if '"' in value else '"'


def _verify(before: list[_Piece], values: Mapping[str, str], after: str) -> None:
    """A quote that was left open higher up could swallow a new line, or be closed by it."""
    pieces = list(_pieces(after))
    others = [
        [p.text.rstrip("\r\n") for p in some if p.key and p.key not in values]
        for some in (before, pieces)
    ]
    found = {p.key: p.value for p in pieces if p.key in values}
    if found != dict(values) or others[0] != others[1]:
        raise UsageError(
            "A quote in the .env file is opened and never closed, so keys cannot be set safely.",
            "Close the quote and try again, or see what to write with: devdb env --print",
        )


def _set_comment(new: list[str], head: str, comment: str, newline: str) -> None:
    """Make `comment` the devdb comment above the line that comes next; empty: none."""
    if new and new[-1].lstrip(" \t").startswith(COMMENT):
        new.pop()
    if comment:
        indent = head[: len(head) - len(head.lstrip(" \t"))]
        new.append(f"{indent}{COMMENT}{comment}{newline}")


def _diff(pieces: list[_Piece], values: Mapping[str, str], after: str) -> str:
    before = "".join(
        piece.head + masked_value(piece.value) + piece.tail
        if piece.key in values and piece.value != values[piece.key or ""]
        else piece.text
        for piece in pieces
    )
    lines = difflib.unified_diff(_lines(before), _lines(after), n=0, lineterm="")
    return "".join(f"{line}\n" for line in list(lines)[2:] if not line.startswith("@@"))


def _lines(text: str) -> list[str]:
    return re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff"))
