"""What the pages and the help show to be typed, and where."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer

from devdb.cli.app import command

ROOT = Path(__file__).parents[2]
PAGES = [
    path
    for path in (
        ROOT / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
        ROOT / "CONTRIBUTING.md",
        ROOT / "SECURITY.md",
    )
    if path.is_file()
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
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of code in that language."""
    found = _FENCE.findall(page.read_text())
    return [textwrap.dedent(text) for _, marked, text in found if marked == language]


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


def commands(group: Any = None, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each command that the help has, by what is typed for it, and what typer made of it."""
    found = group or command()
    context = typer.Context(found)
    for each in found.list_commands(context):
        one = found.get_command(context, each)
        yield f"{path}{each}", one
        if hasattr(one, "list_commands"):
            yield from commands(one, f"{path}{each} ")


def examples() -> dict[str, list[str]]:
    """The examples at the end of each command's help, without what is said of them."""
    helps = {"devdb": command().epilog} | {f"devdb {name}": one.epilog for name, one in commands()}
    return {
        f"{name} --help": [
            re.split(r"\s{2,}", line.strip())[0]
            for line in text.split("Examples:\n")[1].splitlines()
        ]
        for name, text in helps.items()
        if text
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

    Raises DevdbError or TyperException for a command, an option or an argument that it does not
    know or misses.
    """
    found, called, context = command(), "devdb", None
    while words and hasattr(found, "list_commands") and not words[0].startswith("-"):
        context = typer.Context(found, parent=context, info_name=called)
        _, found, rest = found.resolve_command(context, words)
        called, words = words[0], rest
    with suppress(typer.Exit):  # of --help
        found.make_context(called, [*words], parent=context)
