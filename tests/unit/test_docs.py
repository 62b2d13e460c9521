"""What the README and docs/ have from the program is what the program says."""

import re
import subprocess
import sys
from pathlib import Path

from devdb import config
from devdb.config.table import SETTINGS
from devdb.tui.dashboard import Dashboard
from devdb.tui.keys import KEYS, OF_ACTIVITY, OF_DATABASES
from devdb.tui.panes.activity import Activity
from devdb.tui.panes.databases import Databases

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]


def test_the_tables_are_up_to_date() -> None:
    check = [sys.executable, str(ROOT / "scripts" / "docs"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_each_variable_of_the_program_is_told_of() -> None:
    found = {
        name
        for path in (ROOT / "devdb").rglob("*")
        if path.suffix in (".py", ".sh")
        for name in re.findall(r"(?<!\w)DEVDB_[A-Z_]*[A-Z]", path.read_text())
    }
    page = (ROOT / "docs" / "settings.md").read_text()
    settings = {setting.variable for setting in SETTINGS.values()}
    assert found - settings == set(re.findall(r"`(DEVDB_[A-Z_]+)`", page)) - settings


def test_each_devdb_toml_that_is_shown_can_be_read(tmp_path: Path) -> None:
    shown = [
        text for page in PAGES for text in re.findall(r"```toml\n(.*?)```", page.read_text(), re.S)
    ]
    assert shown
    for text in shown:
        (tmp_path / "devdb.toml").write_text(text)
        config.load(tmp_path, {}, {})


def test_every_key_does_something() -> None:
    for keys, owner in ((KEYS, Dashboard), (OF_DATABASES, Databases), (OF_ACTIVITY, Activity)):
        actions = {each.action.split("(")[0] for each in keys}
        assert [name for name in actions if not hasattr(owner, f"action_{name}")] == []


def test_the_readmes_first_screen_installs_and_begins() -> None:
    text = (ROOT / "README.md").read_text()
    first = text.split("\n## ")[0]
    assert len(first.splitlines()) <= 45
    wanted = ["(docs/dashboard.svg)", "uv tool install devdb", "pipx install devdb"]
    wanted += ["scripts/up --link", "\ndevdb up ", "\ndevdb url ", "\ndevdb env ", "\ndevdb temp "]
    assert [words for words in wanted if words not in first] == []
    assert len(text.splitlines()) <= 180
