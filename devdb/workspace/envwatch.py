"""Whether `.env` holds an instance's URLs, asked again and again: cheaper than `held` each time."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from devdb import envfile, marker, paths
from devdb.config import FILE, Settings
from devdb.errors import DevdbError
from devdb.model import Spec
from devdb.workspace.staleness import Held, held, places

READ_EVERY = 30.0
"""Seconds from one reading to the next while no file changes: roles of temporary databases expire,
and other instances come and go."""

_MANIFESTS = ("", FILE, "package.json", "pnpm-workspace.yaml", "pyproject.toml")
"""What says which packages a project has, and which variables: the directory itself, and these."""


class EnvWatch:
    """Keeps what it has read and reads again when a file has changed; for one thread."""

    def __init__(self, spec: Spec, directory: Path, settings: Settings) -> None:
        self._spec = spec
        self._directory = directory
        self._settings = settings
        self._held: Held | None = None
        self._files: list[Path] = []
        self._seen: list[tuple[int, ...] | None] = []
        self._read_at = 0.0

    def look(self, *, running: bool) -> Held:
        """As `held`; mostly only the files' times are looked at."""
        is_due = time.monotonic() - self._read_at >= READ_EVERY
        if self._held is None or is_due or self._look_at_files() != self._seen:
            self._read_at = time.monotonic()
            self._spec = self._as_marked()
            self._files = self._watched()
            # Before they are read: what changes meanwhile is read once more.
            self._seen = self._look_at_files()
            self._held = held(self._spec, self._directory, running=running, settings=self._settings)
        return self._held

    def _as_marked(self) -> Spec:
        """The instance with the HTTP port that it may have got meanwhile."""
        with suppress(DevdbError):
            marked = marker.load(self._spec.name)
            if marked is not None:
                return replace(self._spec, http_port=marked.http_port)
        return self._spec

    def _watched(self) -> list[Path]:
        project = self._spec.project
        if project is None:
            return []
        others = [each for each in marker.every() if each.name != self._spec.name]
        is_in = self._directory.is_relative_to(project)
        around = places(self._spec, others, self._directory if is_in else None)
        found = [place / name for place in around for name in envfile.FILES]
        home = paths.instance_dir(self._spec.name)  # its marker is replaced, not changed
        manifests = (project / name for name in _MANIFESTS)
        return [*found, *manifests, paths.instances_home(), home]

    def _look_at_files(self) -> list[tuple[int, ...] | None]:
        return [_stamp(file) for file in self._files]


def _stamp(file: Path) -> tuple[int, ...] | None:
    """What is another one when the file was written; None where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
