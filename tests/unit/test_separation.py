from __future__ import annotations

import subprocess
import sys

import pytest

_LOADED = "import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"


def loaded_by(module: str) -> set[str]:
    """The top-level packages a fresh Python has loaded once it has imported the module."""
    command = [sys.executable, "-c", _LOADED.format(module=module)]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_the_command_line_loads_no_slow_library() -> None:
    assert loaded_by("devdb.cli") & {"textual", "docker", "psycopg", "psutil"} == set()


@pytest.mark.parametrize("module", ["devdb.workspace", "devdb.temporary", "devdb.engines"])
def test_what_is_below_the_command_line_loads_no_user_interface(module: str) -> None:
    assert loaded_by(module) & {"typer", "click", "rich", "textual"} == set()


def test_the_dashboard_loads_no_command_line() -> None:
    assert loaded_by("devdb.tui") & {"typer", "docker"} == set()
