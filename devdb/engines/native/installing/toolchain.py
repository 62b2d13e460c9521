"""A C compiler with the headers that PgBouncer needs: the system's, or one that is unpacked here.

A machine that only runs programs has none of it, and to install it takes root and stays behind.
Debian's compiler works from any directory when it is told where its headers and libraries are.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from devdb.engines.native.installing import apt
from devdb.engines.waiting import Work

NEEDS = ("gcc", "libc6-dev", "make", "patch", "pkg-config", "libevent-dev", "libssl-dev")
_SCRIPT = b"/* GNU ld script"


def get(directory: Path, options: apt.Options) -> Work[dict[str, str]]:
    """The environment to build in; what the system lacks is in `directory`/root afterwards.

    Raises CommandFailed.
    """
    root = directory / "root"
    if not root.exists():
        wanted = yield from apt.lacking(NEEDS, options)
        if not wanted:
            return {}
        yield f"a C compiler and headers: {len(wanted)} packages"
        yield from apt.unpack(wanted, directory, options)
        point_into(root)
    return _environment(root)


def _environment(root: Path) -> dict[str, str]:
    """What makes programs, headers and libraries below `root` be found beside the system's."""
    libraries = apt.libraries(root)
    headers = [root / "usr/include", *root.glob("usr/include/*-linux-gnu*")]
    packages = [each / "pkgconfig" for each in libraries]
    packages += [Path("/") / each.relative_to(root) for each in packages]
    return {
        "PATH": os.pathsep.join([f"{root}/usr/bin", os.environ.get("PATH", os.defpath)]),
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
        "LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
        "C_INCLUDE_PATH": os.pathsep.join(map(str, headers)),
        "PKG_CONFIG_LIBDIR": os.pathsep.join(map(str, packages)),
    }


def point_into(root: Path) -> None:
    """Have the linker's scripts (libc.so is one) name files below `root` where those are there."""

    def moved(match: re.Match[bytes]) -> bytes:
        path = os.fsdecode(match[0])
        # Where /lib is a link to /usr/lib a package has it under one of the two names only.
        below = (root / path[1:], root / "usr" / path[1:])
        return next((os.fsencode(each) for each in below if each.exists()), match[0])

    for directory in apt.libraries(root):
        for path in directory.glob("*.so"):
            text = path.read_bytes() if path.is_file() and path.stat().st_size < 4096 else b""
            if text.startswith(_SCRIPT):
                path.write_bytes(re.sub(rb"(?<=\s)/\S+", moved, text))
