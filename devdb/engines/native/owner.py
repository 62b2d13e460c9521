"""Whom the servers run as: the user himself, or, for root, somebody without privileges."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devdb import paths, unprivileged
from devdb.errors import DevdbError, EngineUnavailable

WRAPPERS = ("usr/lib/*/libnss_wrapper.so", "usr/lib*/libnss_wrapper.so")
"""Where the library is that answers out of a file; the official image uses it for the same."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The user of the server processes and of their data."""

    uid: int
    gid: int
    name: str
    foreign: bool
    """Whether it is another user than the one who runs devdb (who is root then)."""

    @property
    def credentials(self) -> dict[str, Any]:
        """The arguments that make subprocess.Popen start a process as this user."""
        if not self.foreign:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, path: Path) -> None:
        """Make the file or directory this user's."""
        if self.foreign:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def obstacle(self, path: Path) -> Path | None:
        """The first directory on the way to `path`, itself included, that keeps this user out.

        Asked of the mode bits; a directory that does not exist yet is no obstacle.
        """
        if not self.foreign:
            return None
        for directory in [*reversed(path.parents), path]:
            try:
                status = directory.stat()
            except FileNotFoundError:
                return None
            if not self._may(status, 0o1):
                return directory
        return None

    def can_run(self, program: Path) -> bool:
        """Whether this user reaches the program and may read and execute it."""
        if self.obstacle(program.parent) is not None:
            return False
        return not self.foreign or self._may(program.stat(), 0o5)

    def named(self, directory: Path) -> tuple[list[str], dict[str, str]]:
        """What goes before the arguments, and into the environment, of a program that asks who
        runs it: nothing for who has a passwd entry.

        OpenShift, and `docker run --user 4999`, run everything as somebody without one. `initdb`
        and `postgres --single` end with `could not look up effective user ID`; the server itself
        never asks. `directory` is one that this user can reach; a file is put there. Raises
        EngineUnavailable when there is no way.
        """
        if _entry(self.uid):
            return [], {}
        for place in WRAPPERS:
            for library in Path("/").glob(place):
                passwd, group = directory / "passwd", directory / "group"
                passwd.write_text(f"devdb:x:{self.uid}:{self.gid}::/:/bin/sh\n")
                group.write_text(f"devdb:x:{self.gid}:\n")
                files = {"NSS_WRAPPER_PASSWD": str(passwd), "NSS_WRAPPER_GROUP": str(group)}
                return [], {"LD_PRELOAD": str(library), **files}
        # In a user namespace of its own it is somebody else to itself: to the files it is who it
        # was.
        other = next((entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid), None)
        if other is not None and (unshare := shutil.which("unshare")):
            prefix = [unshare, "--user", f"--map-user={other}"]
            tried = subprocess.run([*prefix, "true"], capture_output=True, **self.credentials)
            if tried.returncode == 0:
                return prefix, {}
        raise EngineUnavailable(
            f"Postgres' initdb needs a passwd entry for uid {self.uid}, and there is none.",
            "Install libnss_wrapper (apt-get install libnss-wrapper), or have root add an entry: "
            f"echo 'devdb:x:{self.uid}:{self.gid}::/:/bin/sh' >> /etc/passwd",
        )

    def _may(self, status: os.stat_result, bits: int) -> bool:
        shift = 6 if status.st_uid == self.uid else 3 if status.st_gid == self.gid else 0
        return status.st_mode >> shift & bits == bits


def choose(data: Path | None = None) -> Owner:
    """Who runs the servers; of data that is there already, whose it is.

    Raises EngineUnavailable when root finds nobody to drop to, DevdbError when the data is
    somebody else's.
    """
    owner = _data_owner(data) if data else None
    uid = os.geteuid()
    if uid != 0:
        if owner is not None and owner != uid:
            theirs = paths.user(owner)
            raise DevdbError(
                f"{data} belongs to {theirs}, not to {paths.user(uid)}.",
                f"Run devdb as {theirs}, or set DEVDB_DATA_DIR to a directory of your own.",
            )
        return Owner(uid, os.getegid(), paths.user(uid), foreign=False)
    if owner:
        entry = _entry(owner)
        return Owner(owner, entry.pw_gid if entry else owner, paths.user(owner), foreign=True)
    return _unprivileged()


def _unprivileged() -> Owner:
    if (entry := unprivileged.find()) is not None:
        return Owner(entry.pw_uid, entry.pw_gid, entry.pw_name, foreign=True)
    raise EngineUnavailable(
        "Postgres refuses to run as root, and there is no user to run it as.",
        "Make one: useradd --system postgres",
    )


def _data_owner(data: Path) -> int | None:
    try:
        return data.stat().st_uid
    except (FileNotFoundError, NotADirectoryError):
        return None


def _entry(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None
