"""Every command in a text, a table or the help is one that the command line takes."""

from __future__ import annotations

import re

import pytest
from commandtree import TREE
from documentation import pages
from documentation.pages import PAGES, ROOT

from devdb.errors import UsageError


def test_each_command_is_taken() -> None:
    wrong, seen = [], 0
    for where, told in pages.shown().items():
        for line in map(pages.filled, told):
            for words in pages.invocations(line):
                seen += 1
                try:
                    pages.parse(words)
                except UsageError as error:
                    wrong.append(f"{where}: {line}: {error}")
    assert wrong == []
    assert seen > 80


def test_each_option_is_one_of_a_command() -> None:
    """Where it stands alone; those of the scripts are in CONTRIBUTING.md."""
    options = {flag for each in TREE for option in each.options for flag in option.opts}
    users = [page for page in PAGES if page.name != "CONTRIBUTING.md"]
    told = {code.split()[0] for page in users for code in pages.inline(page) if code[0] == "-"}
    assert len(told) > 10
    assert told - options == set()


@pytest.mark.parametrize(
    "words",
    ["nosuch", "url --nosuch", "temp nosuch", "temp extend shop", "up --port", "url shop"],
)
def test_what_is_wrong_is_seen(words: str) -> None:
    with pytest.raises(UsageError):
        pages.parse(words.split())


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('psql "$(devdb url --pooled)" -c x', [["url", "--pooled"]]),
        ('A="$(devdb url)" npm run dev', [["url"]]),
        ("cat x | devdb temp --seed - && devdb temp ls", [["temp", "--seed", "-"], ["temp", "ls"]]),
        ("A=1 devdb doctor - < error.log", [["doctor", "-"]]),
        ("devdb doctor 'a | b; c'", [["doctor", "a | b; c"]]),
        ("pipx install devdb", []),
    ],
)
def test_each_devdb_in_a_line_is_found(line: str, found: list[list[str]]) -> None:
    assert list(pages.invocations(line)) == found


def test_each_file_that_a_page_names_is_there() -> None:
    place = re.compile(r"(?:docs|scripts|tests|compose|devdb)/[\w./-]*\w")
    named = {
        (page.name, found[0])
        for page in PAGES
        for code in (*pages.lines(page), *pages.inline(page))
        if (found := place.match(code))
    }
    assert len(named) > 10
    assert [(page, path) for page, path in named if not (ROOT / path).exists()] == []
