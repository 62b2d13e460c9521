from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest

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
    assert loaded_by("devdb.cli") & {"textual", "docker", "psycopg", "psutil"} == set()


@pytest.mark.parametrize("package", ["devdb.workspace", "devdb.temporary", "devdb.engines"])
def test_what_is_below_the_command_line_loads_no_user_interface(package: str) -> None:
    assert loaded_by(*modules_of(package)) & {"typer", "click", "rich", "textual"} == set()


def test_the_dashboard_loads_no_command_line() -> None:
    assert loaded_by("devdb.tui") & {"typer", "docker"} == set()
