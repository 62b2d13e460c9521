"""What must hold for every file that is committed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]


def committed() -> dict[Path, int]:
    """The files of the repository and their modes."""
    listing = ["git", "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "--stage", "-z"]
    entries = subprocess.run(listing, capture_output=True, text=True, check=True).stdout
    found = (entry.split("\t") for entry in entries.split("\0") if entry)
    return {ROOT / path: int(facts.split()[0], 8) for facts, path in found}


def mirrors() -> set[str]:
    """The hosts this machine gets packages from, as pip and apt are set up on it."""
    asked = [[sys.executable, "-m", "pip", "config", "list"]]
    if shutil.which("apt-get"):
        asked.append(["apt-get", "indextargets", "--format", "$(REPO_URI)"])
    said = [subprocess.run(each, capture_output=True, text=True).stdout for each in asked]
    addresses = re.findall(r"https?://[^\s'\"]+", " ".join(said))
    return {host for each in addresses if (host := urlsplit(each).hostname) and "." in host}


def places() -> Iterator[str]:
    """Directories that exist only on the machine a file was written on."""
    yield str(ROOT)
    if len(Path.home().parts) > 1:
        yield f"{Path.home()}/"


def test_no_file_tells_of_the_machine_it_was_written_on() -> None:
    forbidden = [word.encode() for word in (*mirrors(), *places())]
    found = [
        f"{path.relative_to(ROOT)}: {word.decode()}"
        for path in committed()
        if path.is_file()
        for word in forbidden
        if word in path.read_bytes()
    ]
    assert found == []


def test_the_page_on_the_tests_names_every_folder_and_helper() -> None:
    text = (ROOT / "tests" / "README.md").read_text()
    assert len(text.splitlines()) <= 40
    here = [
        path.relative_to(ROOT / "tests") for path in committed() if ROOT / "tests" in path.parents
    ]
    folders = {path.parts[0] for path in here if len(path.parts) > 1}
    helpers = {path.stem for path in here if len(path.parts) == 1 and path.suffix == ".py"}
    rows = " ".join(line.split("|")[1] for line in text.splitlines() if line.startswith("|"))
    shared = {path.stem for path in committed() if path.parent == ROOT / "scripts" / "benches"}
    named = set(re.findall(r"`(\w+)`", rows)) - shared
    assert named == folders | helpers - {"conftest"}


def test_programs_are_at_the_top_of_scripts_and_their_modules_below() -> None:
    for path, mode in committed().items():
        if {ROOT / "scripts", ROOT / ".ci"} & {*path.parents}:
            is_program = path.read_bytes().startswith(b"#!")
            assert is_program == (path.parent.parent == ROOT) == (path.suffix == ""), path
            assert bool(mode & 0o111) == is_program, path


def test_contributing_stays_short_and_names_every_script() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert len(text.splitlines()) <= 80
    scripts = [path for path in committed() if path.parent == ROOT / "scripts"]
    missing = [
        path.name for path in scripts if not path.suffix and f"`scripts/{path.name}" not in text
    ]
    assert missing == []


def test_the_page_on_the_architecture_stays_short() -> None:
    assert len((ROOT / "docs" / "architecture.md").read_text().splitlines()) <= 120


def test_the_drawing_of_the_layers_is_the_contract() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    drawing = (ROOT / "docs" / "architecture.md").read_text().split("```text\n")[1].split("```")[0]
    rows = [re.split(r"\s{3,}", line.strip())[0] for line in drawing.splitlines()]
    assert rows == settings["contracts"][0]["layers"]
