"""The README's picture is what the dashboard looks like, and its keys are the dashboard's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from devdb.tui.keys import KEYS

ROOT = Path(__file__).parents[2]
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


def test_the_readme_names_every_key() -> None:
    readme = (ROOT / "README.md").read_text()
    paragraph = readme.split("In the dashboard: ")[1].split("\n\n")[0]
    named = set(re.findall(r"`([a-z?]|enter)`", paragraph))
    shown = {binding.key for binding in KEYS if binding.show}
    assert named == {key.replace("question_mark", "?") for key in shown}
