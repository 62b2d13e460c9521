"""What the pages and the help show to be typed, and where."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import typer
from commandtree import TREE

from devdb.cli.app import command

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
]
"""What a user reads, and who builds devdb; not the changelog, which tells of the past too."""
PLACEHOLDERS = {
    "NAME": "shop",
    "N": "20",
    "TEXT": "FATAL: sorry, too many clients already",
    "FILE": ".env.test",
    "SHELL": "bash",
    "MAJOR": "17",
    "CLIENT": "asyncpg",
    "X": "shop.sql",
}
"""What a reader puts there."""
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"(?:#|//) (\S+\.\w+)\n")
_HEADING_OR_FENCE = re.compile(
    r"^#+ (?P<heading>[^\n]+)$|^ *```(?P<kind>\w*)\n(?P<code>.*?)^ *```$", re.MULTILINE | re.DOTALL
)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of code in that language, but for those that are a file of a recipe."""
    found = _FENCE.findall(page.read_text())
    texts = [textwrap.dedent(text) for _, marked, text in found if marked == language]
    return [text for text in texts if not _NAMED.match(text)]


@dataclass(frozen=True, slots=True)
class Recipe:
    """A project that a page shows, under one heading: its files, and what is typed there."""

    heading: str
    files: dict[str, str]
    lines: list[str]


def recipes(page: Path) -> list[Recipe]:
    """Those of a page: where code begins with a comment that names a file."""
    found = [Recipe("", {}, [])]
    for match in _HEADING_OR_FENCE.finditer(page.read_text()):
        if match["heading"]:
            found.append(Recipe(match["heading"], {}, []))
            continue
        code = textwrap.dedent(match["code"])
        if named := _NAMED.match(code):
            found[-1].files[named[1]] = code
        elif match["kind"] == "sh":
            found[-1].lines.extend(map(without_comment, code.splitlines()))
    return [recipe for recipe in found if recipe.files]


def lines(page: Path) -> list[str]:
    """The commands of the page's `sh` blocks in their order, each without its comment."""
    typed = (line for block in blocks(page, "sh") for line in block.splitlines())
    return [text for line in typed if (text := without_comment(line))]


def without_comment(line: str) -> str:
    """What bash would run of it."""
    outside = re.compile(r"""(?:[^'"#]|'[^']*'|"[^"]*"|(?<!\s)#)*""")
    found = outside.match(line)
    assert found is not None
    return found[0].strip()


def inline(page: Path) -> list[str]:
    """The code in the text, in tables, and in the comments of blocks."""
    told = [_FENCE.sub("", page.read_text()), *blocks(page, "sh")]
    return [code for part in told for code in _INLINE.findall(part)]


def shown() -> dict[str, list[str]]:
    """Each command that a page or a command's help shows, by where: first blocks', then texts'."""
    found = {
        str(page.relative_to(ROOT)): [
            *lines(page),
            *filter(is_command, inline(page)),
        ]
        for page in PAGES
    }
    return {where: list(dict.fromkeys(told)) for where, told in {**found, **examples()}.items()}


def filled(line: str) -> str:
    """The line as a reader types it."""
    return re.sub(rf"\b({'|'.join(PLACEHOLDERS)})\b", lambda word: PLACEHOLDERS[word[0]], line)


def examples() -> dict[str, list[str]]:
    """The examples at the end of each command's help, without what is said of them."""
    return {
        f"{each.path} --help": [
            re.split(r"\s{2,}", line.strip())[0]
            for line in each.command.epilog.split("Examples:\n")[1].splitlines()
        ]
        for each in TREE
        if each.command.epilog
    }


def is_command(code: str) -> bool:
    """Whether it is something to type, and no mere name of a program."""
    return bool(re.match(r"(uv|pipx|scripts/\S+) ", code)) or any(invocations(code))


def invocations(line: str) -> Iterator[list[str]]:
    """The words behind each `devdb` that a line of bash runs."""
    for inner in re.findall(r"\$\((devdb[^)]*)\)", line):
        yield shlex.split(inner)[1:]
    rest = shlex.shlex(re.sub(r"\$\([^)]*\)", "x", line), posix=True, punctuation_chars="|&;<>")
    rest.whitespace_split = True
    words: list[str] = []
    for word in [*rest, ";"]:
        if not set(word) <= set("|&;<>"):
            words.append(word)
            continue
        while words and re.fullmatch(r"\w+=.*", words[0]):
            del words[0]
        if words and words[0] == "devdb":
            yield words[1:]
        words = []


def parse(words: list[str]) -> None:
    """Have the real command line read the words behind `devdb`, and run nothing.

    Raises UsageError for a command, an option or an argument that it does not know or misses.
    """
    found, called, context = command(), "devdb", None
    while words and hasattr(found, "list_commands") and not words[0].startswith("-"):
        context = typer.Context(found, parent=context, info_name=called)
        _, found, rest = found.resolve_command(context, words)
        called, words = words[0], rest
    with suppress(typer.Exit):  # of --help
        found.make_context(called, [*words], parent=context)
