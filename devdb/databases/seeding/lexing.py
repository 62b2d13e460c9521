"""Cutting a script into statements, commands of psql and data, as psql itself reads it.

What psql reads how: https://www.postgresql.org/docs/current/app-psql.html and, of the lexer,
src/fe_utils/psqlscan.l. Only where a piece ends matters here, so this is a few regular expressions
over large blocks: a dump is mostly data, and that is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import NamedTuple


class Kind(Enum):
    """What a piece of a script is."""

    BLANK = auto()
    """Space and comments between two statements."""
    ROWS = auto()
    """One INSERT, UPDATE or DELETE after another."""
    STATEMENT = auto()
    """With its semicolon, if it has one."""
    BEGUN = auto()
    """The beginning of a statement that a command of psql follows."""
    COMMAND = auto()
    """From a backslash to the end of the line, that included."""
    DATA = auto()
    """Lines of a COPY, the last one (a backslash and a dot) among them."""


class Piece(NamedTuple):
    """Put together again they are the script."""

    kind: Kind
    text: bytes


class CutOff(Exception):
    """The script ends in the middle of something; the text says of what, `line` where it begins."""

    def __init__(self, what: str, line: int) -> None:
        super().__init__(what)
        self.line = line


# What cannot hold a semicolon, a dollar or a backslash that mean anything; nothing in it is given
# back (atomic), so that a regular expression does not try a literal of megabytes twice. Not `*+` of
# a group: up to Python 3.11.4 it misses matches (https://github.com/python/cpython/issues/106052).
_REMARK = rb"/\*(?>(?:[^*/]++|\*(?!/)|/(?!\*))*)\*/"
_WORD = rb"[A-Za-z_\x80-\xff][A-Za-z0-9_$\x80-\xff]*+"
_TOKENS = (
    rb"(?:[^'\"$;\\/\-A-Za-z_\x80-\xff]++"
    rb"|[eE]'(?>(?:[^'\\]++|\\.|'')*)'"
    rb"|(?![eE]')" + _WORD + rb"|'[^']*+'"
    rb'|"[^"]*+"'
    rb"|--[^\n]*+(?=\n)|-(?!-)"
    rb"|/(?!\*)|" + _REMARK + rb")"
)
# So many at once: what is matched is remembered token for token until all of it is.
_SOME = rb"{1,65536}"
_REST = re.compile(_TOKENS + _SOME, re.DOTALL)
_ROWS = re.compile(
    rb"(?:(?i:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s(?>" + _TOKENS + _SOME + rb");\s*+)+", re.DOTALL
)
_BLANK = re.compile(rb"(?:\s++|--[^\n]*+\n|" + _REMARK + rb")+")
_DOLLAR = re.compile(rb"\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*+)?\$")
_COMMENT = re.compile(rb"/\*|\*/")
_COPY = re.compile(rb"(?is)COPY\b.*\bFROM\s+STDIN\b")
_LONGEST_TAG = 128


class Script:
    """A script that is read in blocks; iterate it for its pieces."""

    def __init__(self, read: Callable[[int], bytes], *, block: int = 1 << 20) -> None:
        """`read` returns as many bytes as it is asked for, at least `block` at once, fewer only at
        the end."""
        self._read = read
        self._block = block
        self._buffer = b""
        self._at = 0
        self._ended = False
        self._lines = 1

    def __iter__(self) -> Iterator[Piece]:
        """Raises CutOff."""
        if self._more() and self._buffer.startswith(b"\xef\xbb\xbf"):
            self._at = 3
        while self._at < len(self._buffer) or self._more():
            if found := _ROWS.match(self._buffer, self._at):
                yield self._take(Kind.ROWS, found.end())
            elif found := _BLANK.match(self._buffer, self._at):
                yield self._take(Kind.BLANK, found.end())
            elif self._buffer.startswith(b"\\", self._at) and not self._is_escaped(self._at):
                yield self._take(Kind.COMMAND, self._line_end(self._at))
            else:
                yield from self._statement()

    @property
    def line(self) -> int:
        """The line on which what was not read yet begins."""
        return self._lines

    def unread(self, text: bytes) -> None:
        """Go on with that, the end of what came last."""
        self._lines -= text.count(b"\n")
        self._buffer = text + self._buffer[self._at :]
        self._at = 0

    def _take(self, kind: Kind, end: int) -> Piece:
        text = self._buffer[self._at : end]
        self._at = end
        self._lines += text.count(b"\n")
        return Piece(kind, text)

    def _more(self) -> bool:
        """Read on; twice as much as there is, so that what is long is not looked at too often."""
        if self._ended:
            return False
        kept = self._buffer[self._at :]
        block = self._read(max(self._block, len(kept)))
        self._ended = not block
        self._buffer, self._at = kept + block, 0
        return not self._ended

    def _is_escaped(self, at: int) -> bool:
        """Whether the backslash there stands before a semicolon or colon that it hides."""
        return self._buffer[at + 1 : at + 2] in (b";", b":")

    def _line_end(self, at: int) -> int:
        """Where the line ends that goes on at `at`; both are relative to what is not taken yet."""
        while (end := self._buffer.find(b"\n", at)) < 0:
            at -= self._at
            if not self._more():
                return len(self._buffer)
        return end + 1

    def _statement(self) -> Iterator[Piece]:
        length = 0  # of what of it was read through
        while True:
            if (done := self._skip(length)) is not None:
                length = done
                continue
            at = self._at + length
            following = self._buffer[at : at + 1]
            if following == b";":
                piece = self._take(Kind.STATEMENT, at + 1)
                yield piece
                if piece.text[:4].upper() == b"COPY" and _COPY.match(piece.text):
                    yield from self._announced()
                return
            if following == b"\\" and not self._is_escaped(at):
                if length:
                    yield self._take(Kind.BEGUN, at)
                return
            if following == b"":
                if self._more():
                    continue
                if length:
                    yield self._take(Kind.STATEMENT, len(self._buffer))
                return
            length += 2 if following == b"\\" else 1

    def _skip(self, length: int) -> int | None:
        """Where the next tokens end; None where something follows that ends them."""
        at = self._at + length
        if (end := self._tokens_end(at)) > at:
            return end - self._at
        at = self._at + length  # it may have read on
        begins = self._buffer[at : at + 2]
        if begins[:1] == b"$":
            while len(self._buffer) - self._at - length < _LONGEST_TAG and self._more():
                pass
            if tag := _DOLLAR.match(self._buffer, self._at + length):
                return self._find(tag[0], length, len(tag[0]), "a text between dollars")
            return None
        if begins == b"/*":
            return self._comment(length)
        if begins == b"--":
            end = self._line_end(at)
            return end - self._at
        if begins[:1] == b"'" or begins.upper() == b"E'":
            raise self._cut("a text between quotes", length)
        if begins[:1] == b'"':
            raise self._cut("a name between quotes", length)
        return None

    def _tokens_end(self, at: int) -> int:
        """Where whole tokens end that are all there, from `at` on."""
        while True:
            end = at
            while found := _REST.match(self._buffer, end):
                end = found.end()
            following = self._buffer[end : end + 2]
            # What ends with the block may go on in the next: a word, a dash, a text.
            whole = following[:1] in (b";", b"$", b"\\") and following != b"\\"
            if whole or following in (b"--", b"/*") or self._ended:
                return end
            length = at - self._at
            self._more()
            at = self._at + length

    def _find(self, end: bytes, length: int, skipped: int, what: str) -> int:
        """Where that comes next, and ends; in the middle of `what` until then."""
        start = length + skipped
        while (found := self._buffer.find(end, self._at + start)) < 0:
            start = max(start, len(self._buffer) - self._at - len(end))
            if not self._more():
                raise self._cut(what, length)
        return found + len(end) - self._at

    def _comment(self, length: int) -> int:
        """Where the comment ends; they nest."""
        depth, start = 0, length
        while True:
            found = _COMMENT.search(self._buffer, self._at + start)
            if found is None:
                start = max(start, len(self._buffer) - self._at - 1)
                if not self._more():
                    raise self._cut("a comment", length)
                continue
            depth += 1 if found[0] == b"/*" else -1
            start = found.end() - self._at
            if depth == 0:
                return start

    def data(self) -> Iterator[Piece]:
        """The lines of data that begin here, and end with a backslash and a dot."""
        begins, length = self._lines, 0  # of what was looked at for that end
        while True:
            if self._buffer.startswith(b"\\.", self._at + length):
                end = self._line_end(self._at + length)
                if not self._buffer[self._at + length + 2 : end].strip():
                    yield self._take(Kind.DATA, end)
                    return
            if (found := self._buffer.find(b"\n\\.", self._at + length)) >= 0:
                length = found + 1 - self._at
                if len(self._buffer) < found + 5:
                    self._more()
                continue
            # Up to the last line that is all there.
            if (last := self._buffer.rfind(b"\n", self._at)) >= 0:
                yield self._take(Kind.DATA, last + 1)
            length = 0
            if not self._more():
                raise CutOff("the data of a table", begins)

    def _announced(self) -> Iterator[Piece]:
        """The data of a COPY begins with the next line; what else is on this one comes after it."""
        end = self._line_end(self._at)
        rest = self._buffer[self._at : end]
        if rest.strip():
            self._at = end
            yield Piece(Kind.BLANK, b"\n")
        else:
            yield self._take(Kind.BLANK, end)
        yield from self.data()
        if rest.strip():
            self._lines += rest.count(b"\n")
            self.unread(rest)

    def _cut(self, what: str, length: int) -> CutOff:
        """The error for what begins there and does not end."""
        before = self._buffer.count(b"\n", self._at, self._at + length)
        return CutOff(what, self._lines + before)
