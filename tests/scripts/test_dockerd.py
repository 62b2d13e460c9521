"""Starting a Docker engine by hand: pid files of one that is gone."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from inside import until
from system import dockerd


@pytest.fixture
def pid_file(tmp_path: Path) -> Path:
    return tmp_path / "docker.pid"


def test_a_pid_file_is_cleared_when_its_process_is_somebody_else(pid_file: Path) -> None:
    pid_file.write_text(str(os.getpid()))
    dockerd.clear_stale(pid_file)
    assert not pid_file.exists()


@pytest.mark.parametrize("text", ["", "gone", "4194305"])
def test_a_pid_file_is_cleared_when_its_process_is_gone(pid_file: Path, text: str) -> None:
    pid_file.write_text(text)
    dockerd.clear_stale(pid_file)
    assert not pid_file.exists()
    dockerd.clear_stale(pid_file)


def test_the_pid_file_of_a_running_dockerd_stays(pid_file: Path, tmp_path: Path) -> None:
    program = shutil.copy(shutil.which("sleep") or "", tmp_path / "dockerd")
    with subprocess.Popen([program, "60"]) as process:
        until(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "dockerd\n")
        pid_file.write_text(str(process.pid))
        dockerd.clear_stale(pid_file)
        process.kill()
    assert pid_file.exists()
