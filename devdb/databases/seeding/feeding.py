"""A seed's script as psql is given it: judged, without what is not for psql, each line known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from devdb.databases.seeding import commands, unpacking
from devdb.databases.seeding.commands import Command, NotAllowed
from devdb.databases.seeding.lexing import CutOff, Kind, Script
from devdb.databases.seeding.sieve import OtherDatabase, Sieve
from devdb.errors import DevdbError, NotFound

_DEEPEST = 16
"""Files in files: where there are more, one includes itself."""
_LABEL = re.compile(rb"^-- (?:Data for )?Name: ([^\n]*?); Type: ([A-Z ]+);", re.MULTILINE)
_ENDS = re.compile(rb"^-- PostgreSQL database( cluster)? dump( complete)?\r?$", re.MULTILINE)
_END_OF_DATA = re.compile(rb"^\\\.\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """From the line `given` of what psql is given on, lines come from the script's `line` on."""

    given: int
    script: str
    line: int


@dataclass(frozen=True, slots=True)
class _Frame:
    """A script that is being read."""

    name: str
    path: Path | None
    """None where it is no file: what it names is looked for in the current directory."""
    script: Script
    depth: int


class Feed:
    """What psql is given, and what of it was whose line."""

    def __init__(
        self, sieve: Sieve, name: str, *, guard: str | None = None, archive: bool = False
    ) -> None:
        """`guard`: the key of psql's restricted mode, in which it takes no command but those that
        are let through here; None where it has no such mode. `archive`: the script is what
        pg_restore makes of one, and its comments, not its lines, say what is what."""
        self.name = name
        self.remarks: list[str] = []
        """What was odd, and no reason to stop."""
        self._sieve = sieve
        self._guard = guard
        self._archive = archive
        self._given = 1
        self._stretches: list[_Stretch] = []
        self._labels: list[tuple[int, str]] = []
        self._sealed = False
        self._begun: set[bytes] = set()
        self._complete: set[bytes] = set()

    def blocks(self, reader: unpacking.Reader, path: Path | None) -> Iterator[bytes]:
        """All that psql is to read. `path`: where the script is, if it is a file.

        Raises DevdbError, unpacking.Damaged, OSError.
        """
        yield from self._read(self.name, path, reader, 0)
        if self._begun - self._complete:
            self.remarks.append("pg_dump's last line is not there: it may have been cut off")
        if self._sieve.in_transaction:
            self.remarks.append("its last transaction had no COMMIT, and was committed")
        # The last statement may have no semicolon. A transaction may be left open; where none is,
        # COMMIT only warns.
        yield b"\n;\nCOMMIT;\n"

    def where(self, given: int) -> str:
        """Whose that line of what psql was given is: `seed.sql:12`, or an object of an archive."""
        if self._archive:
            before = [label for line, label in self._labels if line <= given]
            return f"{self.name}, {before[-1]}" if before else self.name
        for stretch in reversed(self._stretches):
            if stretch.given <= given:
                return f"{stretch.script}:{given - stretch.given + stretch.line}"
        return self.name

    def _read(
        self, name: str, path: Path | None, reader: unpacking.Reader, depth: int
    ) -> Iterator[bytes]:
        script = Script(reader.read)
        frame = _Frame(name, path, script, depth)
        self._stretches.append(_Stretch(self._given, name, 1))
        try:
            for kind, text in script:
                if kind is Kind.COMMAND:
                    yield from self._commands(frame, text)
                elif kind is Kind.STATEMENT:
                    yield self._count(self._judged(text))
                else:
                    if kind is Kind.BLANK:
                        self._note(text)
                    yield self._count(text)
        except CutOff as cut:
            raise DevdbError(
                f"'{name}' is cut off: it ends in the middle of {cut} that begins in line "
                f"{cut.line}.",
                "Take the dump anew, or download it anew; nothing is left of this.",
            ) from None

    def _count(self, text: bytes) -> bytes:
        self._given += text.count(b"\n")
        return text

    def _note(self, comments: bytes) -> None:
        """What pg_dump says between two statements."""
        for found in _ENDS.finditer(comments):
            (self._complete if found[2] else self._begun).add(found[1] or b"")
        if self._archive:
            for found in _LABEL.finditer(comments):
                name, kind = (part.decode(errors="replace") for part in found.groups())
                self._labels.append((self._given, f"{kind.lower()} {name}"))

    def _judged(self, statement: bytes) -> bytes:
        try:
            return self._sieve.judge(statement)
        except OtherDatabase as other:
            raise _several(self.name, other) from None

    def _commands(self, frame: _Frame, text: bytes) -> Iterator[bytes]:
        at = frame.script.line - text.count(b"\n")
        line = text.decode(errors="surrogateescape")
        found, follows = commands.parse(line)
        passed: list[str] = []
        elsewhere = False
        for command in found:
            try:
                if self._is_passed(command):
                    passed.append(f"\\{command.name} {command.arguments}".rstrip())
                elif commands.is_connect(command):
                    yield self._sieve.connect(commands.database(command))
                elif file := commands.included(command, frame.path):
                    elsewhere = True
                    yield from self._include(file, frame, at)
                elif command.name == "copy":
                    elsewhere = True
                    yield from self._copy(commands.copy(command), frame, at)
            except NotAllowed as refused:
                what = f"\\{command.name} {command.arguments}"
                raise _refusal(refused, frame, at, what) from None
            except OtherDatabase as other:
                raise _several(self.name, other) from None
        if passed:
            yield from self._let_through(passed, frame, at)
        if follows:
            frame.script.unread(follows.encode(errors="surrogateescape"))
        elif not passed:
            yield self._count(b"\n")
        if elsewhere or passed:
            self._stretches.append(_Stretch(self._given, frame.name, frame.script.line))

    def _let_through(self, passed: list[str], frame: _Frame, line: int) -> Iterator[bytes]:
        """The commands for psql, each on a line of its own: some of them take all of one."""
        if self._sieve.in_transaction and {"\\q", "\\quit"} & set(passed):
            yield self._count(b"COMMIT;\n")  # as at the end, which is here
        if self._guard:
            passed = [f"\\unrestrict {self._guard}", *passed, f"\\restrict {self._guard}"]
        for command in passed:
            yield self._count(command.encode(errors="surrogateescape") + b"\n")
            self._stretches.append(_Stretch(self._given, frame.name, line))

    def _is_passed(self, command: Command) -> bool:
        if (seals := commands.seals(command)) is not None:
            self._sealed = seals
        elif self._sealed:
            raise NotAllowed("command psql where it says that it will not")
        return commands.is_passed(command)

    def _include(self, file: Path, frame: _Frame, line: int) -> Iterator[bytes]:
        if frame.depth >= _DEEPEST:
            raise DevdbError(
                f"'{file}' includes itself ({frame.name}:{line}).", "Take that line out of it."
            )
        with _opened(file, frame, line) as content:
            reader = unpacking.plain(content)
            yield from self._read(str(file), file, reader, frame.depth + 1)
        yield self._count(b"\n")

    def _copy(self, copy: commands.Copy, frame: _Frame, line: int) -> Iterator[bytes]:
        yield self._count(copy.statement.encode(errors="surrogateescape") + b"\n")
        if copy.file is None:
            for _, text in frame.script.data():
                yield self._count(text)
            return
        with _opened(copy.file, frame, line) as content:
            self._stretches.append(_Stretch(self._given, str(copy.file), 1))
            last = b"\n"
            for block in iter(lambda: content.readlines(1 << 20), []):
                text = b"".join(block)
                if b"\\." in text and _END_OF_DATA.search(text):
                    raise DevdbError(
                        f"'{copy.file}' has a line with only '\\.' in it, which ends the rows "
                        f"({frame.name}:{line}).",
                        "Take it out; nothing is left of this.",
                    )
                last = text[-1:]
                yield self._count(text)
        yield self._count((b"" if last == b"\n" else b"\n") + b"\\.\n")


def _refusal(refused: NotAllowed, frame: _Frame, line: int, command: str) -> DevdbError:
    return DevdbError(
        f"A seed may not {refused}: {frame.name}:{line} is '{command.strip()}'.",
        "Take that out, or run the file as yourself: "
        'psql "$(devdb temp -q)" -f FILE; nothing is left of this.',
    )


def _several(name: str, other: OtherDatabase) -> DevdbError:
    return DevdbError(
        f"'{name}' is a dump of several databases: it fills '{other.args[0]}', then "
        f"'{other.args[1]}'.",
        "Take one of a single database, with pg_dump; nothing is left of this.",
    )


def _opened(file: Path, frame: _Frame, line: int) -> unpacking.File:
    try:
        return file.open("rb")
    except OSError as error:
        raise NotFound(
            f"{frame.name}:{line} names '{file}', which cannot be read: {error.strerror}.",
            "\\i and \\copy look from the current directory on, \\ir beside the seed.",
        ) from None
