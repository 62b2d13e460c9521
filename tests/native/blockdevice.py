"""A disk in a file, copied block by block while it is in use: what a power cut would leave."""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_TRIES = 50


class Disk:
    """An ext4 in a file; `place` is where it is mounted."""

    def __init__(self, directory: Path, megabytes: int) -> None:
        self.place = directory / "disk"
        self._file = directory / "blocks"
        self._copies = 0
        self.place.mkdir()
        with self._file.open("wb") as file:
            file.truncate(megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", self._file], check=True)

    def mount(self) -> str:
        """Put it at its place; what `mount` complains of, "" when it is there."""
        command = ["mount", "-o", "loop", str(self._file), str(self.place)]
        result = subprocess.run(command, capture_output=True, text=True)
        return result.stderr.strip()

    def unmount(self) -> None:
        subprocess.run(["umount", self.place], check=True)

    def cut(self) -> Path:
        """What would be on the disk if the power went now, for `restore`.

        The blocks are read twice: all of them were so at the moment in between, if none of them
        has changed. Nobody should be writing meanwhile, but the file system may.
        """
        self._copies += 1
        copy = self._file.with_name(f"copy-{self._copies}")
        for _ in range(_TRIES):
            subprocess.run(["cp", "--sparse=always", self._file, copy], check=True)
            if filecmp.cmp(self._file, copy, shallow=False):
                return copy
        raise AssertionError(f"the disk changed during each of {_TRIES} copies")

    def restore(self, copy: Path) -> None:
        """Mount the copy in the place of what is there, which is lost."""
        self.unmount()
        copy.replace(self._file)
        assert self.mount() == ""


@contextmanager
def disk(megabytes: int) -> Iterator[Disk]:
    """One of that size; where none can be mounted the test is skipped."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk in a file")
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("there is no mkfs.ext4 to make a disk with")
    directory = Path(tempfile.mkdtemp(prefix="devdb-blocks-"))
    directory.chmod(0o755)
    try:
        made = Disk(directory, megabytes)
        if reason := made.mount():
            pytest.skip(f"no disk in a file can be mounted here: {reason.splitlines()[0]}")
        made.place.chmod(0o755)
        try:
            yield made
        finally:
            made.unmount()
    finally:
        shutil.rmtree(directory)
