"""What `devdb_template` may return, and what it is told by."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devdb.errors import UsageError
from devdb.pytest_plugin import Template, content, identity
from devdb.pytest_plugin.plan import plan

PATTERNS = ["test_*.py", "*_test.py"]


def told(root: Path) -> str:
    return content.of_project(root, PATTERNS)


def git(root: Path, *words: str) -> None:
    who = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True)


@pytest.fixture(params=["git", "no git"])
def tree(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A project's files."""
    root = tmp_path / "tree"
    for name, text in {
        "app/models.py": "x = 1",
        "app/ab_test.py": "class Ab: pass",
        "migrations/1.sql": "CREATE TABLE a ()",
        "tests/conftest.py": "y = 1",
        "tests/test_a.py": "def test_a(): pass",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    if request.param == "git":
        git(root, "init", "-q")
        git(root, "add", "app", "tests")
        git(root, "commit", "-qm", "one")
    return root


@pytest.mark.parametrize(
    "name",
    "app/models.py app/ab_test.py migrations/1.sql migrations/2.sql tests/conftest.py .env"
    " .env.test new/deep/file.txt".split(),
)
def test_every_file_counts_that_could_make_another_schema(tree: Path, name: str) -> None:
    before = told(tree)
    assert told(tree) == before
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    with (tree / name).open("a") as file:
        file.write("more")
    changed = told(tree)
    assert changed != before
    (tree / name).unlink()
    assert told(tree) != changed


def test_what_runs_of_tests_write_does_not(tree: Path) -> None:
    before = told(tree)
    for name in (
        "tests/test_a.py",
        "tests/test_new.py",
        "app/__pycache__/models.pyc",
        ".pytest_cache/v",
        ".coverage.host.1",
        "coverage.xml",
        "run.log",
        "venv/pyvenv.cfg",
        "venv/lib/x.py",
        "node_modules/a/b.js",
    ):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("def test_other(): pass")
    assert told(tree) == before
    if (tree / ".git").is_dir():  # what is committed has the content that it had
        git(tree, "add", "migrations")
        git(tree, "commit", "-qm", "two")
        assert told(tree) == before


def test_what_git_was_told_not_to_look_at_and_what_links_lead_to_count(
    tree: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "schema.sql").write_text("CREATE TABLE a ()")
    (tree / "shared").symlink_to(outside)
    if not (tree / ".git").is_dir():
        (tree / "schema.sql").symlink_to(outside / "schema.sql")
    else:
        git(tree, "add", "shared")
        git(tree, "update-index", "--assume-unchanged", "app/models.py")
        before = told(tree)
        (tree / "app" / "models.py").write_text("x = 3")
        assert told(tree) != before
    before = told(tree)
    (outside / "schema.sql").write_text("CREATE TABLE b ()")
    assert told(tree) != before


def test_of_a_large_file_size_and_time_count(tmp_path: Path) -> None:
    path = tmp_path / "dump"
    with path.open("wb") as file:
        file.truncate(content.LARGE)
    before = told(tmp_path)
    os.utime(path, ns=(1, 1))
    assert told(tmp_path) != before


def test_workers_of_a_run_agree_whatever_changes_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "shared"
    assert content.once_a_run(path, lambda: "first") == "first"
    assert content.once_a_run(path, lambda: "second") == "first"


def maker(value: object, other: object = None) -> Callable[[str], object]:
    return lambda url: (value, other, url)


class Carrier:
    def __init__(self, value: object) -> None:
        self.value = value

    def __call__(self, url: str) -> object:
        return self.value

    def migrate(self, url: str) -> object:
        return self.value


@pytest.mark.parametrize(
    "make",
    [
        maker,
        lambda value: functools.partial(maker, other=value)(1),
        lambda value: functools.partial(lambda v, url: v, value),
        lambda value: lambda url, by=value: by,
        lambda value: Carrier(value),
        lambda value: Carrier(value).migrate,
        lambda value: maker({"a": [value]}),
        lambda value: maker(maker(value)),
    ],
)
def test_a_function_is_told_by_what_it_carries(make: Callable[[object], Any]) -> None:
    assert identity.of(make("a")) == identity.of(make("a"))
    assert identity.of(make("a"))[0] != identity.of(make("b"))[0]
    assert identity.of(make(object()))[0] == identity.of(make(object()))[0]


def test_files_of_a_template_narrow_what_counts(tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    sql = tmp_path / "migrations" / "1.sql"
    sql.write_text("CREATE TABLE a ()")

    def made() -> str:
        return plan(Template(maker(1), files=["migrations/*.sql"]), tmp_path, lambda: "").content

    before = made()
    (tmp_path / "other.py").write_text("x = 1")
    assert made() == before
    sql.write_text("CREATE TABLE b ()")
    assert made() != before
    with pytest.raises(UsageError, match="No file matches 'nothing"):
        plan(Template(maker(1), files=["nothing/*"]), tmp_path, lambda: "")


def yields(url: str) -> Any:
    yield


def takes_nothing() -> None: ...


async def unawaited() -> None: ...


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (5, r"returned 5 \(int\)"),
        ([], "returned"),
        (["schema.sql", 5], "returned"),
        ("postgresql://me:secret@host/db", r"me:\*\*\*@host/db', which is no path"),
        (yields, "has a `yield` in it"),
        (takes_nothing, "cannot be called with the URL alone"),
        (Carrier, "returned <class"),
        (Path(__file__).parent.parent / "images", "in which no"),
    ],
)
def test_all_else_is_refused_with_the_shapes_that_go(
    given: object, said: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        plan(given, tmp_path, lambda: "")
    assert "secret" not in str(refused.value)
    if "images" not in str(given):
        assert "return migrate" in refused.value.hint


def test_a_coroutine_is_told_as_such(tmp_path: Path) -> None:
    coroutine = unawaited()
    with pytest.raises(UsageError, match="an `async def` that nothing ran"):
        plan(coroutine, tmp_path, lambda: "")
    coroutine.close()
