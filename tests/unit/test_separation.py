from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import devdb
from devdb.model import ENGINES, UNOFFERED_ENGINES

PACKAGE = Path(devdb.__file__).parent
NAMES = {*ENGINES, *UNOFFERED_ENGINES}
_LOADED = "import sys, {modules}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"


def loaded_by(*modules: str) -> set[str]:
    """The top-level packages a fresh Python has loaded once it has imported the modules."""
    command = [sys.executable, "-c", _LOADED.format(modules=", ".join(modules))]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def modules_of(package: str) -> list[str]:
    """The package and everything in it."""
    path = importlib.import_module(package).__path__
    return [package, *(each.name for each in pkgutil.walk_packages(path, f"{package}."))]


def test_the_command_line_loads_no_slow_library() -> None:
    assert loaded_by("devdb.cli.app") & {"textual", "docker", "psycopg", "psutil"} == set()


def test_a_temporary_database_is_made_without_what_only_a_seed_or_a_file_needs() -> None:
    assert loaded_by("devdb.cli.temp") & {"tarfile", "tomllib", "platformdirs"} == set()


@pytest.mark.parametrize("package", ["devdb.workspace", "devdb.databases", "devdb.engines"])
def test_what_is_below_the_command_line_loads_no_user_interface(package: str) -> None:
    assert loaded_by(*modules_of(package)) & {"typer", "click", "rich", "textual"} == set()


def test_the_dashboard_loads_no_command_line() -> None:
    assert loaded_by("devdb.tui") & {"typer", "docker"} == set()


def leaks(source: str) -> Iterator[str]:
    """Where a module names an engine: in a string of its own, as one of several, or in an import.

    Prose may: what a person is told to type is nothing that the program decides by.
    """
    for node in ast.walk(ast.parse(source)):
        words: list[str] = []
        if not isinstance(node, ast.expr | ast.stmt):
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = node.value.split("|")
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            words = [name.split(".")[2] for name in names if name.startswith("devdb.engines.")]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("devdb.engines.")]
            words = [name.split(".")[2] for name in names]
        yield from (f"line {node.lineno}: {word}" for word in words if word in NAMES)


def test_no_engine_has_a_name_outside_of_the_engines_but_where_one_is_chosen() -> None:
    """Beside that there is the list of them, which is what a new one is added to."""
    found = {
        str(path.relative_to(PACKAGE)): list(leaks(path.read_text(encoding="utf-8")))
        for path in PACKAGE.rglob("*.py")
        if PACKAGE / "engines" not in path.parents
    }
    named = {path: where for path, where in found.items() if where}
    assert len(named.pop("model.py")) == len(NAMES)
    assert named.pop("workspace/choice.py")
    assert named == {}


@pytest.mark.parametrize(
    "source",
    [
        'if spec.engine == "docker": pass',
        'METAVAR = "auto|native"',
        "from devdb.engines.fake import FakeEngine",
        "from devdb.engines import native",
        "def f():\n    import devdb.engines.docker.client",
        'match engine:\n    case "fake": pass',
    ],
)
def test_a_leak_is_seen(source: str) -> None:
    assert list(leaks(source))


@pytest.mark.parametrize(
    "source", ['HINT = "Use Docker (devdb up --engine docker)"', "from devdb.engines import ports"]
)
def test_what_is_none_is_not(source: str) -> None:
    assert not list(leaks(source))


def openers(source: str) -> Iterator[int]:
    """The lines that make a session themselves."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name == "Session":
                yield node.lineno


def test_nothing_but_sessions_opens_one() -> None:
    opening = {
        str(file.relative_to(PACKAGE)): lines
        for file in PACKAGE.rglob("*.py")
        if (lines := list(openers(file.read_text(encoding="utf-8"))))
    }
    assert opening.keys() == {"sessions.py"}


@pytest.mark.parametrize("call", ["wire.Session(end)", "with Session(end, timeout=1) as s: pass"])
def test_a_second_opener_is_found(call: str) -> None:
    assert list(openers(f"import devdb\n{call}")) == [2]
