"""The README's picture is what the dashboard looks like, and its keys are the dashboard's."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from textual.binding import Binding

from devdb.tui.instancelist import InstanceList
from devdb.tui.keys import KEYS, OF_ACTIVITY, OF_DATABASES
from devdb.tui.logview import LogView

ROOT = Path(__file__).parents[2]
SIGNS = {"question_mark": "?", "plus": "+", "slash": "/", "escape": "esc"}
SIZES = ((80, 24), (120, 40), (200, 50))
CELL = 12.2
LIVE = ("6 wait for the pool", ":15432/main", ":16543/main", "Pools", "Databases", "Activity")
SHOWN = {
    "dashboard": (*LIVE, "20 of 20", "temp_amber_fjord", "4802", "Copy its URL"),
    "activity": (*LIVE, "4711", "blocks 1", "Copy query", "End session", "Pause"),
    "session": ("pid 4802", "Lock: transactionid", "blocked by", "goes to its blocker"),
    "urls": ("Direct", "Pooled", "esc closes", ":15432/main"),
    "new": ("lives for", "copy of", "seed", "name", "enter makes it"),
    "client": ("Which client", "libpq", "esc"),
    "logs": ("6 wait for the pool", "postgres is ready", "pgbouncer is ready", "Filter", "Wrap"),
    "instances": ("1 instance", "running", "15432", "16543", "Open"),
    "help": ("Keys", "Show and copy the URL straight to Postgres", "volume devdb-shop-data"),
}
"""The views, and what each shows at any size."""
PICTURE = ROOT / "docs" / "dashboard.svg"


def texts(svg: str) -> list[str]:
    return re.findall(r"<text [^>]*>([^<]*)</text>", svg)


def test_the_picture_shows_the_dashboard_of_today(tmp_path: Path) -> None:
    """Only the words are compared: colours and corners are Textual's and change with it."""
    fresh = tmp_path / "dashboard.svg"
    script = ROOT / "scripts" / "benches" / "screenshot.py"
    subprocess.run([sys.executable, script, fresh], check=True, timeout=60)
    assert texts(fresh.read_text()) == texts(PICTURE.read_text()), "run scripts/screenshot"


def test_the_picture_fetches_nothing() -> None:
    svg = PICTURE.read_text()
    assert set(re.findall(r"https?://[^\s\"')]+", svg)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"url\((?!#)|<image|@import|<script", svg)


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of each view at each size, by the script that makes them."""
    directory = tmp_path_factory.mktemp("views")
    script = ROOT / "scripts" / "screenshot"
    subprocess.run([script, "--views", directory], check=True, timeout=150, capture_output=True)
    return directory


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("view", SHOWN)
def test_every_view_has_its_place_at_every_size(
    views: Path, view: str, width: int, height: int
) -> None:
    svg = (views / f"{view}-{width}x{height}.svg").read_text()
    rows = [
        (float(x), float(y)) for x, y in re.findall(r'<text [^>]*x="([\d.]+)" y="([\d.]+)"', svg)
    ]
    assert max(x for x, _ in rows) < CELL * (width + 1)
    assert len({y for _, y in rows}) <= height + 1  # the title of the window
    text = html.unescape(" ".join(texts(svg))).replace("\xa0", " ")
    for words in SHOWN[view]:
        assert words in text, f"{words!r} in {view} at {width}x{height}"


@pytest.mark.parametrize(
    ("heading", "bindings"),
    [
        ("Its keys", (*KEYS, *OF_DATABASES, *OF_ACTIVITY)),
        ("The logs", LogView.BINDINGS),
        ("All instances", InstanceList.BINDINGS),
    ],
)
def test_the_page_about_it_names_every_key(heading: str, bindings: Sequence[Binding]) -> None:
    page = (ROOT / "docs" / "dashboard.md").read_text()
    section = page.split(f"## {heading}\n")[1].split("\n## ")[0]
    named = set(re.findall(r"`([^`]+)`", "".join(re.findall(r"^\|(.+?)\|", section, re.MULTILINE))))
    shown = {each.key.split(",")[0] for each in bindings if each.show}
    # The help is there everywhere.
    assert named | {"?"} == {SIGNS.get(key, key) for key in shown} | {"?"}
