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


@pytest.mark.parametrize("package", ["devdb.workspace", "devdb.temporary", "devdb.engines"])
def test_what_is_below_the_command_line_loads_no_user_interface(package: str) -> None:
    assert loaded_by(*modules_of(package)) & {"typer", "click", "rich", "textual"} == set()


def test_the_dashboard_loads_no_command_line() -> None:
    assert loaded_by("devdb.tui") & {"typer", "docker"} == set()


def openers(source: str) -> Iterator[int]:
    """The lines that make a session themselves."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name == "Session":
                yield node.lineno


def test_nothing_but_sessions_opens_one() -> None:
    package = Path(devdb.__file__).parent
    opening = {
        str(file.relative_to(package)): lines
        for file in package.rglob("*.py")
        if (lines := list(openers(file.read_text(encoding="utf-8"))))
    }
    assert opening.keys() == {"sessions.py"}


@pytest.mark.parametrize("call", ["wire.Session(end)", "with Session(end, timeout=1) as s: pass"])
def test_a_second_opener_is_found(call: str) -> None:
    assert list(openers(f"import devdb\n{call}")) == [2]
