"""Which of psql's own commands a seed may give, and what devdb does in psql's place.

A seed is somebody else's file, and psql runs as the user: what runs a program, writes a file or
leaves the database is refused. Files are read by devdb itself, as psql may be in a container, where
they are not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_PASSED = frozenset(
    """
    set unset encoding gset gexec g gx gdesc crosstabview bind bind_named parse close_prepared
    if elif else endif r reset q quit
    """.split()
)
"""What psql is given to do."""
_NOTHING = re.compile(
    r"echo|qecho|warn|pset|timing|[taxHCTf?hpzl]|html|help|print|errverbose|conninfo|copyright"
    r"|d[A-Za-z]*|s[fv]|o|out"
)
"""What only shows something, which nobody would see."""
_CONNECT = frozenset({"c", "connect"})
_INCLUDE = frozenset({"i", "include", "ir", "include_relative"})
_SEALS = frozenset({"restrict", "unrestrict"})
_DONE_HERE = _CONNECT | _INCLUDE | _SEALS | {"copy"}
_OURS = frozenset({"ON_ERROR_STOP", "VERBOSITY", "SHOW_CONTEXT"})
"""Variables of psql that say how errors come out: devdb reads them."""
_WHOLE_LINE = frozenset({"copy", "!", "h", "help", "sf", "sv", "ef", "ev"})


@dataclass(frozen=True, slots=True)
class Command:
    """One command of psql, as it stands in the script."""

    name: str
    """Without its backslash."""
    arguments: str


class NotAllowed(Exception):
    """A command that a seed may not give; the text says what it would do."""


_COMMAND = re.compile(r"\\([^\s\\]*)")
_ARGUMENT = re.compile(r"\s+|'(?:[^'\\]|\\.|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|[^\s\\'\"`]+|['\"`]")


def parse(line: str) -> tuple[list[Command], str]:
    """The commands of a line that begins with a backslash, and the SQL that follows them."""
    found: list[Command] = []
    at = 0
    while match := _COMMAND.match(line, at):
        if match[0] == "\\" and line.startswith("\\\\", at):
            return found, line[at + 2 :]
        name, at = match[1], match.end()
        if name.startswith("!") or name in _WHOLE_LINE:
            found.append(Command(name, line[at:].strip()))
            return found, ""
        start = at
        while argument := _ARGUMENT.match(line, at):
            at = argument.end()
        found.append(Command(name, line[start:at].strip()))
    return found, ""


def is_passed(command: Command) -> bool:
    """Whether psql is to do it. False: it is done in its place, or needs not be done.

    Raises NotAllowed.
    """
    name, arguments = command.name, command.arguments
    if "`" in arguments and name != "copy":
        raise NotAllowed("run a program")
    if name in ("o", "out") and arguments.strip("'\"") not in ("", "/dev/null"):
        raise NotAllowed("write a file, or run a program")
    if name in ("set", "unset") and arguments.split(None, 1)[:1] and arguments.split()[0] in _OURS:
        return False
    if name in ("g", "gx") and not re.fullmatch(r"(?:\([^)]*\))?", arguments):
        raise NotAllowed("write a file, or run a program")
    if name in _PASSED:
        return True
    if name in _DONE_HERE or _NOTHING.fullmatch(name.rstrip("S+")):
        return False
    raise NotAllowed(_REFUSED.get(name[:1] if name.startswith("!") else name, "do that"))


_REFUSED = {
    "!": "run a program",
    "setenv": "change the environment of psql",
    "getenv": "read the environment of psql",
    "cd": "go to another directory",
    "w": "write a file",
    "write": "write a file",
    "s": "write a file",
    "lo_import": "read a file for a large object",
    "lo_export": "write a file",
    "e": "open an editor",
    "edit": "open an editor",
    "ef": "open an editor",
    "ev": "open an editor",
    "prompt": "ask somebody",
    "password": "change a password",
    "watch": "go on for ever",
}


def database(command: Command) -> str | None:
    """The database that a `\\connect` names; None where it names none.

    `\\c -reuse-previous=on "dbname='x'"`, `\\c x user host`, `\\c postgresql://host/x`, `\\c -`.
    """
    words = re.findall(r"\"((?:[^\"]|\"\")*)\"|'((?:[^']|'')*)'|(\S+)", command.arguments)
    plain: list[str] = [quoted or single or bare for quoted, single, bare in words]
    plain = [word for word in plain if not word.startswith("-reuse-previous")]
    if not plain or plain[0] == "-":
        return None
    if found := re.search(r"\bdbname\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S+))", plain[0]):
        return str(found[1] or found[2])
    if found := re.match(r"postgres(?:ql)?://[^/]*/([^?]+)", plain[0]):
        return str(found[1])
    return plain[0]


def is_connect(command: Command) -> bool:
    """Whether it goes to another database."""
    return command.name in _CONNECT


def seals(command: Command) -> bool | None:
    """Whether no more commands may follow it (`\\restrict`), or may again; None: another one.

    Both are pg_dump's, from https://www.postgresql.org/about/news/3118 on.
    """
    return command.name == "restrict" if command.name in _SEALS else None


def included(command: Command, script: Path | None) -> Path | None:
    """The file whose commands follow; None when it is another command.

    `script` is where the command stands: what \\ir names is beside it. Raises NotAllowed.
    """
    if command.name not in _INCLUDE:
        return None
    name = _file(command.arguments)
    beside = command.name in ("ir", "include_relative") and script is not None
    return script.parent / name if beside and script else name


@dataclass(frozen=True, slots=True)
class Copy:
    """A `\\copy ... from` as the statement that takes its rows from us."""

    statement: str
    file: Path | None
    """None: the rows follow in the script."""


_COPY = re.compile(
    r"(?is)(?:(binary)\s+)?(?P<what>(?:\"(?:[^\"]|\"\")*\"|\([^)]*\)|[^\"(])+?)\s+"
    r"from\s+(?P<program>program\s+)?(?P<file>'(?:[^']|'')*'|\S+)\s*(?P<options>.*)"
)


def copy(command: Command) -> Copy:
    """What a `\\copy` is to be done as. Raises NotAllowed."""
    found = _COPY.fullmatch(command.arguments)
    if found is None:
        raise NotAllowed("write a file")
    if found["program"]:
        raise NotAllowed("run a program")
    options = found["options"].rstrip("; \t\r\n")
    if found[1] or re.search(r"(?i)\bbinary\b", options):
        raise NotAllowed("read rows in COPY's binary format")
    if found["file"].lower() == "pstdin":
        raise NotAllowed("read what is typed")
    statement = f"COPY {found['what']} FROM STDIN {options};"
    return Copy(statement, None if found["file"].lower() == "stdin" else _file(found["file"]))


def _file(argument: str) -> Path:
    text = argument.strip().rstrip(";").strip() if not argument.startswith("'") else argument
    if text.startswith("'") and text.endswith("'"):
        text = text[1:-1].replace("''", "'")
    elif text.startswith('"') and text.endswith('"'):
        text = text[1:-1]
    elif re.search(r"(?:^|[/.]):[A-Za-z_'{\"]|^:", text):
        raise NotAllowed("read a file that a variable of psql names")
    return Path(text).expanduser()
