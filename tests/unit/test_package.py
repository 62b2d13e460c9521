"""What an index, an installer and `import devdb` are told of devdb."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from readme_renderer import markdown

import devdb

ROOT = Path(__file__).parents[2]
PICTURES = "https://raw.githubusercontent.com/"


@cache
def metadata() -> dict[str, Any]:
    """Of the wheel that would be built now."""
    asked = [sys.executable, "-m", "hatchling", "metadata"]
    said = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found: dict[str, Any] = json.loads(said)
    return found


class Page(HTMLParser):
    """What the README is as a page of an index: its pictures, links, places to jump to, tables."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.tables = 0
        rendered = markdown.render(metadata()["readme"]["text"])
        assert rendered is not None
        self.feed(rendered)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tables += tag == "table"
        self.anchors |= {f"#{values['id']}"} if "id" in values else set()
        self.pictures += [values["src"]] if tag == "img" else []
        self.links += [values["href"]] if tag == "a" else []


def address() -> str:
    """The repository's, without its host: owner/name."""
    homepage: str = metadata()["urls"]["Homepage"]
    return homepage.removeprefix("https://github.com/")


def test_the_readme_of_an_index_has_its_pictures() -> None:
    start = f"{PICTURES}{address()}/v{devdb.__version__}/"
    pictures = Page().pictures
    assert pictures
    for picture in pictures:
        path, _, query = picture.removeprefix(start).partition("?")
        assert (picture.startswith(start), query) == (True, "sanitize=true"), picture
        assert (ROOT / path).is_file(), picture


def test_each_link_of_an_indexs_readme_leads_somewhere() -> None:
    page = Page()
    here = f"https://github.com/{address()}/blob/v{devdb.__version__}/"
    assert [link for link in page.links if link.startswith(here)]
    for link in page.links:
        if link.startswith("#"):
            assert link in page.anchors
        elif link.startswith(here):
            assert (ROOT / link.removeprefix(here).partition("#")[0]).exists(), link
        else:
            assert link.startswith("https://"), link


def test_the_tables_of_the_readme_are_tables_on_an_index() -> None:
    written = re.findall(r"^\|(?:-+\|)+$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert Page().tables == len(written) > 0


def test_no_file_has_another_address_of_the_repository() -> None:
    pattern = r"github(usercontent)?\.com/[A-Za-z0-9_-]+/devdb\b"
    listing = ["git", "-c", "safe.directory=*", "grep", "--untracked", "-hoE", pattern]
    found = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True).stdout
    assert {each.partition("/")[2] for each in found.split()} == {address()}


def test_the_version_is_in_one_place() -> None:
    assert metadata()["version"] == devdb.__version__
    assert f'"{devdb.__version__}"' not in (ROOT / "pyproject.toml").read_text()


def python(statements: str) -> str:
    """What a fresh Python prints that has imported devdb."""
    command = [sys.executable, "-c", f"import devdb; {statements}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("names", ["dir(devdb)", "star.keys() - {'__builtins__'}"])
def test_what_the_api_hands_out_can_be_seen_before_it_is_asked_for(names: str) -> None:
    asking = f"import devdb; star = {{}}; exec('from devdb import *', star); print(*{names})"
    done = subprocess.run(
        [sys.executable, "-c", asking], capture_output=True, text=True, check=True
    )
    assert {"temp", "Temp", "__version__"} <= set(done.stdout.split())


def test_looking_at_it_loads_nothing() -> None:
    asking = "import devdb, sys; dir(devdb); print('devdb.api' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", asking], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
