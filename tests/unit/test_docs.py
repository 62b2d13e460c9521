"""What the README and docs/ have from the program is what the program says."""

import subprocess
import sys
from pathlib import Path

from devdb.tui.dashboard import Dashboard
from devdb.tui.keys import KEYS

ROOT = Path(__file__).parents[2]


def test_the_tables_are_up_to_date() -> None:
    check = [sys.executable, ROOT / "scripts" / "docs", "--check"]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_readme_names_every_key_and_every_key_does_something() -> None:
    keys = {"question_mark": "?"}
    told = (ROOT / "README.md").read_text().split("In the dashboard:")[1].split("\n\n")[0]
    shown = [binding for binding in KEYS if binding.show]
    assert [each.key for each in shown if f"`{keys.get(each.key, each.key)}`" not in told] == []
    actions = {each.action.split("(")[0] for each in KEYS}
    assert [name for name in actions if not hasattr(Dashboard, f"action_{name}")] == []
