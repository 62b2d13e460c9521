"""A passwd entry for programs that look up who runs them, where that user has none.

OpenShift, and `docker run --user 4999`, run everything as such a user. `initdb` and `postgres
--single` end with `could not look up effective user ID`; the server itself never asks.
"""

from __future__ import annotations

import pwd
import shutil
import subprocess
from pathlib import Path

from devdb.engines.native.owner import Owner
from devdb.errors import EngineUnavailable

WRAPPERS = ("usr/lib/*/libnss_wrapper.so", "usr/lib*/libnss_wrapper.so")
"""Where the library is that answers out of a file; the official image uses it for the same."""


def named(owner: Owner, directory: Path) -> tuple[list[str], dict[str, str]]:
    """What goes before the arguments, and into the environment, of a program that asks.

    Nothing for who has an entry. `directory` is one that the owner can reach; a file is put there.
    Raises EngineUnavailable when there is no way.
    """
    if _has_entry(owner.uid):
        return [], {}
    for place in WRAPPERS:
        for library in Path("/").glob(place):
            passwd, group = directory / "passwd", directory / "group"
            passwd.write_text(f"devdb:x:{owner.uid}:{owner.gid}::/:/bin/sh\n")
            group.write_text(f"devdb:x:{owner.gid}:\n")
            files = {"NSS_WRAPPER_PASSWD": str(passwd), "NSS_WRAPPER_GROUP": str(group)}
            return [], {"LD_PRELOAD": str(library), **files}
    # In a user namespace of its own it is somebody else to itself: to the files it is who it was.
    other = next((entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid), None)
    if other is not None and (unshare := shutil.which("unshare")):
        prefix = [unshare, "--user", f"--map-user={other}"]
        tried = subprocess.run([*prefix, "true"], capture_output=True, **owner.credentials)
        if tried.returncode == 0:
            return prefix, {}
    raise EngineUnavailable(
        f"Postgres' initdb needs a passwd entry for uid {owner.uid}, and there is none.",
        "Install libnss_wrapper (apt-get install libnss-wrapper), or have root add an entry: "
        f"echo 'devdb:x:{owner.uid}:{owner.gid}::/:/bin/sh' >> /etc/passwd",
    )


def _has_entry(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
