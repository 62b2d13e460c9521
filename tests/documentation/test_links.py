"""Every link leads somewhere, and every page is led to."""

from __future__ import annotations

import re
from pathlib import Path

from documentation.pages import PAGES, ROOT

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def links(page: Path) -> list[str]:
    """Where its links to this repository go, as they are written."""
    text = re.sub(
        r"```.*?```|`[^`\n]+`", lambda code: "x" * len(code[0]), page.read_text(), flags=re.S
    )
    return [to for to in LINK.findall(text) if not re.match(r"\w+:", to)]


def anchors(page: Path) -> set[str]:
    """What can stand behind `#` in a link to the page, as GitHub and PyPI make it."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    found = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def test_each_link_leads_to_a_file_and_a_heading_of_it() -> None:
    pages = [
        *PAGES,
        ROOT / "CHANGELOG.md",
        ROOT / "compose" / "README.md",
        ROOT / "tests" / "README.md",
    ]
    wrong = []
    for page in pages:
        for link in links(page):
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.is_file() or (anchor and anchor not in anchors(target)):
                wrong.append(f"{page.relative_to(ROOT)}: {link}")
    assert wrong == []


def test_each_page_can_be_reached_from_the_readme() -> None:
    reached, new = set[Path](), {ROOT / "README.md"}
    while new:
        reached |= new
        found = {
            (page.parent / link.partition("#")[0]).resolve()
            for page in new
            if page.suffix == ".md"
            for link in links(page)
        }
        new = {page for page in found if page.is_file()} - reached
    pictures_and_pages = {path for path in (ROOT / "docs").iterdir() if path.suffix != ".json"}
    assert (pictures_and_pages | {*PAGES}) - reached == set()
